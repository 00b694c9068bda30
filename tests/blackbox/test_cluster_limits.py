"""One rate limit for all nodes, and each provider's connections split over them."""

import threading
import time

from cluster import Cluster, ask
from harness import wait_for

LEASE_S = 0.35


def limited(mock, per_minute, burst, **more):
    return {"mock": {"base_url": mock.url, "rate_limit": {"requests_per_minute": per_minute, "burst": burst, **more}}}


# Nobody waits for long: what is refused is told so.
IMPATIENT = {"pool_limits": {"pool_block_timeout": 0.2}, "timeout": {"pool": 0.2}}
# A loaded machine is no slow store: a node that takes it for one spends its share.
ALONE = {"connection_affinity": "round_robin", "redis_timeout": 1}


def limit(node):
    return node.get("/api/cluster/limits").json()["limits"][0]


def wait_served(node):
    """Until a request is let through: where none is leased and the store is slow, one that waits 0.2 s is refused."""
    wait_for(lambda: ask(node).status == 200, f"{node.name} to let a request through")


def wait_seconds(node, seconds, what):
    since = node.metric("weir_uptime_seconds")
    wait_for(lambda: node.metric("weir_uptime_seconds") > since + seconds, what)


def wait_mode(nodes, mode):
    for n in nodes:
        wait_for(lambda n=n: limit(n)["mode"] == mode, f"the limit of {n.name} to be {mode}")


class Crowd:
    """Clients of all nodes who ask without a pause."""

    def __init__(self, nodes, clients=4):
        self.ending = threading.Event()
        self.answered, self.refused, self.wrong = [], [], []
        self.begun = time.monotonic()
        self.threads = [threading.Thread(target=self._run, args=(n,)) for n in nodes for _ in range(clients)]
        for t in self.threads:
            t.start()

    def _run(self, node):
        with node.client() as c:
            while not self.ending.is_set():
                status = c.get("/echo").status
                into = {200: self.answered, 429: self.refused}.get(status, self.wrong)
                into.append(status)

    def end(self):
        self.ending.set()
        for t in self.threads:
            t.join()
        assert not self.wrong, self.wrong[:5]


def test_all_nodes_keep_one_limit(stage, mock):
    """By any moment no more has come than had been earned, over all nodes, and what a lease's life adds."""
    rate, burst = 20, 10
    cluster = Cluster(stage, **ALONE)
    nodes = cluster.nodes(3, limited(mock, rate * 60, burst), http_client=IMPATIENT)
    wait_mode(nodes, "leased")
    already = len(mock.arrivals())
    crowd = Crowd(nodes)
    wait_for(lambda: len(crowd.answered) >= 120, "120 requests to be admitted")
    crowd.end()
    came = mock.arrivals(already)
    assert len(came) == len(crowd.answered) and crowd.refused
    for n, at in enumerate(came, 1):
        assert n <= burst + rate * (at - crowd.begun + LEASE_S) + 1, f"request {n} came after {at - crowd.begun:.3f} s"
    for node in nodes:
        asked = node.metric("weir_cluster_store_requests_total", op="tokens")
        assert asked <= 3 * (node.metric("weir_uptime_seconds") + 1)


def test_a_refusal_tells_the_clusters_numbers(stage, mock):
    cluster = Cluster(stage, **ALONE)
    a, b = cluster.nodes(2, limited(mock, 6, 3), http_client=IMPATIENT)
    wait_mode([a, b], "leased")
    begun = time.monotonic()

    def refusal(n):
        r = ask(n)
        return r if r.status == 429 else None

    wait_for(lambda: refusal(a), "the limit to be used up")
    r = wait_for(lambda: refusal(b), "the limit to be used up")  # not one more: a token may come meanwhile
    assert r.get("x-ratelimit-limit-requests") == "6"
    assert r.get("x-ratelimit-remaining-requests") == "0"
    assert 1 <= int(r.get("retry-after")) <= 10
    assert mock.stats()["requests"]["total"] <= 4 + (time.monotonic() - begun) * 6 / 60


def test_the_store_goes_and_each_node_keeps_its_share(stage, mock):
    cluster = Cluster(stage, **ALONE)
    a, b = cluster.nodes(2, limited(mock, 6000, 100, degraded_share=0.5), http_client=IMPATIENT)
    wait_mode([a, b], "leased")
    cluster.redis.freeze()
    wait_mode([a, b], "degraded")
    assert limit(a)["share_per_minute"] == 1500
    assert a.metric("weir_cluster_limits_degraded") == 1
    for _ in range(20):
        assert ask(a).status == ask(b).status == 200
    cluster.redis.thaw()
    wait_mode([a, b], "leased")
    assert a.metric("weir_cluster_limits_degraded") == 0
    wait_served(a)


def test_what_was_spent_alone_is_charged(stage, mock):
    cluster = Cluster(stage, **ALONE)
    # So few a minute that what is earned meanwhile does not hide what was spent.
    a = cluster.nodes(1, limited(mock, 6, 30, degraded_share=1.0), http_client=IMPATIENT)[0]
    wait_mode([a], "leased")
    cluster.redis.freeze()
    wait_mode([a], "degraded")
    for _ in range(20):
        assert ask(a).status == 200
    cluster.redis.thaw()
    wait_mode([a], "leased")
    wait_for(lambda: 0 < (limit(a)["remaining"] or 0) <= 15, "the store to have charged what was spent")


def test_fail_closed(stage, mock):
    cluster = Cluster(stage, **ALONE)
    a = cluster.nodes(1, limited(mock, 6000, 100, fail="closed"), http_client=IMPATIENT)[0]
    wait_mode([a], "leased")
    wait_served(a)
    cluster.redis.freeze()
    wait_mode([a], "closed")
    wait_for(lambda: ask(a).status == 429, "requests to be refused")
    assert ask(a).get("retry-after") == "1"
    cluster.redis.thaw()
    wait_for(lambda: ask(a).status == 200, "requests to be let through again")


def test_strict_starts_empty_and_spends_nothing_alone(stage, mock):
    rate = 20
    cluster = Cluster(stage, **ALONE)
    nodes = cluster.nodes(2, limited(mock, rate * 60, 40, strict=True), http_client=IMPATIENT)
    wait_mode(nodes, "leased")
    begun = len(mock.arrivals())
    crowd = Crowd(nodes)
    wait_for(lambda: len(crowd.answered) >= 20, "20 requests to be admitted")
    assert cluster.redis.ask("FLUSHALL") == "+OK"
    lost = time.monotonic()
    seen = len(mock.arrivals())
    wait_for(lambda: len(crowd.answered) >= seen + 20, "20 more")
    crowd.end()
    for n, at in enumerate(mock.arrivals(seen), 1):  # no second burst
        assert n <= 5 + rate * (at - lost + 2 * LEASE_S), f"request {n} came {at - lost:.3f} s after the loss"
    assert begun == 0
    cluster.redis.freeze()
    wait_mode(nodes, "closed")


def test_what_is_leased_and_not_used_goes_back(stage, mock):
    """By itself, when the lease is over; the answer tells what the store has then."""
    cluster = Cluster(stage, **ALONE)
    a = cluster.nodes(1, limited(mock, 6, 100), http_client=IMPATIENT)[0]
    wait_mode([a], "leased")
    for _ in range(20):
        wait_for(lambda: ask(a).status == 200, "a token")
    # From a bucket that was full a moment ago, what comes back might have been lost anyway.
    wait_seconds(a, 4, "the bucket to have been less than full for a while")

    def go_back():
        """Not those of a lease that was over before it was looked at, or whose end was told too late."""
        rest = limit(a)["remaining"]
        assert ask(a).status == 200
        now = limit(a)
        assert now["leased"] > 5 and now["remaining"] < rest - 5
        wait_seconds(a, 2, "the lease to be over, and that to be told")
        assert limit(a)["leased"] == 0
        return limit(a)["remaining"] >= rest - 1

    wait_for(go_back, "the tokens to be back")


def test_a_node_that_ends_leaves_at_once(stage, mock):
    cluster = Cluster(stage, failover_timeout=30, **ALONE)
    a, b = cluster.nodes(2, limited(mock, 60, 40), http_client=IMPATIENT)
    wait_mode([a, b], "leased")
    wait_served(b)
    assert cluster.leave(b) == 0
    b.wait_only_events("cluster_left")
    a.wait_only_events("node_left", node_id=b.id)
    wait_served(a)


def test_connections_follow_the_shards(stage, mock):
    """ceil(90 x owned / 24) each, and all of them again for the one that is left."""
    cluster = Cluster(stage, shard_count=24, connection_affinity="round_robin", pool_sharding=True)
    pool = {"pool_limits": {"max_connections": 90, "max_keepalive_connections": 30}}
    a, b, c = cluster.nodes(3, mock, http_client=pool)
    cluster.wait_all_owned()

    def holds(n):
        owned = int(n.metric("weir_cluster_shards_owned"))
        shown = n.pool("mock")
        return shown["max_connections"] == -(-90 * owned // 24) and shown["max_keepalive_connections"] == -(-30 * owned // 24)

    for n in (a, b, c):
        wait_for(lambda n=n: holds(n), f"the limit of {n.name} to follow its shards")
        n.wait_events("pool_sharded")
        assert n.pool("mock")["max_connections"] < 90
    cluster.leave(b)
    cluster.leave(c)
    wait_for(lambda: a.pool("mock")["max_connections"] == 90, "all connections to be the last node's")


def test_without_pool_sharding_each_has_all(stage, mock):
    cluster = Cluster(stage, shard_count=24, pool_sharding=False)
    a, b = cluster.nodes(2, mock, http_client={"pool_limits": {"max_connections": 90}})
    cluster.wait_all_owned()
    assert a.pool("mock")["max_connections"] == b.pool("mock")["max_connections"] == 90
