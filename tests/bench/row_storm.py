"""All endpoints of a provider dead under steady load: what the provider sees of it, how soon clients are told, and what
the storm costs the node; then how soon it is back."""

import contextlib
import os
import time
import urllib.error
import urllib.request

from load import quantile
from procs import BenchError, Core, Process
from row_limit import Provider

CLIENTS = 20
RATE = 1000
ENDPOINTS = 3
RECOVERY_S = 2
# The defaults but for the recovery timeout, which is to come round several times in a run.
HTTP_CLIENT = {"circuit_breaker": {"failure_threshold": 5, "recovery_timeout": RECOVERY_S}}


class Storm(Process):
    """RATE requests a second for so long, whatever the answers."""

    def __init__(self, port, seconds, log_path):
        if os.path.exists(log_path):
            os.unlink(log_path)
        self.seconds, self.log_path = seconds, log_path
        super().__init__(["h2load", "--h1", "-t", "1", "-c", str(CLIENTS), "-n", str(RATE * seconds), "--rps",
                          str(RATE // CLIENTS), "--log-file", log_path, f"http://127.0.0.1:{port}/echo"], Core.load)

    def answers(self):
        """Wait for its end: {status: [milliseconds]}."""
        self.finish(self.seconds * 4 + 20)
        times = {}
        with open(self.log_path, encoding="ascii") as f:
            for line in f:
                _, status, micros = line.split()
                times.setdefault(status, []).append(int(micros) / 1000)
        return times


def _plan(provider, query):
    request = urllib.request.Request(f"http://127.0.0.1:{provider.control}/plan{query}", method="POST")
    with urllib.request.urlopen(request, timeout=5):
        pass


def _phase(proxy, providers, seconds, folder):
    """A stretch of load, and what it came to."""
    def seen():
        return sum(len(p.arrivals()) for p in providers)

    def lines():
        with open(proxy.log_path, "rb") as f:
            return f.read().count(b"\n")

    before, lines_before, cpu_before, began = seen(), lines(), proxy.process.cpu_ns(), time.monotonic()
    with Storm(proxy.port, seconds, os.path.join(folder, "h2load.log")) as storm:
        answers = storm.answers()
    took = time.monotonic() - began
    if set(answers) - {"200", "500", "502", "503"}:
        raise BenchError(f"answers nobody expected: {({s: len(t) for s, t in answers.items()})}")
    return {"seconds": round(took, 2), "offered": RATE * seconds, "answers": {s: len(t) for s, t in sorted(answers.items())},
            "seen": seen() - before, "cpu": (proxy.process.cpu_ns() - cpu_before) / 1e9 / took,
            "lines_per_s": (lines() - lines_before) / took,
            "ms": {s: {q: quantile(answers[s], n) for q, n in (("p50", 0.5), ("p99", 0.99))} for s in sorted(answers)}}


def _until_back(proxy):
    """Seconds until requests are answered again."""
    began = time.monotonic()
    while time.monotonic() < began + 10 * RECOVERY_S:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{proxy.port}/echo", timeout=5):
                return time.monotonic() - began
        except urllib.error.HTTPError:
            time.sleep(0.01)
    raise BenchError("the healed provider did not come back")


def run(starter, build_dir, seconds, say):
    say(f"storm: {ENDPOINTS} endpoints dead under {RATE} requests/s, {seconds} s")
    with contextlib.ExitStack() as stack:
        providers = [stack.enter_context(Provider(build_dir)) for _ in range(ENDPOINTS)]
        urls = [f"http://127.0.0.1:{p.place.port}" for p in providers]
        proxy = stack.enter_context(starter.start("weir", providers[0].place, urls=urls, http_client=HTTP_CLIENT))
        calm = _phase(proxy, providers, seconds, starter.scratch)
        for p in providers:
            _plan(p, "?status=500")
        storm = _phase(proxy, providers, seconds, starter.scratch)
        for p in providers:
            _plan(p, "")
        back_s = _until_back(proxy)
    return {"endpoints": ENDPOINTS, "rate": RATE, "recovery_s": RECOVERY_S, "calm": calm, "storm": storm, "back_s": back_s}
