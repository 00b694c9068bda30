"""One rate limit over four nodes under five times as much load, ten times as much of it on one node as on each other:
what the provider sees by its own clock, and what it costs the store. The same with a node killed in the middle."""

import math
import time

from row_limit import windows
from town import Cluster, Steady, town, wait_for

NODES = 4
SHARES = (10, 1, 1, 1)
PER_MINUTE = 600
BURST = PER_MINUTE // 10
OFFERED_PER_MINUTE = 5 * PER_MINUTE
# A client asks each so often: more seldom than a request may wait in line, so that each keeps its pace.
PACE_S = 12
LEASE_S = 0.4
WINDOW_S = 60
CALLS_MAX = 3


def bound():
    """burst + rate x (window + lease), of docs/cluster.md."""
    return BURST + math.floor(PER_MINUTE / 60 * (WINDOW_S + LEASE_S))


def _tokens(nodes):
    return [n.metric("weir_cluster_store_requests_total", op="tokens") for n in nodes]


def _case(build_dir, seconds, kills, say):
    say(f"share: {NODES} nodes, {seconds} s{', one killed' if kills else ''}")
    with town(build_dir) as stage:
        mock = stage.mock()
        cluster = Cluster(stage, connection_affinity="round_robin", failover_timeout=10)
        provider = {"base_url": mock.url, "rate_limit": {"requests_per_minute": PER_MINUTE}}
        nodes = cluster.nodes(NODES, {"mock": provider}, logging={"access": False})
        for n in nodes:
            wait_for(lambda n=n: n.get("/api/cluster/limits").json()["limits"][0]["mode"] == "leased", f"{n.name} to lease")
        stay = nodes[1:]
        before, began = _tokens(stay), time.monotonic()
        clients = OFFERED_PER_MINUTE * PACE_S // 60
        with Steady(stage, [n.port for n in nodes], clients, PACE_S, shares=SHARES) as load:
            time.sleep(seconds / 2)
            if kills:
                cluster.kill(nodes[0])
            time.sleep(seconds / 2)
            calls = [(b - a) / (time.monotonic() - began) for a, b in zip(before, _tokens(stay))]
            requests = load.end()
        times = mock.arrivals()
    statuses = {}
    for r in requests:
        statuses[r.status] = statuses.get(r.status, 0) + 1
    times = [t for t in times if t <= began + seconds]
    fullest, emptiest = windows(times, times[0])
    return {"killed": kills, "statuses": statuses, "admitted": len(times), "fullest": fullest, "emptiest": emptiest,
            "calls_per_s": calls}


def run(build_dir, seconds, say):
    say(f"share: {PER_MINUTE} a minute, burst {BURST}, {OFFERED_PER_MINUTE} offered")
    return {"limit": PER_MINUTE, "burst": BURST, "offered": OFFERED_PER_MINUTE, "seconds": seconds, "bound": bound(),
            "calls_max": CALLS_MAX, "cases": [_case(build_dir, seconds, kills, say) for kills in (False, True)]}
