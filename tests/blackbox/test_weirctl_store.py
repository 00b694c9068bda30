"""weirctl --redis: the cluster as the store has it."""

import json

import pytest
from cluster import Cluster
from ctl import normal, shown, weirctl
from harness import wait_for


@pytest.fixture
def cluster(stage, mock):
    cluster = Cluster(stage, shard_count=24)
    on = {"circuit_breaker": {"failure_threshold": 5, "recovery_timeout": 60}}
    cluster.nodes(2, {"mock": {"base_url": mock.url}}, http_client=on)
    cluster.coordinator()
    cluster.wait_map()
    return cluster


def stored(cluster, *words):
    done = weirctl(*words, "-o", "json", "--redis", cluster.url)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_store_says_what_nodes_say(cluster):
    node = cluster.members[0]
    for verb, rows, keys in (
        ("nodes", "nodes", ("id", "advertise", "state", "alive", "weight", "version", "shards")),
        ("shards", "owners", ("node", "ranges", "count")),
        ("breakers", "breakers", ("endpoint", "state", "generation")),
    ):
        def pick(answer):
            return [{key: row[key] for key in keys} for row in answer[rows]]

        wait_for(lambda: pick(stored(cluster, verb)) == pick(shown(verb, node=node)), f"the same {verb}")
    state = stored(cluster, "status")
    assert state["nodes"] == {"alive": 2, "total": 2} and state["shard_count"] == 24 and state["node"] is None
    assert stored(cluster, "events", "-n", "3")["events"] == shown("events", "-n", "3", node=node)["events"]
    assert stored(cluster, "rebalance", "--dry-run")["moves"] == []
    lines = normal(weirctl("status", "--redis", cluster.url).stdout)
    assert lines[0] == "cluster  default" and "nodes  2 of 2 alive" in lines


def test_an_open_circuit(cluster, mock):
    wait_for(lambda: stored(cluster, "breakers")["breakers"], "the circuit to be shared")
    assert weirctl("breaker", "open", "mock", node=cluster.members[0]).returncode == 0
    wait_for(lambda: stored(cluster, "breakers")["breakers"][0]["state"] == "open", "the store to have it open")


def test_hints(cluster):
    answer = json.loads(weirctl("hints", "-o", "json", "--redis", cluster.url).stdout)
    assert answer["schema"] == 1 and ("reason" in answer or answer["valid"])


def test_another_cluster_has_nobody(cluster):
    assert stored(cluster, "nodes", "--cluster", "other")["nodes"] == []


def test_what_only_nodes_know_or_do(cluster):
    for words in (("limits",), ("pools",), ("drain", "n1"), ("breaker", "open", "http://127.0.0.1:1")):
        done = weirctl(*words, "--redis", cluster.url)
        assert done.returncode == 1 and not done.stdout and "Ask a node" in done.stderr
    assert weirctl("events", "--follow", "--redis", cluster.url).returncode == 2


def test_no_store():
    done = weirctl("nodes", "--timeout", "0.5", "--redis", "redis://:hush@127.0.0.1:1")
    assert done.returncode == 3 and not done.stdout and "cannot be asked" in done.stderr and "hush" not in done.stderr
    assert weirctl("nodes", WEIR_REDIS="redis://127.0.0.1:1", WEIR_CLUSTER="c d", node=None).returncode == 2
    done = weirctl("nodes", "--redis", "http://:hush@x")
    assert done.returncode == 2 and "hush" not in done.stderr
    assert weirctl("nodes", "--redis", "redis://127.0.0.1:1", "--node", "http://127.0.0.1:1").returncode == 2
