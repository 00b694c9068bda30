"""Ways for a store to be away that need more than a signal: behind a firewall, and failing over."""

import firewall
import pytest
from cluster import Cluster
from harness import wait_for
from sentinels import Watched
from test_cluster_accept_failover import Epochs
from tracked import Tracked

SHARDS = 24

pytestmark = pytest.mark.slow


@pytest.mark.skipif(not firewall.CAN_RUN, reason="only root can make network namespaces, and it takes nft")
def test_behind_a_firewall_that_drops_everything(stage, mock):
    """No reset and no refusal: what is sent is never answered."""
    wall = firewall.Firewalled()
    stage.running.append(wall.close)
    cluster = Cluster(stage, redis=False, shard_count=SHARDS)
    wall.redis(cluster)
    nodes = cluster.nodes(3, mock)
    loads = [Tracked(n, clients=2) for n in nodes]
    wall.cut()
    cluster.wait_contact(0)
    cluster.wait_silence()
    for n, load in zip(nodes, loads):
        n.wait_only_events("store_lost")
        load.more(100)
    wall.mend()
    cluster.wait_contact(1)
    cluster.wait_members(3)
    cluster.wait_all_owned()
    for n, load in zip(nodes, loads):
        load.more(50)
        load.end()
        assert not load.failed(), load.failed()[:5]
        n.wait_only_events("store_back")
        assert not n.events("node_lost")


def test_sentinels_promote_the_replica(stage, mock):
    watched = Watched(stage)
    cluster = Cluster(stage, redis=False, shard_count=SHARDS)
    cluster.url = watched.url
    nodes = cluster.nodes(3, mock)
    cluster.coordinator()
    cluster.wait_map()
    loads = [Tracked(n, clients=2) for n in nodes]
    epochs = Epochs(nodes)
    watched.lose_master()
    for n in nodes:
        assert n.wait_only_events("store_back")[0]["store"] == f"127.0.0.1:{watched.master.port}"
    cluster.wait_contact(1)
    cluster.wait_members(3)
    cluster.wait_all_owned()
    for n, load in zip(nodes, loads):
        load.more(50)
        load.end()
        assert not load.failed(), load.failed()[:5]
        assert not n.events("node_lost")
    epochs.end()


def test_the_replica_that_takes_over_knows_an_older_map(stage, mock):
    """What the lost master had been told last is gone: nodes keep the newer map, and the next one is newer still."""
    watched = Watched(stage)
    cluster = Cluster(stage, redis=False, shard_count=SHARDS)
    cluster.url = watched.url
    nodes = cluster.nodes(2, mock)
    cluster.coordinator()
    cluster.wait_map()
    old = nodes[0].metric("weir_cluster_map_epoch")
    watched.replica.freeze()
    assert watched.master.ask("CLIENT KILL TYPE replica") == ":1"
    nodes += cluster.nodes(1, mock)
    for n in nodes:
        wait_for(lambda n=n: n.metric("weir_cluster_map_epoch") > old, f"{n.name} to have a newer map")
    cluster.wait_all_owned()
    newer = max(n.metric("weir_cluster_map_epoch") for n in nodes)
    loads = [Tracked(n, clients=2) for n in nodes]
    epochs = Epochs(nodes)
    watched.master.kill()
    watched.replica.thaw()
    wait_for(lambda: watched.master_port() == watched.replica.port, "the sentinels to promote the replica")
    watched.master, watched.replica = watched.replica, watched.master
    cluster.wait_contact(1)
    cluster.wait_members(3)
    for n in nodes:
        wait_for(lambda n=n: n.metric("weir_cluster_map_epoch") > newer, f"{n.name} to have a map above {newer}")
    cluster.wait_all_owned()
    for n, load in zip(nodes, loads):
        load.more(50)
        load.end()
        assert not load.failed(), load.failed()[:5]
    epochs.end()
