"""What a provider sees of a cluster: connections of owners only, and one limit, though a node is lost."""

import threading
import time

import pytest
from cluster import Cluster, ask
from harness import wait_for

SHARDS = 24
LEASE_S = 0.35

pytestmark = pytest.mark.slow


def test_only_owners_hold_connections(stage, mock):
    """One key, asked for everywhere at once: its provider sees one node, which keeps to its share."""
    cluster = Cluster(stage, shard_count=SHARDS)
    nodes = cluster.nodes(3, mock, http_client={"pool_limits": {"max_connections": 12}})
    cluster.wait_all_owned()
    owner = next(n for n in nodes if n.id == ask(nodes[0], headers=[("x-session-id", "k")]).get("x-weir-node"))
    share = -(-12 * int(owner.metric("weir_cluster_shards_owned")) // SHARDS)
    wait_for(lambda: owner.pool("mock")["max_connections"] == share, f"the share of {owner.name} to be {share}")
    clients = []
    try:
        for n in nodes:
            for _ in range(4):
                clients.append(n.client())
                clients[-1].ask("GET", "/echo", [("x-session-id", "k"), ("x-mock-gate", "g")])
        mock.wait_waiting("g", share)
        wait_for(lambda: owner.metric("weir_pool_queued_total") == 12 - share, "the others to wait in line")
        assert mock.waiting("g") == share
        for n in nodes:
            if n is not owner:
                assert n.pool("mock")["active_connections"] == 0
        mock.steps("g", "all")
        answers = [c.response() for c in clients]
    finally:
        for c in clients:
            c.close()
    assert [(r.status, r.get("x-weir-node")) for r in answers] == [(200, owner.id)] * 12


def test_a_provider_sees_no_more_connections_than_one_node_would_make(stage, mock):
    """Shares add up to the limit."""
    cluster = Cluster(stage, shard_count=SHARDS)
    nodes = cluster.nodes(3, mock, http_client={"pool_limits": {"max_connections": 12}})
    wait_for(lambda: set(cluster.owned()) == {SHARDS // 3}, "each node to own a third of the shards")
    wait_for(lambda: {n.pool("mock")["max_connections"] for n in nodes} == {4}, "each node to have its share")
    clients = []
    try:
        for i in range(60):
            clients.append(nodes[i % 3].client())
            clients[-1].ask("GET", "/echo", [("x-session-id", f"k{i}"), ("x-mock-gate", "g")])
        mock.wait_waiting("g", 12)
        wait_for(lambda: sum(n.metric("weir_pool_queued_total") for n in nodes) == 60 - 12, "the others to wait in line")
        assert mock.waiting("g") == 12
        mock.steps("g", "all")
        assert {c.response().status for c in clients} == {200}
    finally:
        for c in clients:
            c.close()


class Crowd:
    """Clients of one node who ask without a pause, until it ends or is lost."""

    def __init__(self, node, clients):
        self.node, self.ending, self.admitted = node, threading.Event(), []
        self.threads = [threading.Thread(target=self._run, daemon=True) for _ in range(clients)]
        for t in self.threads:
            t.start()

    def _run(self):
        try:
            with self.node.client() as c:
                while not self.ending.is_set():
                    if c.get("/echo").status == 200:
                        self.admitted.append(time.monotonic())
        except Exception:  # noqa: BLE001 - the node is lost; what counts is what the provider has seen
            pass

    def end(self):
        self.ending.set()
        for t in self.threads:
            t.join()


def test_a_limit_holds_while_a_node_is_lost(stage, mock):
    """Its load ten times the others'. What it had leased is lost with it; no moment sees more than had been earned."""
    rate, burst = 20, 10
    limit = {"mock": {"base_url": mock.url, "rate_limit": {"requests_per_minute": rate * 60, "burst": burst}}}
    impatient = {"pool_limits": {"pool_block_timeout": 0.2}, "timeout": {"pool": 0.2}}
    cluster = Cluster(stage, connection_affinity="round_robin")
    nodes = cluster.nodes(4, limit, http_client=impatient)
    for n in nodes:
        wait_for(lambda n=n: n.get("/api/cluster/limits").json()["limits"][0]["mode"] == "leased", f"{n.name} to lease")
    already, begun = len(mock.arrivals()), time.monotonic()
    crowds = [Crowd(n, 10 if n is nodes[0] else 1) for n in nodes]
    wait_for(lambda: sum(len(c.admitted) for c in crowds) >= 60, "60 requests to be admitted")
    cluster.kill(nodes[0])
    cluster.wait_members(3)
    seen = len(mock.arrivals())
    wait_for(lambda: len(mock.arrivals()) >= seen + 60, "60 more")
    for c in crowds:
        c.end()
    for n, at in enumerate(mock.arrivals(already), 1):
        assert n <= burst + rate * (at - begun + LEASE_S) + 1, f"request {n} came after {at - begun:.3f} s"
