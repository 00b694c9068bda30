"""What being in a cluster costs: not one byte to or from the store on any worker's thread, by strace; commands a second at
the store by its own count; CPU of a request beside a node that is alone, served where it came and handed to a peer."""

import os
import re
import subprocess
import time
from pathlib import Path

from load import Wrk, summary
from town import Cluster, Program, SHARDS, Steady, ask, town, wait_for

REQUESTS = 10000
IDLE_MAX, BUSY_MAX = 5, 50
# What a node sends itself; all other commands that the store counts are made by its scripts.
SENT = ("evalsha", "eval", "ping", "role", "hello", "auth", "select", "client|setname", "subscribe", "unsubscribe", "psubscribe")
TRACED = "read,write,readv,writev,sendto,recvfrom,sendmsg,recvmsg"
CLIENTS = 16


def _cluster(stage, count, logs=False, **options):
    cluster = Cluster(stage, shard_count=SHARDS, failover_timeout=10)
    mock = stage.mock()
    provider = {"base_url": mock.url, "rate_limit": {"requests_per_minute": 10**8, "burst": 10**7}}
    nodes = cluster.nodes(count, {"mock": provider}, logging={"access": logs}, **options)
    cluster.wait_all_owned()
    return cluster, mock, nodes


# -- commands --


def _sent(redis):
    stats = {k.removeprefix("cmdstat_"): int(re.match(r"calls=(\d+)", v).group(1)) for k, v in redis.section("commandstats").items()}
    return sum(n for command, n in stats.items() if command in SENT)


def _commands(build_dir, seconds, busy):
    """Commands a second that each of three nodes sends."""
    count = 3
    with town(build_dir) as stage:
        cluster, _, nodes = _cluster(stage, count, http_client={"circuit_breaker": {"enabled": True}})
        time.sleep(2)
        load = Steady(stage, [n.port for n in nodes], 60, 0.1) if busy else None
        time.sleep(1)
        before, began = _sent(cluster.redis), time.monotonic()
        time.sleep(seconds)
        per_s = (_sent(cluster.redis) - before) / (time.monotonic() - began) / count
        return {"per_s": per_s, "requests": len(load.end()) if load else 0}


# -- bytes, by strace --


def _traced(build_dir, seconds_max):
    """System calls on the store's sockets while so many requests pass, of the threads that serve clients and of others."""
    with town(build_dir) as stage:
        cluster, _, (node, _) = _cluster(stage, 2)
        out = Path(stage.scratch) / "strace.txt"
        strace = Program(["strace", "-f", "-yy", "-s", "0", "-e", f"trace={TRACED}", "-o", out, "-p", str(node.pid)],
                         stage.scratch, "strace")
        wait_for(lambda: "attached" in strace.err, "strace to be attached")
        load = Steady(stage, [node.port], 40, 0.02)
        # Some of those that it counts are this question.
        wait_for(lambda: node.metric("weir_requests_total") >= 1.05 * REQUESTS, f"{REQUESTS} requests", seconds_max)
        requests = [r for r in load.end() if r.status == "200"]
        strace.popen.terminate()
        strace.wait()
        clients, store = f"[127.0.0.1:{node.port}->", f"->127.0.0.1:{cluster.redis.port}]"
        calls, to_store, workers = {}, {}, set()
        with open(out, encoding="utf-8", errors="replace") as f:
            for line in f:
                thread = line.split(None, 1)[0]
                calls[thread] = calls.get(thread, 0) + 1
                if clients in line:
                    workers.add(thread)
                if store in line:
                    to_store[thread] = to_store.get(thread, 0) + 1
    return {"requests": len(requests), "workers": len(workers), "worker_calls": sum(calls[w] for w in workers),
            "worker_calls_to_store": sum(to_store.get(w, 0) for w in workers),
            "other_calls_to_store": sum(n for t, n in to_store.items() if t not in workers)}


# -- CPU --


class KeyedWrk(Wrk):
    """wrk whose requests have one affinity key."""

    key = None

    def __init__(self, port, clients, seconds):
        super().__init__(port, clients, seconds, "/echo", more=["-H", f"x-session-id: {self.key}"])


def _cpu_ns(nodes):
    total = 0
    for n in nodes:
        for task in os.listdir(f"/proc/{n.pid}/task"):
            total += int(Path(f"/proc/{n.pid}/task/{task}/schedstat").read_text().split()[0])
    return total


def _measure(sides, seconds):
    """One round of both at once: microseconds of CPU a request of each. sides: (key, port, nodes that work)."""
    before = [_cpu_ns(nodes) for _, _, nodes in sides]
    loads = []
    for key, port, _ in sides:
        KeyedWrk.key = key
        loads.append(KeyedWrk(port, CLIENTS, seconds))
    requests = [each.requests() for each in loads]
    return [(_cpu_ns(nodes) - b) / n / 1000 for (_, _, nodes), b, n in zip(sides, before, requests)]


def _pin(nodes):
    for n in nodes:
        subprocess.run(["taskset", "-a", "-c", "-p", "0", str(n.pid)], check=True, capture_output=True)


def _owned_key(entry, owner):
    for n in range(1000):
        if ask(entry, headers=[("x-session-id", f"k{n}")]).get("x-weir-node") == owner.id:
            return f"k{n}"
    raise AssertionError(f"no key of {owner.id}")


def _cpu(build_dir, rounds, seconds):
    with town(build_dir) as stage:
        cluster, mock, (a, b) = _cluster(stage, 2)
        provider = {"base_url": mock.url, "rate_limit": {"requests_per_minute": 10**8, "burst": 10**7}}
        alone = stage.node({"mock": provider}, logging={"access": False})
        _pin((a, b, alone))
        floor = ("k", alone.port, (alone,))
        candidates = {"alone, against itself": floor, "in a cluster, served where it came": (_owned_key(a, a), a.port, (a,)),
                      "in a cluster, handed to a peer: both nodes": (_owned_key(a, b), a.port, (a, b))}
        samples = {name: [] for name in candidates}
        other = stage.node({"mock": provider}, logging={"access": False})
        _pin((other,))
        candidates["alone, against itself"] = ("k", other.port, (other,))
        for side in candidates.values():
            _measure((side, floor), 1)
        for _ in range(rounds):
            for name, side in candidates.items():
                samples[name].append(_measure((side, floor), seconds))
    return [{"name": name, "us": summary([c for c, _ in pairs]), "to_alone": summary([c / f for c, f in pairs])}
            for name, pairs in samples.items()]


def run(build_dir, rounds, seconds, quick, say):
    say("cluster cost: commands a second")
    stretch = 4 if quick else 20
    idle, busy = (_commands(build_dir, stretch, is_busy) for is_busy in (False, True))
    say(f"cluster cost: {REQUESTS} requests under strace")
    traced = _traced(build_dir, 300)
    say(f"cluster cost: CPU, 2 x {CLIENTS} clients, {rounds} rounds of {seconds} s")
    return {"idle": idle, "busy": busy, "idle_max": IDLE_MAX, "busy_max": BUSY_MAX, "traced": traced,
            "cpu": _cpu(build_dir, rounds, seconds)}
