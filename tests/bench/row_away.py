"""The store away, in each way that it can be, under a steady load through HAProxy: what requests feel of it, and how soon
all is right again when it is back. Latencies are compared within a run: the seconds before say how far seconds lie apart
on this machine, and what comes after counts as slower only where it is above the slowest of them. In the control nothing
happens to the store: what is found slower there, the machine was."""

import time

from town import CAN_FIREWALL, Cluster, Firewalled, SHARDS, Steady, balance, blocks, failures, phase, seconds_until, town

NODES = 3
CLIENTS = 30
PACE_S = 0.2
LIMIT_S = 3
BOUND_S = 30
STAYS_AWAY = ("frozen", "killed", "firewall", "2 s late", "refuses writes")
CASES = ("control", "restarted", *STAYS_AWAY)


class Trial:
    def __init__(self, stage, name):
        self.stage, self.name = stage, name
        self.cluster = Cluster(stage, redis=False, shard_count=SHARDS, failover_timeout=10)
        if name == "firewall":
            wall = Firewalled()
            stage.running.append(wall.close)
            self.redis = wall.redis(self.cluster)
            self.begin, self.end = wall.cut, wall.mend
            return
        self.redis = self.cluster.redis = self.cluster.start_redis()
        self.cluster.url = self.redis.url
        if name == "2 s late":
            wire = self.cluster.wire()
            self.begin, self.end = lambda: setattr(wire, "delay_s", 2.0), lambda: setattr(wire, "delay_s", 0.0)
        else:
            self.begin, self.end = {
                "control": (lambda: None, lambda: None),
                "frozen": (self.redis.freeze, self.redis.thaw),
                "killed": (self.redis.kill, self._start),
                "restarted": (self._restart, lambda: None),
                "refuses writes": (lambda: self._memory(1), lambda: self._memory(0)),
            }[name]

    def _start(self):
        self.redis = self.cluster.start_redis(port=self.redis.port)

    def _restart(self):
        self.redis.kill()
        self._start()

    def _memory(self, limit):
        self.redis.ask(f"CONFIG SET maxmemory {limit}")

    def right(self, nodes):
        """Everybody sees the store and all others, shards, circuits and limits are the cluster's again."""
        owned = 0
        for n in nodes:
            state = n.get("/api/cluster/state").json()
            if not state["contact"] or not state["member"] or state["nodes"]["alive"] != NODES:
                return False
            if not all(b["shared"] for b in n.get("/api/cluster/breakers").json()["breakers"]):
                return False
            if not all(x["mode"] == "leased" for x in n.get("/api/cluster/limits").json()["limits"]):
                return False
            owned += state["owned"]
        return owned == SHARDS


def _contact(nodes, there):
    return all(n.metric("weir_cluster_store_contact") == there for n in nodes)


def _case(build_dir, name, seconds, say):
    say(f"away: {name}")
    with town(build_dir) as stage:
        mock = stage.mock()
        trial = Trial(stage, name)
        # A limit that binds nobody, so that what it costs to have one is in the figures.
        provider = {"base_url": mock.url, "rate_limit": {"requests_per_minute": 10**6}}
        nodes = trial.cluster.nodes(NODES, {"mock": provider}, http_client={"circuit_breaker": {"enabled": True}})
        seconds_until(lambda: trial.right(nodes), time.monotonic(), BOUND_S, "the cluster to be whole")
        with Steady(stage, [balance(stage, nodes).port], CLIENTS, PACE_S) as load:
            time.sleep(1)  # connections are made
            began = time.monotonic()
            time.sleep(seconds)
            trial.begin()
            left = time.monotonic()
            if name in STAYS_AWAY:
                seconds_until(lambda: _contact(nodes, 0), left, BOUND_S, "all gauges to say so")
            if name != "restarted":  # that one is back as soon as it is gone
                time.sleep(max(0, left + seconds - time.monotonic()))
            back = time.monotonic()
            trial.end()
            right_s = seconds_until(lambda: trial.right(nodes), back, BOUND_S, "the state to be right again")
            time.sleep(max(0, back + seconds - time.monotonic()))
            ended = time.monotonic()
            requests = load.end()
        lines = {len(n.events(e)) for n in nodes for e in ("store_lost", "store_back")}
        lost = sum(len(n.events("node_lost")) for n in nodes)
    before = blocks(requests, began, left)
    if name == "restarted":
        back = left + seconds / 2
    return {"name": name, "requests": len(requests), "failed": len(failures(requests)), "right_s": right_s, "nodes_lost": lost,
            "lines_each": sorted(lines), "before": phase(requests, began, left),
            "noise": {q: max(b[q] for b in before) for q in ("p50_ms", "p90_ms")},
            "slowest_ms": max(r.ms for r in requests if r.began >= left),
            "during": phase(requests, left, back), "after": phase(requests, back, ended)}


def run(build_dir, seconds, say):
    say(f"away: {NODES} nodes behind HAProxy, {CLIENTS / PACE_S:.0f} requests/s, {seconds} s before, during and after")
    cases = [name for name in CASES if name != "firewall" or CAN_FIREWALL]
    return {"seconds": seconds, "rate": CLIENTS / PACE_S, "limit_s": LIMIT_S,
            "cases": [_case(build_dir, name, seconds, say) for name in cases]}
