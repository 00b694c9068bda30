"""weirctl doctor finds each trouble while it is there, and nothing where all is well; report and bench."""

import json
import re
import socket

import pytest
from cluster import Cluster
from ctl import normal, shown, weirctl
from harness import Process, program, wait_for
from http1 import answering


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


def test_all_is_well(stage, mock):
    cluster = Cluster(stage, shard_count=24)
    a, _ = cluster.nodes(2, {"mock": {"base_url": mock.url}})
    assert a.get("/v1/models").status == 200
    done = weirctl("doctor", "--over", "0.5", node=a)
    assert done.returncode == 0 and normal(done.stdout) == ["n1  nothing is wrong that can be seen from here"]


def test_pool_exhaustion(stage, mock):
    node = stage.node({"mock": {"base_url": mock.url, "connection_pool": {"max_connections": 1}, "timeout": {"pool": 60}}})
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
    assert "          max_connections: 10 # about 1 now\n" in done.stdout
    mock.steps("g", "all")
    for client in clients:
        client.close()


def test_connection_timeouts(stage):
    full = socket.create_server(("127.0.0.1", 0), backlog=0)
    port = full.getsockname()[1]
    held = []
    for _ in range(3):  # the queue of connections that nobody accepts is full: further ones hang
        s = socket.socket()
        s.setblocking(False)
        s.connect_ex(("127.0.0.1", port))
        held.append(s)
    quick = {"timeout": {"connect": 0.1, "read": 1, "total": 1}, "retry": {"enabled": False}, "circuit_breaker": {"enabled": False}}
    node = stage.node({"far": {"base_url": f"http://127.0.0.1:{port}"}}, http_client=quick)
    found = examine_while(stage, node, lambda: node.get("/v1/models"))
    trouble = next(f for f in found if f["kind"] == "connection timeouts")
    assert trouble["provider"] == "far" and "did not come about within 0.1 s" in trouble["evidence"][0]
    assert "connect: 0.15 # 0.1 now" in trouble["change"] and trouble["advice"]
    for s in [*held, full]:
        s.close()


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
    assert "failure_threshold: 3" in trouble["change"]


def answer(value):
    body = json.dumps(value).encode()
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


def test_memory_and_the_cluster(stage):
    """A node that is about to run out of memory cannot be had by waiting for it: its pages are made up."""
    pools = {"node_id": "n1", "max_connections": 200, "max_keepalive_connections": 50, "connections_total": 180, "providers": {}}
    memory = {"used_percent": 91.5, "resident_bytes": 1.83e9, "limit_bytes": 2e9}
    state = {"schema": 1, "node": "n1", "cluster": "default", "contact": True, "shard_count": 16, "nodes": {"alive": 3, "total": 4}}
    nodes = {"schema": 1, "nodes": [{"id": "n4", "alive": False, "age_ms": 12000}]}
    pages = [pools, pools, {"checks": {"memory": memory}}, {"alerts": []}, state, nodes, {"schema": 1, "breakers": []}]
    upstream = stage.upstream([answer(page) for page in pages])
    done = weirctl("doctor", "--over", "0.1", "-o", "json", "--node", f"http://127.0.0.1:{upstream.port}")
    assert done.returncode == 1, done.stderr
    assert findings(done.stdout) == [("memory", None), ("few shards", None), ("lost nodes", None)]
    change = json.loads(done.stdout)["findings"][0]["change"]
    assert "max_connections: 100 # 200 now" in change and "force_cleanup: true" in change


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
