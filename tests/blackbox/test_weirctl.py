"""weirctl against real nodes: what it shows, its exit codes, and what it says when something is wrong."""

import json
import re
import signal
import ssl
import subprocess

import pytest
import yaml
from cluster import Cluster
from ctl import shown, weirctl
from harness import Process, free_port, program, wait_for

LIMITED = {"rate_limit": {"requests_per_minute": 600, "burst": 20}}


@pytest.fixture
def cluster(stage):
    return Cluster(stage, shard_count=24, redis_timeout=5)


def providers(mock):
    return {"mock": {"base_url": mock.url, **LIMITED}}


def test_a_cluster_as_each_of_its_nodes_shows_it(cluster, mock):
    nodes = cluster.nodes(3, providers(mock))
    cluster.wait_all_owned()
    for node in nodes:
        state = shown("status", node=node)
        assert state["schema"] == 1 and state["node"] == node.id and state["cluster"] == "default"
        assert state["contact"] is True and state["nodes"] == {"alive": 3, "total": 3}
        assert state["store"] == cluster.url and state["shard_count"] == 24
        rows = shown("nodes", node=node)["nodes"]
        assert [row["id"] for row in rows] == sorted(n.id for n in nodes)
        assert [row["id"] for row in rows if row["self"]] == [node.id]
        assert all(row["alive"] and row["state"] == "active" for row in rows)
        owners = shown("shards", node=node)["owners"]
        assert sum(owner["count"] for owner in owners) == 24 == sum(row["shards"] for row in rows)
        for owner in owners:
            assert owner["count"] == sum(last - first + 1 for first, last in owner["ranges"])
    assert sum(shown("status", node=n)["owned"] for n in nodes) == 24


def test_tables_say_the_same_and_have_no_colours_in_a_pipe(cluster, mock):
    a, b = cluster.nodes(2, providers(mock))
    for verb in ("status", "nodes", "shards", "breakers", "limits", "events"):
        for form in ("table", "wide"):
            done = weirctl(verb, "-o", form, node=a)
            assert done.returncode == 0 and done.stdout and "\033" not in done.stdout, done
    table = weirctl("nodes", node=a).stdout.splitlines()
    assert len(table) == 3 and table[1].startswith(f"{a.id} *") and table[2].startswith(f"{b.id} ")
    assert "2 of 2 alive" in weirctl("status", node=a).stdout
    assert "leased" in weirctl("limits", node=a).stdout


def test_yaml_is_the_same_as_json(cluster, mock):
    node = cluster.node(providers(mock))
    cluster.wait_members(1)
    for verb in ("nodes", "shards", "breakers"):
        read = yaml.safe_load(weirctl(verb, "-o", "yaml", node=node).stdout)
        wanted = shown(verb, node=node)
        for answer in (read, wanted):  # they were taken at different moments
            answer.pop("timestamp")
            for row in answer.get("nodes", []) + answer.get("breakers", []):
                row.pop("load", None), row.pop("age_ms", None), row.pop("state_seconds", None)
        assert read == wanted


def test_an_open_circuit_is_shown_by_the_other_node(stage, cluster, mock):
    on = {"http_client": {"circuit_breaker": {"failure_threshold": 3, "recovery_timeout": 60}}}
    a, b = cluster.nodes(2, providers(mock), **on)
    mock.plan(status=500)
    for _ in range(3):
        a.get("/v1/models")

    def is_open():
        (row,) = shown("breakers", node=b)["breakers"]
        return row["state"] == "open" and row["shared"]

    wait_for(is_open, "the other node to show the circuit open")
    assert "open" in weirctl("breakers", node=b).stdout


def test_limits(cluster, mock):
    node = cluster.node(providers(mock))
    cluster.wait_members(1)
    (limit,) = shown("limits", node=node)["limits"]
    assert limit["provider"] == "mock" and limit["requests_per_minute"] == 600 and limit["burst"] == 20
    assert limit["mode"] == "leased" and limit["fail"] == "open" and limit["strict"] is False


def test_the_store_is_away(cluster, mock):
    node = cluster.node(providers(mock))
    cluster.wait_members(1)
    assert weirctl("status", node=node).returncode == 0
    cluster.redis.freeze()
    cluster.wait_contact(0)
    done = weirctl("status", node=node)
    assert done.returncode == 3 and re.search(r"OUT OF REACH since \S+: no answer within 5000 ms", done.stdout), done.stdout
    assert weirctl("nodes", node=node).returncode == 0  # what it knows is shown all the same
    cluster.redis.thaw()
    cluster.wait_contact(1)
    assert weirctl("status", node=node).returncode == 0


class Follower(Process):
    def __init__(self, stage, node, *words):
        argv = [program("weirctl"), "events", "--follow", "-o", "json", "--node", f"http://127.0.0.1:{node.port}", *words]
        super().__init__(argv, stage.scratch, f"follower{next(stage.number)}")
        stage.running.append(self.finish)

    def events(self):
        whole, _, _ = self.out.rpartition("\n")
        return [json.loads(line) for line in whole.splitlines()]

    def finish(self):
        if self.alive():
            self.popen.kill()
            self.popen.wait()
        self.stopped = True
        super().finish()


def test_events_are_followed(stage, cluster, mock):
    a, b, c = cluster.nodes(3, providers(mock))
    follower = Follower(stage, a, "-n", "100")
    cluster.kill(c)
    wait_for(lambda: any(e["event"] == "node_lost" and e["node"] == c.id for e in follower.events()), "the event")
    assert all("unix_ms" in e for e in follower.events())

    def page(count):
        return [e["id"] for e in shown("events", "-n", str(count), node=a)["events"]]

    def followed():
        return [e["id"] for e in follower.events()]

    assert followed() == sorted(set(followed()))
    wait_for(lambda: page(1000)[-len(followed()):] == followed() and page(1) == followed()[-1:], "the page to say the same")
    # The node ends: the follower hears of it, and does not hold the node up.
    a.tell(signal.SIGTERM)
    assert follower.wait() == 3
    assert "ended the stream" in follower.err
    cluster.members.remove(a)
    assert a.wait() == 0


def test_a_node_that_has_been_restarted_shows_what_was_before(cluster, mock):
    a, b = cluster.nodes(2, providers(mock))

    def ids(node):
        return [e["id"] for e in shown("events", "-n", "1000", node=node)["events"]]

    wait_for(lambda: len(ids(a)) >= 2, "both to be told of")
    cluster.leave(b)
    again = cluster.node(providers(mock), name="n2")
    cluster.wait_members(2)
    wait_for(lambda: len(ids(again)) >= 3 and ids(again) == ids(a), "the same events on both")
    assert ids(a)[0] == 1 and len(set(ids(a))) == len(ids(a))
    # And what it has missed while the store was away from it alone.
    wire = cluster.wire()
    cut_off = cluster.node(providers(mock), name="n3")
    wait_for(lambda: ids(cut_off) == ids(a), "the same events on the third")
    wire.cut()
    cluster.wait_contact(0, [cut_off])
    cluster.kill(again)
    wait_for(lambda: "n2" in [e["node"] for e in shown("events", node=a)["events"] if e["event"] == "node_lost"], "the loss")
    wire.mend()
    wait_for(lambda: ids(cut_off) == ids(a), "what it has missed")


def test_loads_are_those_of_now(stage, mock):
    cluster = Cluster(stage, connection_affinity="round_robin", redis_timeout=5)
    a, b, c = cluster.nodes(3, providers(mock))
    mock.plan(gate="g")

    def in_flight(node):
        return {row["id"]: row["load"]["in_flight"] for row in shown("nodes", node=node)["nodes"]}[b.id]

    assert in_flight(a) == 0
    with b.client() as client:
        client.ask("GET", "/v1/models")
        mock.wait_waiting("g")
        wait_for(lambda: in_flight(a) == 1, "the request on the other node's page")
        assert in_flight(c) == 1  # the first page that it is asked for
        mock.steps("g", "all")
        assert client.response().status == 200
    wait_for(lambda: in_flight(a) == 0, "it to be gone")


def test_loads_while_the_store_does_not_answer(cluster, mock):
    a, b = cluster.nodes(2, providers(mock))
    cluster.redis.freeze()
    while a.metric("weir_cluster_store_contact") == 1:
        assert len(shown("nodes", node=a)["nodes"]) == 2
    assert len(shown("nodes", node=a)["nodes"]) == 2


def test_a_node_that_is_alone(stage, mock):
    node = stage.node({"mock": {"base_url": mock.url, **LIMITED}})
    state = shown("status", node=node)
    assert state["cluster"] is None and state["contact"] is None and state["nodes"] == {"alive": 1, "total": 1}
    assert shown("shards", node=node)["owners"] == [] and shown("events", node=node)["events"] == []
    (limit,) = shown("limits", node=node)["limits"]
    assert limit["mode"] == "local"
    assert "distributed_pool is not enabled" in weirctl("status", node=node).stdout


def test_the_node_may_be_named_by_the_environment(node):
    assert weirctl("status", WEIR_NODE=f"http://127.0.0.1:{node.port}/").returncode == 0


def test_a_node_without_tls_is_asked_over_it(node):
    done = weirctl("status", "--node", f"https://localhost:{node.port}")
    assert done.returncode == 3 and not done.stdout and "Does it speak TLS there?" in done.stderr


def test_nobody_is_there():
    done = weirctl("status", "--node", f"http://127.0.0.1:{free_port()}")
    assert done.returncode == 3 and not done.stdout
    assert "cannot reach the node" in done.stderr and "Does weir-node run there?" in done.stderr and "--node" in done.stderr


def test_an_address_that_this_machine_cannot_have_hides_no_refusal(tmp_path):
    """As in a container without IPv6, whose localhost has an address of it all the same."""
    (tmp_path / "hosts").write_text("127.0.0.1 localhost\n::1 localhost\n")
    enter = 'ip link set lo up; echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6; mount --bind "$1" /etc/hosts; shift; exec "$@"'
    argv = ["unshare", "--net", "--mount", "sh", "-ec", enter, "sh", tmp_path / "hosts", program("weirctl")]
    for verb in (["status", "--node", "http://localhost:9"], ["bench", "http://localhost:9", "--requests", "1"]):
        done = subprocess.run([*argv, *verb], capture_output=True, text=True, timeout=30)
        assert done.returncode == 3 and "connect to 127.0.0.1:9: Connection refused" in done.stdout + done.stderr, done


def test_the_admin_token(stage, mock, tmp_path):
    node = stage.node(mock, server={"admin": {"token": "admin-token", "allow": []}})
    done = weirctl("status", node=node)
    assert done.returncode == 1 and "--token-file" in done.stderr
    file = tmp_path / "token"
    file.write_text("admin-token\n")
    assert weirctl("status", "--token-file", str(file), node=node).returncode == 0
    assert weirctl("status", node=node, WEIR_ADMIN_TOKEN="admin-token").returncode == 0
    assert weirctl("status", node=node, WEIR_ADMIN_TOKEN="wrong").returncode == 1
    file.write_text("two words")
    assert weirctl("status", "--token-file", str(file), node=node).returncode == 2
    assert weirctl("status", "--token-file", str(tmp_path / "none"), node=node).returncode == 2


def test_over_tls(stage, mock, pki):
    pair = {"cert_file": str(pki / "good.pem"), "key_file": str(pki / "good.key")}
    node = stage.node(mock, server={"tls": {"certificates": [pair]}}, tls=ssl.create_default_context(cafile=str(pki / "ca.pem")))
    url = f"https://localhost:{node.port}"
    done = weirctl("status", "--node", url, "--ca-file", str(pki / "ca.pem"))
    assert done.returncode == 0 and "distributed_pool is not enabled" in done.stdout, done.stderr
    done = weirctl("status", "--node", url, "--ca-file", str(pki / "other-ca.pem"))
    assert done.returncode == 3 and not done.stdout and "certificate" in done.stderr and "name its authority" in done.stderr
    done = weirctl("status", "--node", url)
    assert done.returncode == 3 and not done.stdout and "--ca-file FILE names the authorities" in done.stderr
    done = weirctl("status", "--node", f"http://localhost:{node.port}")
    assert done.returncode == 3 and not done.stdout and "https://" in done.stderr


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n[1,2",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 500 Oops\r\nContent-Length: 7\r\n\r\n\x1b[2Jhuh",
    ],
)
def test_whoever_answers_is_no_node(stage, answer):
    upstream = stage.upstream(answer)
    done = weirctl("status", "--node", f"http://127.0.0.1:{upstream.port}")
    assert done.returncode == 1 and not done.stdout and done.stderr.startswith("weirctl: ")
    assert "\x1b" not in done.stderr


def test_an_answer_without_end_is_left(stage):
    upstream = stage.upstream(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"100000\r\n" + b"x" * 0x100000 + b"\r\n")
    done = weirctl("status", "--timeout", "1", "--node", f"http://127.0.0.1:{upstream.port}")
    assert done.returncode == 3 and "weirctl: " in done.stderr


@pytest.mark.parametrize("words", [(), ("stats",), ("nodes", "-o", "xml"), ("nodes", "--follow"), ("status", "--node", "localhost")])
def test_wrong_usage(words):
    done = weirctl(*words)
    assert done.returncode == 2 and done.stderr.startswith("weirctl: ") and not done.stdout


@pytest.mark.parametrize("line", ["nodes -o xml", "-o xml nodes", "nodes --timeout x", "nodes --nope", "nodes --node"])
def test_a_wrong_option_shows_the_verb_s_own_usage(line):
    done = weirctl(*line.split())
    assert done.returncode == 2 and not done.stdout and "weirctl: " in done.stderr.splitlines()[0]
    assert done.stderr.endswith("usage: weirctl [OPTION]... nodes [OPTION]...\nTry weirctl nodes --help.\n")


def test_each_way_to_write_a_verb_is_shown():
    done = weirctl("config", "check")
    assert done.returncode == 2 and "needs check|print FILE\n" in done.stderr
    ways = "usage: weirctl [OPTION]... config check|print FILE [OPTION]...\n       weirctl [OPTION]... config diff FILE FILE [OPTION]...\n"
    assert ways in done.stderr and weirctl("config", "--help").stdout.startswith(ways)
    assert "breaker open|close|reset PROVIDER|URL" in weirctl("breaker", "--help").stdout
    manual = weirctl("completion", "man").stdout
    assert '.BR config " \\fIcheck|print FILE\\fR"\n.TQ\n.BR config " \\fIdiff FILE FILE\\fR"\n' in manual


@pytest.mark.parametrize("line", ["--help", "--version", "nodes --help", "completion bash", "tune --rps 1 --latency 1"])
def test_an_output_that_takes_nothing(line):
    with open("/dev/full", "w") as full:
        done = subprocess.run([program("weirctl"), *line.split()], stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 1 and done.stderr == "weirctl: cannot write: No space left on device\n"


VERBS = re.findall(r"^  ([a-z]+)  ", weirctl("--help").stdout, re.M)


@pytest.mark.parametrize("verb", [None, *VERBS])
def test_help(verb):
    assert len(VERBS) > 10
    done = weirctl(*([verb] if verb else []), "--help")
    assert done.returncode == 0 and done.stdout.startswith("usage: weirctl") and "Exit codes" in done.stdout
