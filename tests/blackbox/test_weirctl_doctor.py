"""weirctl doctor finds each trouble while it is there, and nothing where all is well; report and bench."""

import json
import re
import time

import pytest
from cluster import Cluster, told
from ctl import normal, shown, weirctl
from harness import Process, free_port, program, sanitized, wait_for
from http1 import answering
from jams import Jammed


CIRCUITS = {"http_client": {"circuit_breaker": {"enabled": True, "recovery_timeout": 600}}}
# What is held is to be there still when the doctor comes, however slow the machine is.
PATIENT = {"pool": 120, "read": 120, "total": 120}


def url(node):
    return f"http://127.0.0.1:{node.port}"


def findings(done):
    return [(f["kind"], f["provider"]) for f in json.loads(done)["findings"]]


def examine_while(stage, node, act):
    """What the doctor says of a node that is used meanwhile."""
    doctor = Process([program("weirctl"), "doctor", "--over", "2", "-o", "json", "--node", url(node)], stage.scratch, "doctor")
    stage.running.append(doctor.finish)
    while doctor.alive():
        act()
    doctor.stopped = True
    assert doctor.popen.returncode == 1, doctor.err
    return json.loads(doctor.out)["findings"]


def healthy(node):
    done = weirctl("doctor", "--over", "0.5", node=node)
    assert done.returncode == 0 and normal(done.stdout)[0].endswith(" nothing is wrong that can be seen from here"), done.stdout


def test_all_is_well_with_a_cluster(stage, mock):
    cluster = Cluster(stage, shard_count=24)
    nodes = cluster.nodes(3, {"mock": {"base_url": mock.url}})
    cluster.coordinator()
    cluster.wait_map()
    for node in nodes:
        assert node.get("/v1/models").status == 200
        healthy(node)


@pytest.mark.parametrize("shard_count", [None, 4], ids=["alone", "a cluster of one"])
def test_all_is_well_with_one_node(stage, mock, shard_count):
    """Of one node few shards are enough: all of them are its own."""
    providers = {"mock": {"base_url": mock.url}}
    node = Cluster(stage, shard_count=shard_count).node(providers) if shard_count else stage.node(providers)
    assert node.get("/v1/models").status == 200
    healthy(node)


def test_an_endpoint_that_nobody_asks_and_that_is_not_there(stage):
    dead = f"http://127.0.0.1:{free_port()}"
    node = stage.node({"idle": {"base_url": dead}}, http_client={"health": {"check_interval": 1}})
    wait_for(lambda: node.get("/health").status == 503, "a check to have failed")
    (finding,) = json.loads(weirctl("doctor", "--over", "0.5", "-o", "json", node=node).stdout)["findings"]
    assert (finding["kind"], finding["provider"]) == ("failed checks", "idle")
    assert re.match(rf"the check of {dead} failed: .*Connection refused", finding["evidence"][0])


def test_pool_exhaustion(stage, mock):
    pool = {"max_connections": 1, "pool_block_timeout": 120}
    node = stage.node({"mock": {"base_url": mock.url, "connection_pool": pool, "timeout": PATIENT}})
    mock.plan(gate="g")
    clients = [node.client() for _ in range(3)]
    for client in clients:
        client.ask("GET", "/v1/models")
    wait_for(lambda: shown("pools", node=node)["pending_requests"] == 2, "two to wait")
    done = weirctl("doctor", "--over", "0.5", node=node)
    assert done.returncode == 1
    lines = normal(done.stdout)
    assert lines[0].startswith("pool exhaustion at mock, node ")
    assert lines[1] == "  - 1 of 1 connections are in use, and 2 requests wait for one"
    assert "          max_connections: 10 # 1 now\n" in done.stdout
    mock.steps("g", "all")
    for client in clients:
        client.close()


def test_connection_timeouts(stage):
    quick = {"timeout": {"connect": 0.1, "read": 1, "total": 1}, "retry": {"enabled": False}, "circuit_breaker": {"enabled": False}}
    with Jammed() as far:
        node = stage.node({"far": {"base_url": far.url}}, http_client=quick)
        found = examine_while(stage, node, lambda: node.get("/v1/models"))
    trouble = next(f for f in found if f["kind"] == "connection timeouts")
    assert trouble["provider"] == "far" and "did not come about within 0.1 s" in trouble["evidence"][0]
    assert "connect: 0.15 # 0.1 now" in trouble["change"] and trouble["advice"]


@pytest.mark.parametrize(
    "breaker, evidence",
    [({"enabled": False}, "tries failed"), ({"failure_threshold": 1, "recovery_timeout": 60}, "is open")],
    ids=["tries", "circuit"],
)
def test_high_error_rate(stage, mock, breaker, evidence):
    node = stage.node(mock, http_client={"circuit_breaker": breaker, "retry": {"enabled": False}})
    mock.plan(status=500)
    (trouble,) = examine_while(stage, node, lambda: node.get("/v1/models"))
    assert trouble["kind"] == "high error rate" and any(evidence in line for line in trouble["evidence"])
    better = f"circuit_breaker.failure_threshold: {breaker.get('failure_threshold')}"
    assert ("failure_threshold: 3 # 5 now" in trouble["change"]) is not (better in trouble["held"]), trouble
    assert any(f"{mock.url} failed last with: status 500 (" in line for line in trouble["evidence"]), trouble


def test_what_is_set_already_is_not_proposed(stage, mock):
    """Beside default settings, of which the list of statuses is what is wanted; and beside those that contain all."""
    quick = {"enabled": True, "attempts": 1, "backoff_max_delay": 0}
    default = {"circuit_breaker": {"enabled": True}, "retry": quick}
    contains = {"failure_threshold": 3, "recovery_timeout": 30, "enabled": True}
    for http, proposed in ((default, True), ({"circuit_breaker": contains, "retry": {**quick, "backoff_factor": 1}}, False)):
        node = stage.node(mock, http_client=http)
        mock.plan(status=500)
        (trouble,) = examine_while(stage, node, lambda n=node: n.get("/v1/models"))
        assert trouble["kind"] == "high error rate" and "retry_status_codes" not in trouble["change"]
        assert "circuit_breaker.enabled: true" in trouble["held"]
        assert ("failure_threshold: 3 # 5 now" in trouble["change"]) is proposed and (trouble["change"] != "") is proposed
        assert ("What contains the damage is set" in trouble["advice"]) is not proposed
        table = weirctl("doctor", "--over", "0.1", node=node).stdout
        assert "  set already: circuit_breaker.enabled: true; " in table, table


def answer(value):
    body = json.dumps(value).encode()
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


def small_node(stage, mock):
    """A node that may take twice what it does at rest, which a thread that serves for the first time does not reach."""
    pool = {"max_connections": 1000, "max_keepalive_connections": 1000}
    node = stage.node(mock, http_client={"pool_limits": pool, "retry": {"replay_buffer": "1MB"}, "timeout": PATIENT})
    config = json.loads(node.config_path.read_text())

    def limit(size):
        config.setdefault("server", {})["memory_limit"] = size
        node.reload(config)
        wait_for(lambda: node.get("/health").json()["checks"]["memory"]["limit_bytes"] == size, "the limit")

    limit(1 << 30)  # the first of all reloads takes some, too
    assert node.get("/v1/models").status == 200
    healthy(node)
    limit(node.resident_bytes() * 2)
    healthy(node)
    return node


def memory_of(node):
    done = weirctl("doctor", "--over", "0.2", "-o", "json", node=node)
    assert done.returncode == 1, done.stdout
    return next(f for f in json.loads(done.stdout)["findings"] if f["kind"] == "memory")


@pytest.mark.skipif(sanitized(), reason="a sanitizer's memory is not the node's")
def test_memory_that_connections_take(stage, mock):
    node = small_node(stage, mock)
    mock.plan(gate="g")
    clients = [node.client() for _ in range(800)]
    for client in clients:
        client.ask("GET", "/v1/models")
    mock.wait_waiting("g", 800)
    trouble = memory_of(node)
    assert trouble["evidence"][-1] == "800 connections to providers are open, and 800 of clients; 800 requests are under way"
    assert "max_connections: 400 # 1000 now" in trouble["change"] and "force_cleanup: true" in trouble["change"]
    mock.steps("g", "all")
    for client in clients:
        client.close()


@pytest.mark.skipif(sanitized(), reason="a sanitizer's memory is not the node's")
def test_memory_that_bodies_take(stage, mock):
    """They are kept to be sent again, as long as nothing of an answer has come. The node grows under the doctor's eyes."""
    node = small_node(stage, mock)
    mock.plan(gate="g")
    clients = []

    def looks():
        return sum(e["target"].endswith("/health") for e in node.events("access"))

    looks_before = looks()

    def one_more():
        if len(clients) < 9 and looks() > looks_before:
            clients.append(node.client())
            clients[-1].ask("POST", "/v1/chat/completions", [("Content-Length", "900000")])
            clients[-1].send(b"x" * 900000)
        time.sleep(0.05)

    trouble = next(f for f in examine_while(stage, node, one_more) if f["kind"] == "memory")
    assert any(re.search(r"in 2 s it has grown by \d+\.\d MB", line) for line in trouble["evidence"]), trouble
    assert "replay_buffer: 16KB" in trouble["change"] and "max_connections" not in trouble["change"]
    mock.steps("g", "all")
    for client in clients:
        client.close()


def test_the_cluster(stage):
    """A cluster that has lost a node, and has few shards: its pages are made up, in the order in which they are asked for."""
    pools = {"node_id": "n1", "providers": {}}
    state = {"schema": 1, "node": "n1", "cluster": "default", "contact": True, "shard_count": 16, "nodes": {"alive": 3, "total": 4}}
    nodes = {"schema": 1, "nodes": [{"id": "n4", "alive": False, "age_ms": 12000}]}
    pages = [pools, {}, pools, {}, {}, {}, {"alerts": []}, state, nodes, {"schema": 1, "breakers": []}, {"events": []}]
    upstream = stage.upstream([answer(page) for page in pages])
    done = weirctl("doctor", "--over", "0.1", "-o", "json", "--node", f"http://127.0.0.1:{upstream.port}")
    assert done.returncode == 1, done.stderr
    assert findings(done.stdout) == [("few shards", None), ("lost nodes", None)]


def test_a_circuit_opened_by_hand(stage, mock):
    """It is nobody's error: who is asked in its stead says so, and so do the other nodes."""
    cluster = Cluster(stage, shard_count=24, redis_timeout=5)
    a, b = cluster.nodes(2, {"mock": {"base_url": mock.url}}, **CIRCUITS)
    wait_for(lambda: all(r["shared"] for r in shown("breakers", node=a)["breakers"]), "the circuit to be shared")
    assert weirctl("breaker", "open", "mock", node=a).returncode == 0
    wait_for(lambda: shown("breakers", node=b)["breakers"][0]["state"] == "open", "the other node to know")
    for node in (a, b):
        done = weirctl("doctor", "--over", "0.1", "-o", "json", node=node)
        assert findings(done.stdout) == [("circuit opened by hand", "mock")], done.stdout
        (trouble,) = json.loads(done.stdout)["findings"]
        assert trouble["evidence"][0].endswith("by an operator's word to node n1")
        assert trouble["advice"] == f"weirctl breaker close {mock.url} closes it at once."
    assert weirctl("breaker", "close", "mock", node=b).returncode == 0
    wait_for(lambda: shown("breakers", node=a)["breakers"][0]["state"] == "closed", "the first node to know")
    healthy(a)


def test_a_circuit_opened_by_hand_at_a_node_alone(stage, mock):
    node = stage.node(mock, **CIRCUITS)
    assert weirctl("breaker", "open", mock.url, node=node).returncode == 0
    done = weirctl("doctor", "--over", "0.1", "-o", "json", node=node)
    assert [kind for kind, _ in findings(done.stdout)] == ["circuit opened by hand"]


def test_an_order_is_told_once(stage, mock):
    """By the node that obeys, and of each only its own: the store's word that follows is no news."""
    cluster = Cluster(stage, shard_count=24, redis_timeout=5)
    a, b = cluster.nodes(2, {"mock": {"base_url": mock.url}}, **CIRCUITS)
    wait_for(lambda: all(n.get("/api/cluster/breakers").json()["breakers"][0]["shared"] for n in (a, b)), "it to be shared")
    for action, event in (("open", "circuit_opened"), ("reset", "circuit_closed"), ("open", "circuit_opened"), ("close", "circuit_closed")):
        counts = {n: len(n.events(event)) for n in (a, b)}
        assert weirctl("breaker", action, "mock", node=a).returncode == 0
        for n in (a, b):
            n.wait_events(event, counts[n] + 1)
        want = "open" if action == "open" else "closed"
        wait_for(lambda w=want: shown("breakers", node=b)["breakers"][0]["state"] == w, "the word to arrive")
        wait_for(lambda: len(told(a, event)) >= counts[a] + 1, "the cluster's event")
        assert [len(n.events(event)) - counts[n] for n in (a, b)] == [1, 1], action
        assert len(told(a, event)) == counts[a] + 1
        last = a.events(event)[-1]
        assert last["reason"] == "operator"


def test_breaker_of_an_unknown_endpoint(stage, mock):
    node = stage.node(mock, **CIRCUITS)
    done = weirctl("breaker", "open", "http://unknown", node=node)
    assert done.returncode == 1
    assert f"there are: {mock.url}" in done.stderr and "weirctl breakers" in done.stderr


def test_what_is_no_node(stage):
    upstream = stage.upstream(answer({"providers": 7}))
    done = weirctl("doctor", "--over", "0.1", "--node", f"http://127.0.0.1:{upstream.port}")
    assert done.returncode == 0 and not done.stderr


def test_report(stage, mock):
    node = stage.node(mock)
    with node.client() as client:
        for _ in range(20):
            assert client.get("/v1/models").status == 200
    lines = normal(weirctl("report", "--since", "7d", node=node).stdout)
    assert any(line.startswith("counts  this node's, since its start (") for line in lines)
    assert "mock  connection reuse rate  95 %  > 90 %  met" in lines
    assert "mock  connection error rate  0 %  < 2 %  met" in lines
    value = json.loads(weirctl("report", "-o", "json", node=node).stdout)
    assert value["since_seconds"] == 7 * 86400 and {f["figure"] for f in value["figures"]} >= {"pending requests, now"}
    assert weirctl("report", "--since", "soon", node=node).returncode == 2


def test_bench(stage, mock, tmp_path):
    node = stage.node(mock)
    done = weirctl("bench", f"{url(node)}/v1/models", "--requests", "30", "--clients", "3", "-o", "json")
    assert done.returncode == 0, done.stderr
    value = json.loads(done.stdout)
    assert value["requests"] == 30 and value["answers"]["2xx"] == 30 and 0 < value["whole_ms"]["p50"] <= value["whole_ms"]["max"]
    accepted = node.metric("weir_downstream_connections_accepted_total")
    for words, connections in ((), 3), (("--no-keepalive",), 30):
        done = weirctl("bench", f"{url(node)}/v1/models", "--requests", "30", "--clients", "3", *words, "-o", "json")
        value = json.loads(done.stdout)
        assert value["answers"]["2xx"] == 30 and value["connections"] == connections
        before, accepted = accepted, node.metric("weir_downstream_connections_accepted_total")
        assert accepted - before == connections + 1  # and the question itself
    done = weirctl("bench", f"{url(node)}/v1/models", "--requests", "5")
    assert normal(done.stdout)[1:3] == ["connections 5", "answers  5 of 2xx"] and "#" in done.stdout
    upstream = stage.upstream(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
    assert weirctl("bench", upstream.url, "--requests", "6", "--sessions", "3").returncode == 0
    assert weirctl("bench", upstream.url, "--requests", "1").returncode == 0
    assert [r.get("x-session-id") for r in upstream.requests[6:]] == [None]
    assert sorted(r.get("x-session-id") for r in upstream.requests[:6]) == [f"weirctl-{i // 2}" for i in range(6)]
    file = tmp_path / "body.json"
    file.write_text('{"model": "m", "messages": []}')
    assert weirctl("bench", f"{url(node)}/v1/chat/completions", "--data", str(file), "--requests", "2").returncode == 0
    mock.plan(status=500)
    assert weirctl("bench", f"{url(node)}/v1/models", "--requests", "2").returncode == 1
    done = weirctl("bench", "http://127.0.0.1:1/", "--requests", "2")
    assert done.returncode == 3 and "failed" in done.stdout
    assert re.search(r"^requests +2 in [0-9.]+ s$", done.stdout, re.M) and "/s" not in done.stdout
    assert weirctl("bench", "localhost").returncode == 2


def closes_unannounced(wire, _):
    """Reads the next request, too: it is lost."""
    wire.request()
    wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    wire.request()


@pytest.mark.parametrize(
    "script",
    [answering(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", then_close=True),
     answering(b"HTTP/1.1 200 OK\r\n\r\nok", then_close=True),
     answering(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", then_close=True)],
)
def test_bench_of_a_server_that_keeps_no_connections(stage, script):
    upstream = stage.upstream(script)
    done = weirctl("bench", f"{upstream.url}/", "--requests", "12", "--clients", "2", "-o", "json")
    assert done.returncode == 0, done.stdout
    value = json.loads(done.stdout)
    assert value["answers"]["2xx"] == 12 and value["connections"] == 12


def test_bench_repeats_what_a_dying_connection_swallowed(stage):
    upstream = stage.upstream(closes_unannounced)
    done = weirctl("bench", f"{upstream.url}/", "--requests", "6", "--clients", "1", "-o", "json")
    value = json.loads(done.stdout)
    assert done.returncode == 0 and value["requests"] == value["answers"]["2xx"] == value["connections"] == 6
    assert len(upstream.requests) == 11  # after each but the last, one that was lost
