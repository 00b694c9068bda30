"""What the store may do to a cluster: be away in every way there is, be slow, refuse, lose its contents. The nodes serve
on, say so once, and are together again when it is back."""

import pytest
from cluster import Cluster, ask
from harness import wait_for
from load import Load


# A loaded machine is neither a slow store nor a silent node.
PATIENT = {"redis_timeout": 1, "failover_timeout": 6}


class Trial:
    """Three nodes under load while something happens to their store."""

    def __init__(self, stage, mock, through_wire=False):
        self.cluster = Cluster(stage, shard_count=24, **PATIENT)
        self.redis = self.cluster.redis
        self.wire = self.cluster.wire() if through_wire else None
        self.nodes = self.cluster.nodes(3, mock)
        self.loads = [Load(n, clients=2) for n in self.nodes]

    def away(self, why=None):
        """The nodes have noticed, each has said so once, and all go on."""
        self.cluster.wait_contact(0)
        for n in self.nodes:
            lost = n.wait_only_events("store_lost")
            assert why is None or why in lost[0]["reason"], lost
            assert ask(n, "/health/ready").status == 200
        self.cluster.wait_silence()
        for load in self.loads:
            load.more(50)

    def back(self):
        """The state is right again; nobody was taken for dead, and no request has failed."""
        self.cluster.wait_contact(1)
        self.cluster.wait_members(3)
        self.cluster.wait_all_owned()
        for load in self.loads:
            load.more(50)
            load.end()
        for n in self.nodes:
            wait_for(lambda n=n: n.tells_in_turn("store_lost", "store_back"), "each loss and each return to be told once")
            assert not n.events("node_lost")


def test_frozen(stage, mock):
    t = Trial(stage, mock)
    t.redis.freeze()
    t.away()
    t.redis.thaw()
    t.back()


def test_killed_and_started_again_empty(stage, mock):
    t = Trial(stage, mock)
    t.redis.kill()
    t.away()
    t.cluster.start_redis(port=t.redis.port)
    t.back()
    for n in t.nodes:
        n.wait_only_events("store_anew")


def test_contents_lost_under_their_feet(stage, mock):
    t = Trial(stage, mock)
    assert t.redis.ask("FLUSHALL") == "+OK"
    for n in t.nodes:
        n.wait_only_events("store_anew")
    t.cluster.wait_members(3)
    t.cluster.wait_all_owned()
    for n, load in zip(t.nodes, t.loads):
        load.more(50)
        load.end()
        assert not n.events("node_lost")


def test_cut_off(stage, mock):
    t = Trial(stage, mock, through_wire=True)
    t.wire.cut()
    t.away()
    t.wire.mend()
    t.back()


def test_slow(stage, mock):
    """Answers come after two seconds, which is as good as none."""
    t = Trial(stage, mock, through_wire=True)
    t.wire.delay_s = 2.0
    t.away()
    t.wire.delay_s = 0.0
    t.back()


def test_refuses_writes(stage, mock):
    t = Trial(stage, mock)
    assert t.redis.ask("CONFIG SET maxmemory 1") == "+OK"
    t.away()
    assert t.redis.ask("CONFIG SET maxmemory 0") == "+OK"
    t.back()


def test_some_nodes_are_cut_off(stage, mock):
    """The others do take them for lost, and hand them nothing; the ones cut off serve on."""
    cluster = Cluster(stage, shard_count=24, **PATIENT)
    a, b = cluster.nodes(2, mock)
    wire = cluster.wire()
    c = cluster.node(mock)
    cluster.wait_members(3)
    loads = [Load(n, clients=2) for n in (a, b, c)]
    wire.cut()
    c.wait_events("store_lost")
    a.wait_events("node_lost", node_id=c.id)
    cluster.wait_all_owned([a, b])
    for load in loads:
        load.more(50)
    wire.mend()
    cluster.wait_members(3)
    cluster.wait_all_owned()
    for load in loads:
        load.more(50)
        load.end()
    a.wait_only_events("node_back", node_id=c.id)


def test_away_at_the_start(stage, mock):
    """The node is ready at once, and joins later."""
    cluster = Cluster(stage)
    port = cluster.redis.port
    cluster.redis.kill()
    node = cluster.node(mock)
    assert ask(node).status == 200
    assert node.metric("weir_cluster_store_contact") == 0
    assert not node.events("cluster_joined")
    node.wait_only_events("store_lost")
    cluster.start_redis(port=port)
    node.wait_only_events("cluster_joined")
    cluster.wait_members(1)


@pytest.mark.parametrize("busy", [False, True])
def test_how_often_the_store_is_asked(stage, mock, busy):
    """An idle node at most 5 times a second, a busy one 50; and no request of a client's makes one."""
    cluster = Cluster(stage, failover_timeout=10)
    node = cluster.nodes(1, {"mock": {"base_url": mock.url, "rate_limit": {"requests_per_minute": 10**6}}})[0]
    load = Load(node, clients=4) if busy else None
    wait_for(lambda: node.metric("weir_uptime_seconds") > 2, "the start to be over")
    # Looked at within the time that it is counted against, however long a look takes.
    since, before = node.metric("weir_uptime_seconds"), node.metric("weir_cluster_store_requests_total")
    wait_for(lambda: node.metric("weir_uptime_seconds") > since + 4, "some seconds to pass")
    asked = node.metric("weir_cluster_store_requests_total") - before
    assert asked <= (50 if busy else 5) * (node.metric("weir_uptime_seconds") - since)
    if load:
        assert len(load.end()) > 0
