"""Nodes that come, go and are lost, over a real Redis."""

import signal

from cluster import Cluster, ask, told
from harness import wait_for
from load import Load


def test_three_nodes_know_each_other_and_share_the_shards(stage, mock):
    cluster = Cluster(stage, shard_count=24)
    nodes = cluster.nodes(3, mock)
    cluster.wait_all_owned()
    assert all(n > 0 for n in cluster.owned())
    for n in nodes:
        assert n.metric("weir_cluster_shards") == 24
        assert n.metric("weir_cluster_member") == 1
        assert ask(n).status == 200
        n.wait_only_events("cluster_joined", node_id=n.id)
        others = {e["node_id"] for e in n.wait_events("node_joined", 0)}
        assert n.id not in others
        assert not n.events("shards_few")


def test_a_node_that_is_killed_is_lost_and_its_shards_are_served_on(stage, mock):
    cluster = Cluster(stage, shard_count=24)
    a, b, c = cluster.nodes(3, mock)
    cluster.kill(c)
    cluster.wait_members(2)
    cluster.wait_all_owned()
    for n in (a, b):
        n.wait_only_events("node_lost", node_id=c.id)
        assert ask(n).status == 200
    back = cluster.node(mock, name="n3")
    cluster.wait_members(3)
    cluster.wait_all_owned()
    assert back.metric("weir_cluster_shards_owned") > 0


def test_without_failover_a_lost_nodes_shards_stay_its_own(stage, mock):
    cluster = Cluster(stage, shard_count=24, failover_enabled=False)
    a, b, c = cluster.nodes(3, mock)
    cluster.wait_all_owned()
    before = cluster.owned([a, b])
    cluster.kill(c)
    cluster.wait_members(2)
    assert "stay its own" in a.wait_only_events("node_lost", node_id=c.id)[0]["reason"]
    wait_for(lambda: [e.get("shards") for e in told(b, "node_lost")] == ["kept"], "the event to say so")
    assert cluster.owned([a, b]) == before
    for n in (a, b):
        for i in range(24):  # whosesoever they are
            assert ask(n, headers=[("x-session-id", f"s{i}")]).status == 200


def test_a_node_that_is_told_to_end_leaves_and_loses_nothing(stage, mock):
    cluster = Cluster(stage, shard_count=24, failover_timeout=30)  # that it is gone must not take a timeout
    a, b, c = cluster.nodes(3, mock)
    load = Load(a)
    with c.client() as waiting:
        waiting.ask("GET", "/echo", headers=[("x-mock-gate", "long")])
        mock.wait_waiting("long")
        c.tell(signal.SIGTERM)
        a.wait_events("node_drains", node_id=c.id)
        wait_for(lambda: sum(cluster.owned([a, b])) == 24, "the others to have all shards")
        load.more(50)
        mock.steps("long", "all")
        assert waiting.response().status == 200
    load.end()
    cluster.members.remove(c)
    assert c.wait() == 0
    cluster.wait_members(2)
    a.wait_only_events("node_left", node_id=c.id)
    assert not a.events("node_lost")
    c.wait_only_events("cluster_left")


def test_a_second_node_of_the_same_id_is_refused_and_serves_alone(stage, mock):
    cluster = Cluster(stage, failover_timeout=30)
    cluster.nodes(2, mock)
    twin = stage.node(mock, distributed_pool={"redis_url": cluster.url, "node_id": "n1", "failover_timeout": 30})
    refused = twin.wait_only_events("cluster_refused")[0]
    assert refused["level"] == "error"
    assert ask(twin).status == 200
    assert twin.metric("weir_cluster_member") == 0
    cluster.wait_members(2)


def test_the_guides_block_alone_makes_a_cluster(stage, mock):
    """Exactly its keys; what it leaves open is found at start."""
    cluster = Cluster(stage)
    block = {
        "enabled": True,
        "redis_url": cluster.url,
        "pool_sharding": True,
        "shard_count": 4,
        "connection_affinity": "sticky",
        "health_check_interval": 30,
        "failover_enabled": True,
        "failover_timeout": 10,
    }
    cluster.members = [stage.node(mock, distributed_pool=block) for _ in range(3)]
    cluster.wait_members(3)
    cluster.wait_all_owned()
    ids = {n.events("cluster_joined")[0]["node_id"] for n in cluster.members}
    assert len(ids) == 3
    assert {n.get("/health").json()["node_id"] for n in cluster.members} == ids
    for n in cluster.members:
        assert n.wait_only_events("shards_few")[0]["shards"] == 4
        for _ in range(8):
            assert ask(n).status == 200


def test_a_reload_tells_what_only_a_restart_changes(stage, mock):
    cluster = Cluster(stage, shard_count=24)
    a, b = cluster.nodes(2, mock)
    config = stage.config(a.port, mock, distributed_pool={"redis_url": cluster.url, "node_id": "other", "weight": 3, "shard_count": 24})
    a.reload(config)
    a.wait_events("restart_needed")
    wait_for(lambda: [n["weight"] for n in b.get("/api/cluster/nodes").json()["nodes"]] == [3, 1], "the others to hear of its weight")
    assert a.metric("weir_cluster_member") == 1
