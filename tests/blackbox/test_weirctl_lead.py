"""weirctl status says which coordinator leads now, which need not be the one whose map is in force."""

import json
import signal

from cluster import Cluster
from coordinator import Coordinator
from ctl import normal, weirctl
from harness import wait_for


def by_store(cluster, *words):
    done = weirctl("status", *words, "--redis", cluster.url)
    assert done.returncode == 0, done.stderr
    return done.stdout


def by_node(node):
    return json.loads(weirctl("status", "-o", "json", node=node).stdout)


def coordinator_of(status):
    """On a loaded machine a node may be without contact for a moment, and does not know then."""
    return status["lead"]["coordinator"] if status["lead"] else "not known"


def leads(cluster, node):
    """By the node's page, and by the store."""
    return [coordinator_of(a) for a in (by_node(node), json.loads(by_store(cluster, "-o", "json")))]


def lines_of_lead(cluster, node):
    texts = (weirctl("status", node=node).stdout, by_store(cluster, "-o", "wide"))
    return [line for text in texts for line in normal(text) if line.startswith("coordinator")]


def kill(coordinator):
    coordinator.tell(signal.SIGKILL)
    coordinator.popen.wait()
    coordinator.stopped = True


def test_who_leads_now(stage, mock):
    # A node that is slow is not lost: the second coordinator would publish a map of its own.
    cluster = Cluster(stage, shard_count=24, failover_timeout=10, redis_timeout=2)
    node = cluster.node({"mock": {"base_url": mock.url}})
    wait_for(lambda: lines_of_lead(cluster, node) == ["coordinator none has led yet"] * 2, "both to say that none has led")
    one = Coordinator(stage, cluster, "one")
    one.wait_leads()
    cluster.wait_map()
    two = Coordinator(stage, cluster, "two")
    wait_for(lambda: two.ready()["leader"] == "one", "the second one to stand by")
    wait_for(lambda: leads(cluster, node) == ["one", "one"], "the first one to be named")
    lines_begin = lambda text: all(line.startswith(text) for line in lines_of_lead(cluster, node))
    wait_for(lambda: lines_begin("coordinator one leads"), "tables to name it")
    state = json.loads(by_store(cluster, "-o", "json"))
    assert 0 < state["lead"]["lease_seconds"] <= 60 and state["lead"]["terms"] == 1
    kill(one)
    two.wait_leads()
    wait_for(lambda: leads(cluster, node) == ["two", "two"], "the second one to be named")
    assert by_node(node)["leader"] == "one", "the map is the first one's still"
    wait_for(lambda: "coordinator: two" in weirctl("status", "-o", "yaml", node=node).stdout, "YAML to name it")
    kill(two)
    wait_for(lambda: leads(cluster, node) == [None, None], "the lease to run out")
    nobody = ["coordinator no coordinator leads: the map stays as it is"] * 2
    wait_for(lambda: lines_of_lead(cluster, node) == nobody, "tables to say that nobody does")
    assert json.loads(by_store(cluster, "-o", "json"))["lead"]["terms"] == 2


def test_who_leads_is_not_known_without_the_store(stage, mock):
    cluster = Cluster(stage, shard_count=24, redis_timeout=1)
    node = cluster.node({"mock": {"base_url": mock.url}})
    Coordinator(stage, cluster, "one").wait_leads()
    wait_for(lambda: coordinator_of(by_node(node)) == "one", "it to be named")
    cluster.redis.kill()
    cluster.wait_contact(False)
    done = weirctl("status", "-o", "json", node=node)
    assert done.returncode == 3 and json.loads(done.stdout)["lead"] is None
    assert "coordinator not known without contact to the store" in normal(weirctl("status", node=node).stdout)
