"""How long a worker's turn becomes while full TLS handshakes come at a steady rate, from clients or with the upstream:
their arithmetic is the crypto pool's, and whoever else the worker serves must not wait for it.

The worker and its crypto thread share one core, so that they are in each other's way. A turn's length is wall time by
weir's own account, its longest read every second. Twice, since each hides what the other shows: `real time`, where the
worker is SCHED_FIFO, so that a long turn is the worker's own doing; and `ordinary`, where the kernel may give the core
to the crypto thread in the middle of a turn, with weir-node in a session that goes before all others (autogroup), so
that it is not given to the rest of the machine. Seconds in which the hypervisor took time away do not count.
"""

import os
import re
import threading
import time
import urllib.request

from load import FixedRate, quantile
from procs import BenchError, Core
from row_handshakes import client_context, open_client
from secure import Keys, SecureOrigin

RATE = 200
CLIENTS = 8
LAG = re.compile(r'^weir_loop_lag_seconds\{thread="worker"[^}]*\} (\S+)$', re.M)
HANDSHAKES = re.compile(r'^weir_(?:up|down)stream_tls_handshakes_total\{result="full"[^}]*\} (\d+)$', re.M)


class HandshakesOfClients(threading.Thread):
    """A share of the rate: connects, sends a GET, leaves; on time or late."""

    def __init__(self, proxy, keys, seconds):
        super().__init__(daemon=True)
        self.proxy, self.context, self.seconds, self.error = proxy, client_context(keys, "1.3"), seconds, None
        self.start()

    def run(self):
        at = time.monotonic()
        end = at + self.seconds
        try:
            while at < end:
                time.sleep(max(0, at - time.monotonic()))
                at += CLIENTS / RATE
                open_client(self.proxy, self.context).close()
        except (OSError, BenchError) as error:
            self.error = error

    def finish(self):
        self.join()
        if self.error is not None:
            raise BenchError(f"handshakes: {self.error}")


class HandshakesUpstream(FixedRate):
    """Each request opens a connection to the upstream."""

    def __init__(self, proxy, scratch, seconds):
        super().__init__(proxy.port, CLIENTS, RATE // CLIENTS, seconds, os.path.join(scratch, "h2load-turns.log"))

    def finish_all(self):
        if self.outcome()["errors"] > 0:
            raise BenchError("requests failed while turns were measured")


def _stolen():
    with open("/proc/stat", encoding="ascii") as f:
        return int(f.readline().split()[8])


def _metrics(proxy, keys):
    scheme, context = ("https", client_context(keys, "1.3")) if keys is not None else ("http", None)
    with urllib.request.urlopen(f"{scheme}://localhost:{proxy.port}/metrics/prometheus", context=context) as answer:
        return answer.read().decode()


def _make_real_time(pid):
    """All threads but those that have chosen to give way."""
    for task in map(int, os.listdir(f"/proc/{pid}/task")):
        if os.sched_getscheduler(task) == os.SCHED_OTHER:
            os.sched_setscheduler(task, os.SCHED_FIFO, os.sched_param(10))


def _longest_turns(proxy, keys, seconds):
    """({"ms": the longest turn of each undisturbed second}, handshakes a second)."""
    found, began = [], time.monotonic()
    first = sum(map(int, HANDSHAKES.findall(_metrics(proxy, keys))))
    while time.monotonic() < began + seconds - 1:
        stolen = _stolen()
        time.sleep(1)
        shown = _metrics(proxy, keys)
        if _stolen() == stolen:
            found.append(float(LAG.search(shown).group(1)) * 1000)
    rate = (sum(map(int, HANDSHAKES.findall(shown))) - first) / (time.monotonic() - began)
    return found, rate


def _measure(starter, keys, side, real_time, seconds):
    with starter.tools.origin() as plain, SecureOrigin(starter.scratch, keys, False, tickets=False) as secure:
        client_side = side == "clients"
        options = {"front": "h1s"} if client_side else {"back": "h1s", "reuse": False}
        with starter.start("weir", plain if client_side else secure, keys=keys, ahead=True, **options) as proxy:
            if real_time:
                _make_real_time(proxy.process.pid)
            load = ([HandshakesOfClients(proxy, keys, seconds) for _ in range(CLIENTS)] if client_side
                    else [HandshakesUpstream(proxy, starter.scratch, seconds)])
            turns, rate = _longest_turns(proxy, keys if client_side else None, seconds)
            for each in load:
                each.finish() if client_side else each.finish_all()
    if len(turns) == 0:
        raise BenchError("turns: the hypervisor took time away in every second")
    return {"side": side, "priority": "real time" if real_time else "ordinary", "rate": rate, "seconds": len(turns),
            "median_ms": quantile(turns, 0.5), "max_ms": max(turns)}


def run(starter, seconds, say):
    keys = Keys(starter.scratch)
    home = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {Core.load})
    try:
        rows = []
        for side in ("clients", "upstream"):
            for real_time in (True, False):
                say(f"turns: {RATE} handshakes/s, {side}, {'real time' if real_time else 'ordinary'}, {seconds} s")
                rows.append(_measure(starter, keys, side, real_time, seconds))
    finally:
        os.sched_setaffinity(0, home)
    return {"rate": RATE, "rows": rows}
