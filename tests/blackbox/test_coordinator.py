"""weir-coordinator over a real Redis: who leads, what it publishes, its pages, and what it says when it cannot begin."""

import signal
import subprocess

import pytest
from cluster import Cluster
from coordinator import Coordinator
from harness import WAIT_S, free_port, program, wait_for
from http1 import Client

@pytest.fixture
def cluster(stage):
    return Cluster(stage, shard_count=24)


def test_it_publishes_a_map_that_nodes_take(stage, cluster, mock):
    a, b = cluster.nodes(2, mock)
    one = Coordinator(stage, cluster, "one")
    one.wait_leads()

    def epochs():
        return {one.metric("weir_coordinator_map_epoch"), *(n.metric("weir_cluster_map_epoch") for n in (a, b))}

    wait_for(lambda: len(epochs()) == 1 and min(epochs()) > 0, "the nodes to take the map, and its own metrics to say so")
    wait_for(lambda: sorted(cluster.owned()) == [12, 12], "each node to have its part")
    c = cluster.node(mock)
    wait_for(lambda: sorted(cluster.owned()) == [8, 8, 8], "a third node to get its part")
    cluster.kill(c)
    wait_for(lambda: sorted(cluster.owned()) == [12, 12], "its shards to go to the others")
    wait_for(lambda: c.id in [e["node_id"] for e in one.events("node_lost")], "it to say so")


@pytest.mark.parametrize("how", ["killed", "frozen", "ended"])
def test_a_standby_takes_over(stage, cluster, mock, how):
    one = Coordinator(stage, cluster, "one")
    one.wait_leads()
    two = Coordinator(stage, cluster, "two")
    wait_for(lambda: two.ready()["leader"] == "one", "the standby to know who leads")
    wait_for(lambda: "one" in [e["node_id"] for e in two.events("coordinator_stands_by")], "it to say so")
    wait_for(lambda: two.ready()["leads"] is False and two.get("/health/ready").status == 200, "it to be ready, and not to lead")
    one.tell({"killed": signal.SIGKILL, "frozen": signal.SIGSTOP, "ended": signal.SIGTERM}[how])
    two.wait_leads()
    if how == "killed":
        one.popen.wait()
        one.stopped = True
    elif how == "frozen":
        one.tell(signal.SIGCONT)
        wait_for(lambda: one.events("coordinator_follows"), "the one that was frozen to know that it does not lead")
        wait_for(lambda: one.ready()["leads"] is not two.ready()["leads"], "one of them to lead")
    else:
        assert one.wait() == 0


def test_it_can_be_ended_from_its_first_word_on(stage, cluster):
    for i in range(5):
        one = Coordinator(stage, cluster, f"one{i}")
        wait_for(lambda one=one: one.events("start"), "it to begin")
        one.tell(signal.SIGTERM)
        assert one.wait() == 0


def test_the_store_goes_and_comes_back(stage, cluster):
    one = Coordinator(stage, cluster, "one")
    one.wait_leads()
    cluster.redis.freeze()
    wait_for(lambda: one.get("/health/ready").status == 503, "it to be unready")
    assert one.get("/health/live").status == 200 and one.metric("weir_coordinator_store_contact") == 0
    cluster.redis.thaw()
    wait_for(lambda: one.get("/health/ready").status == 200 and one.ready()["leads"], "it to lead again")
    wait_for(lambda: one.tells_in_turn("store_lost", "store_back"), "a line for each change")


def test_it_starts_before_the_store(stage, cluster):
    port = free_port()
    one = Coordinator(stage, cluster, "one", url=f"redis://127.0.0.1:{port}")
    wait_for(lambda: one.get("/health/live").status == 200, "it to live")
    assert one.get("/health/ready").status == 503
    wait_for(lambda: one.events("store_lost"), "it to say what it waits for")
    cluster.start_redis(port)
    one.wait_leads()
    wait_for(lambda: len(one.events("store_lost")) == len(one.events("store_back")), "a line for each change")


def test_reload(stage, cluster):
    one = Coordinator(stage, cluster, "one")
    one.wait_leads()
    one.config["distributed_pool"]["failover_timeout"] = 3
    one.write()
    one.tell(signal.SIGHUP)
    wait_for(lambda: one.events("reload"), "the reload")
    one.config["distributed_pool"]["cluster"] = "other"
    one.write()
    one.tell(signal.SIGHUP)
    wait_for(lambda: one.events("restart_needed"), "the word that a restart is needed")
    one.path.write_text("distributed_pool: {shard_count: none}")
    one.tell(signal.SIGHUP)
    wait_for(lambda: one.events("reload_failed") and one.events("config_error"), "the reload to fail")
    one.wait_leads()


def test_pages(stage, cluster):
    one = Coordinator(stage, cluster, "one")
    one.wait_leads()
    assert one.get("/health/live?x=1").status == 200
    assert one.get("/other").status == 404
    assert one.get("/metrics/prometheus").get("content-type").startswith("text/plain; version=0.0.4")
    with Client(one.port) as c:
        assert c.request("POST", "/health/live", body=b"x" * 100).status == 405
        assert c.request("HEAD", "/health/live").status == 200
    with Client(one.port) as c:
        c.send(b"GARBAGE\r\n\r\n")
        assert c.response().status == 400
    crowd = [Client(one.port) for _ in range(80)]  # more than it takes
    for c in crowd:
        c.close()
    wait_for(lambda: one.get("/health/live").status == 200, "it to answer after a crowd")


def run(*words):
    return subprocess.run([program("weir-coordinator"), *words], capture_output=True, text=True, timeout=WAIT_S)


def test_check(tmp_path):
    good, off, bad = (tmp_path / name for name in ("good.yaml", "off.yaml", "bad.yaml"))
    good.write_text("distributed_pool: {redis_url: 'redis://localhost:6379'}\n")
    off.write_text("server: {listen: '127.0.0.1:8000'}\n")
    bad.write_text("distributed_pool: {redis_ulr: 'redis://localhost:6379'}\n")
    assert run("--check", "-c", str(good)).returncode == 0
    done = run("--check", "-c", str(off))
    assert done.returncode == 2 and "no cluster to coordinate" in done.stderr
    done = run("-c", str(bad))
    assert done.returncode == 2 and "redis_url" in done.stderr
    assert run("-c", str(tmp_path / "none.yaml")).returncode == 2


def test_a_port_in_use(stage, cluster):
    one = Coordinator(stage, cluster, "one")
    one.wait_leads()
    done = run("-c", str(one.path))
    assert done.returncode == 1 and "coordinator.listen" in done.stderr
