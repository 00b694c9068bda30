"""A circuit's way through the cluster: how long after it has opened on the node that saw the failures it is open on all
others, and how long after it has closed on the node that sent the probe it is closed on all. By the nodes' own log
lines, whose clock is the machine's; they are stamped to the millisecond."""

import datetime

from load import quantile
from town import Cluster, ask, town, wait_for

NODES = 3
THRESHOLD = 5
RECOVERY_S = 0.3
LIMIT_MS = 50


def _stamp_ms(event):
    return datetime.datetime.fromisoformat(event["ts"].replace("Z", "+00:00")).timestamp() * 1000


def _trip(nodes, event, count):
    """Milliseconds from the count-th such event on the first of the nodes to the same on the last of them."""
    stamps = [_stamp_ms(n.wait_events(event, count)[count - 1]) for n in nodes]
    return max(stamps) - min(stamps)


def run(build_dir, trips, say):
    say(f"trip: {trips} times open and closed, {NODES} nodes")
    opened, closed = [], []
    with town(build_dir) as stage:
        mock = stage.mock()
        cluster = Cluster(stage, connection_affinity="round_robin")
        breaker = {"failure_threshold": THRESHOLD, "recovery_timeout": RECOVERY_S}
        nodes = cluster.nodes(NODES, mock, http_client={"circuit_breaker": breaker}, logging={"access": False})
        for n in nodes:
            wait_for(lambda n=n: n.get("/api/cluster/breakers").json()["breakers"][0]["shared"], "the circuit to be shared")
        for count in range(1, trips + 1):
            seen = nodes[count % NODES]
            mock.plan(status=500)
            for _ in range(THRESHOLD):
                ask(seen)
            opened.append(_trip(nodes, "circuit_opened", count))
            mock.plan()
            wait_for(lambda: ask(seen).status == 200, "the circuit to close")
            closed.append(_trip(nodes, "circuit_closed", count))
    return {"trips": trips, "nodes": NODES, "limit_ms": LIMIT_MS,
            **{name: {"p50_ms": quantile(times, 0.5), "p99_ms": quantile(times, 0.99), "max_ms": max(times)}
               for name, times in (("opened", opened), ("closed", closed))}}
