"""weirctl --redis: the cluster as the store has it."""

import json

import pytest
from cluster import Cluster, Redis
from ctl import normal, shown, weirctl
from harness import free_port, wait_for


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
    same = lambda: stored(cluster, "events", "-n", "3")["events"] == shown("events", "-n", "3", node=node)["events"]  # noqa: E731
    wait_for(same, "the same events")
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


def test_another_cluster_is_not_there(cluster):
    for verb in ("status", "nodes", "shards", "breakers", "hints", "events", "report"):
        done = weirctl(verb, "--redis", cluster.url, "--cluster", "nope")
        assert done.returncode == 1 and not done.stdout
        assert "no cluster 'nope' in this store" in done.stderr and "--cluster NAME" in done.stderr


def test_report_over_the_history(stage, mock):
    slots = {"enabled": True, "sample_interval": 1}
    cluster = Cluster(stage, shard_count=24, connection_affinity="round_robin")
    nodes = cluster.nodes(2, {"mock": {"base_url": mock.url}}, analytics=slots)
    nothing = stored(cluster, "report", "--since", "1h")
    assert nothing["figures"] == [] and nothing["counted_seconds"] == 0 and nothing["node"] is None
    cluster.coordinator(analytics=slots)
    cluster.wait_map()

    def figures():
        return {f["figure"]: f["value"] for f in stored(cluster, "report", "--since", "1h")["figures"] if f["provider"] == "mock"}

    def reuse():
        for node in nodes:
            with node.client() as client:
                assert [client.get("/v1/models").status for _ in range(10)] == [200] * 10
        return (figures().get("connection reuse rate") or 0) > 50

    wait_for(reuse, "the load of both nodes to be in the history")
    assert figures()["failed tries, of requests"] == 0
    for since in ("1h", "24h", "7d"):  # the longer steps are not over yet, and what they lack comes from the slots
        report = stored(cluster, "report", "--since", since)
        assert report["counted_seconds"] > 0 and report["events"]["node_joined"] == 2
    lines = normal(weirctl("report", "--redis", cluster.url).stdout)
    assert lines[0].startswith("counts  all nodes', of ") and lines[0].endswith(" within the last 7 d 0 h")


NODE_S = ["pools", "limits", "alerts", "doctor", "drain n1", "undrain n1", "breaker open http://127.0.0.1:1", "reload"]


@pytest.mark.parametrize("line", NODE_S)
def test_what_only_nodes_know_or_do(line):
    """Wrong usage, whether or not there is a store."""
    for done in (weirctl(*line.split(), "--redis", "redis://127.0.0.1:1"), weirctl(*line.split(), WEIR_REDIS="redis://127.0.0.1:1")):
        assert done.returncode == 2 and not done.stdout
        assert done.stderr.startswith("weirctl: ") and ": --node URL\n" in done.stderr and "/api/" not in done.stderr


def test_followed_events_are_a_node_s():
    assert weirctl("events", "--follow", "--redis", "redis://127.0.0.1:1").returncode == 2


def test_a_node_wins_over_the_environment(node):
    done = weirctl("status", node=node, WEIR_REDIS="redis://127.0.0.1:1")
    assert done.returncode == 0 and "distributed_pool is not enabled" in done.stdout
    done = weirctl("pools", WEIR_NODE=f"http://127.0.0.1:{node.port}", WEIR_REDIS="redis://127.0.0.1:1")
    assert done.returncode == 0, done.stderr
    assert "--node wins over it" in weirctl("--help").stdout


def test_a_password(stage):
    redis = Redis(stage.scratch, args=("--user", "default", "on", ">hush", "~*", "&*", "+@all"), needs_password=True)
    stage.running.append(redis.finish)
    for url in (redis.url, f"redis://:wrong@127.0.0.1:{redis.port}"):
        done = weirctl("nodes", "--redis", url)
        assert done.returncode == 3 and not done.stdout
        assert "redis://:PASSWORD@host" in done.stderr and "WEIR_REDIS" in done.stderr and ":wrong" not in done.stderr
    # Asked with it, the store says that it has no cluster yet.
    assert weirctl("nodes", WEIR_REDIS=f"redis://:hush@127.0.0.1:{redis.port}").returncode == 1


def test_over_tls(stage, mock, pki):
    tls_port = free_port()
    keys = ("--tls-cert-file", pki / "good.pem", "--tls-key-file", pki / "good.key", "--tls-ca-cert-file", pki / "ca.pem")
    redis = Redis(stage.scratch, args=("--tls-port", tls_port, *keys, "--tls-auth-clients", "no"))
    stage.running.append(redis.finish)
    pool = {"enabled": True, "redis_url": redis.url, "node_id": "n1", "shard_count": 4}
    stage.node(mock, distributed_pool=pool)

    def ask(url, *words):
        return weirctl("nodes", "-o", "json", "--redis", url, *words)

    url = f"rediss://localhost:{tls_port}"
    trusting = ("--ca-file", str(pki / "ca.pem"))
    wait_for(lambda: ask(url, *trusting).returncode == 0, "the node to be in the store")
    assert [n["id"] for n in json.loads(ask(url, *trusting).stdout)["nodes"]] == ["n1"]
    for words in ((), ("--ca-file", str(pki / "other-ca.pem")), ("--ca-file", str(pki / "none.pem"))):
        done = ask(url, *words)
        assert done.returncode == 3 and not done.stdout and "--ca-file FILE names the authorities" in done.stderr
    # A plain port says nothing to a handshake: long before the question's own end that is told.
    done = ask(f"rediss://127.0.0.1:{redis.port}", "--timeout", "3600", *trusting)
    assert done.returncode == 3 and "TLS" in done.stderr and "begins with redis://" in done.stderr
    done = ask(f"redis://127.0.0.1:{tls_port}", "--timeout", "3600")
    assert done.returncode == 3 and "rediss://" in done.stderr


def test_no_store():
    done = weirctl("nodes", "--timeout", "0.5", "--redis", "redis://:hush@127.0.0.1:1")
    assert done.returncode == 3 and not done.stdout and "cannot be asked" in done.stderr and "hush" not in done.stderr
    assert weirctl("nodes", WEIR_REDIS="redis://127.0.0.1:1", WEIR_CLUSTER="c d", node=None).returncode == 2
    done = weirctl("nodes", "--redis", "http://:hush@x")
    assert done.returncode == 2 and "hush" not in done.stderr
    assert weirctl("nodes", "--redis", "redis://127.0.0.1:1", "--node", "http://127.0.0.1:1").returncode == 2
