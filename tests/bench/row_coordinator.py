"""What a coordinator costs with many nodes: its CPU and memory, and what it exchanges with the store. The nodes are
simulated, by what they ask of the store: a beat each second, a record of their load each slot."""

import socket
import threading
import time
from pathlib import Path

from town import Cluster, town, wait_for

# town knows where these two are.
from coordinator import Coordinator
from redis_words import answer

CPU_PERCENT_MAX, RSS_MIB_MAX = 1.0, 20.0
BASE = "weir:{default}"
SCRIPTS = Path(__file__).parents[2] / "common/store/lua"
SLOT_MS = 10000
FORGET_MS, NODES_MOST, LOADS_KEPT, LOADS_KEPT_MS = 60000, 1024, 16384, 3600000


class Nodes(threading.Thread):
    """Beats and records of so many nodes, all in one thread."""

    def __init__(self, redis, count):
        super().__init__(daemon=True)
        self.count, self.over = count, threading.Event()
        self.socket = socket.create_connection((redis.host, redis.port))
        self.lines = self.socket.makefile("rb")
        self.beat, self.append = self._load("beat"), self._load("append")
        self.start()

    def _ask(self, *words):
        parts = [str(w).encode() for w in words]
        self.socket.sendall(b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(p), p) for p in parts))
        return answer(self.lines)

    def _load(self, name):
        return self._ask("SCRIPT", "LOAD", "".join((SCRIPTS / f"{part}.lua").read_text() for part in ("prelude", name)))

    def _beats(self, i):
        keys = [f"{BASE}:{key}" for key in ("meta", "members", "load", "seen", "map", "advice")]
        record = f"instance={i + 1} state=active weight=1 advertise=127.0.0.1:{10000 + i} version=0.1.0"
        load = f"in_flight={20 + i % 7} connections=30 utilization_pct=40 loop_lag_us=500 requests_per_s=50 errors_per_s=0 epoch_seen=0"
        args = [1, "", f"{BASE}:push", f"node-{i}", i + 1, record, load, 10000, FORGET_MS, NODES_MOST, ""]
        assert self._ask("EVALSHA", self.beat, len(keys), *keys, *args)[0] == "OK"

    def _tells(self, i, slot):
        peak = 20 + (slot + i) % 7
        text = f"weir-load 1 node=node-{i} slot={slot} nodes=1 in_flight_peak={peak} utilization_pct=40 loop_lag_us=500\n"
        for name in ("openai", "anthropic", "local"):
            text += f"provider {name} requests=170 in_flight_mean=7000 in_flight_peak=9 connections_peak=10 leases=170 reused=165 "
            text += "connects=5 closed=5 connect_us_sum=90000 exchanges=168 exchange_us_sum=90000000 first_byte_p50_us=200000\n"
        keys = [f"{BASE}:{key}" for key in ("meta", "loads")]
        assert self._ask("EVALSHA", self.append, len(keys), *keys, 1, "", text, LOADS_KEPT, LOADS_KEPT_MS)[0] == "OK"

    def run(self):
        told = [0] * self.count
        while not self.over.is_set():
            began = time.monotonic()
            slot = int(time.time() * 1000) // SLOT_MS - 1
            for i in range(self.count):
                self._beats(i)
                if told[i] < slot:
                    self._tells(i, slot)
                    told[i] = slot
            self.over.wait(max(0.0, began + 1 - time.monotonic()))

    def end(self):
        self.over.set()
        self.join()
        self.socket.close()


def _cpu_s(pid):
    return sum(int((task / "schedstat").read_text().split()[0]) for task in Path(f"/proc/{pid}/task").iterdir()) / 1e9


def _rss_mib(pid):
    (line,) = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS")]
    return int(line.split()[1]) / 1024


def _calls(one):
    text = one.get("/metrics/prometheus").body.decode().splitlines()
    return sum(float(line.split()[-1]) for line in text if line.startswith("weir_coordinator_store_requests_total{"))


def _with(build_dir, count, seconds):
    with town(build_dir) as stage:
        cluster = Cluster(stage, shard_count=1024, failover_timeout=10)
        wire = cluster.wire()
        nodes = Nodes(cluster.redis, count)
        one = Coordinator(stage, cluster, "one", top={"analytics": {"enabled": True}}, shard_count=1024)
        one.wait_leads()
        wait_for(lambda: one.metric("weir_coordinator_map_epoch") > 0, "a map", 60)
        wait_for(lambda: one.metric("weir_coordinator_forecast_steps_seen") >= 1, "the first minute to be known", 150)
        cpu, calls, carried, began = _cpu_s(one.pid), _calls(one), wire.carried, time.monotonic()
        time.sleep(seconds)
        took = time.monotonic() - began
        result = {"nodes": count, "cpu_percent": 100 * (_cpu_s(one.pid) - cpu) / took, "rss_mib": _rss_mib(one.pid),
                  "calls_per_s": (_calls(one) - calls) / took, "bytes_per_s": (wire.carried - carried) / took}
        nodes.end()
        return result


def run(build_dir, seconds, say):
    cases = []
    for count in (10, 100):
        cases.append(_with(build_dir, count, seconds))
        c = cases[-1]
        say(f"  {count} nodes: {c['cpu_percent']:.2f} % of a core, {c['rss_mib']:.1f} MiB, {c['calls_per_s']:.1f} calls/s, "
            f"{c['bytes_per_s']:.0f} bytes/s")
    few, many = cases
    return {"cases": cases, "cpu_percent_max": CPU_PERCENT_MAX, "rss_mib_max": RSS_MIB_MAX,
            "growth": many["bytes_per_s"] / few["bytes_per_s"], "growth_max": many["nodes"] / few["nodes"]}
