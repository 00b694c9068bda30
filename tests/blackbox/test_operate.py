"""What operators have a node do over HTTP: drained without ending, taken back, circuits opened and closed, reload."""

from cluster import Cluster, ask, told
from harness import wait_for


CIRCUITS = {"http_client": {"circuit_breaker": {"failure_threshold": 5, "recovery_timeout": 60}}}


def post(node, page, **fields):
    with node.client() as client:
        client.ask("POST", page, headers=[("content-length", "0"), *fields.items()])
        return client.response()


def row(node, of):
    return next(n for n in node.get("/api/cluster/nodes").json()["nodes"] if n["id"] == of.id)


def breaker(node):
    return node.get("/api/cluster/breakers").json()["breakers"][0]


def test_a_node_is_drained_by_way_of_another_and_serves_on(stage, mock):
    cluster = Cluster(stage, shard_count=24)
    a, b = cluster.nodes(2, {"mock": {"base_url": mock.url}})
    answer = post(a, f"/api/node/drain?node={b.id}")
    assert answer.status == 202 and answer.json() == {"schema": 1, "node": a.id, "for": b.id, "state": "asked"}
    wait_for(lambda: row(a, b)["state"] == "draining" and row(a, b)["shards"] == 0, "the node to be empty")
    assert b.get("/health/ready").status == 503 and ask(b).status == 200
    assert [e["node"] for e in told(a, "node_drains")] == [b.id]
    assert post(b, "/api/node/undrain").json()["state"] == "active"
    wait_for(lambda: row(a, b)["state"] == "active" and row(a, b)["shards"] > 0, "it to be back")
    assert b.get("/health/ready").status == 200
    assert [e["node"] for e in told(a, "node_stays")] == [b.id]
    # The wish is in the store's events: whoever reads them later does not obey it.
    wire = cluster.wire()
    c = cluster.node({"mock": {"base_url": mock.url}})
    cluster.wait_members(3)
    assert post(a, f"/api/node/drain?node={c.id}").status == 202
    wait_for(lambda: c.get("/health/ready").status == 503, "the drain")
    assert post(c, "/api/node/undrain").status == 200
    wire.cut()
    cluster.wait_contact(0, [c])
    wire.mend()
    cluster.wait_contact(1, [c])
    wait_for(lambda: [e["id"] for e in told(c)] == [e["id"] for e in told(a)], "it to have read what was told")
    assert c.get("/health/ready").status == 200


def test_a_drained_node_ends_at_once(stage, mock):
    cluster = Cluster(stage, shard_count=24)
    a, b = cluster.nodes(2, {"mock": {"base_url": mock.url}})
    assert post(b, "/api/node/drain").status == 200
    b.wait_events("node_drained")
    assert cluster.leave(b) == 0
    wait_for(lambda: "node_left" in [e["event"] for e in told(a)], "its leave")


def test_a_node_alone_is_drained(node):
    assert post(node, "/api/node/drain").json()["state"] == "draining"
    assert node.get("/health/ready").status == 503 and node.get("/echo").status == 200
    assert node.get("/api/cluster/state").json()["state"] == "draining"
    assert post(node, "/api/node/undrain").status == 200 and node.get("/health/ready").status == 200


def test_circuits_obey_in_the_whole_cluster(stage, mock):
    cluster = Cluster(stage)
    a, b = cluster.nodes(2, {"mock": {"base_url": mock.url}}, **CIRCUITS)
    for n in (a, b):
        for _ in range(5):  # both are served well, and say so
            assert ask(n).status == 200
    wait_for(lambda: breaker(a)["shared"] and breaker(b)["shared"], "the circuit to be shared")
    assert post(a, f"/api/breaker/open?endpoint={mock.url}").status == 200
    wait_for(lambda: breaker(a)["state"] == "open" and breaker(b)["state"] == "open", "both to have it open")
    assert ask(a).status == 503 and ask(b).status == 503
    assert [e["reason"] for e in told(b, "circuit_opened")] == ["operator"]
    assert post(b, f"/api/breaker/close?endpoint={mock.url}").status == 200
    wait_for(lambda: breaker(a)["state"] == "closed" and breaker(b)["state"] == "closed", "both to have it closed")
    assert ask(a).status == 200 and ask(b).status == 200
    generation = breaker(a)["generation"]
    assert post(b, f"/api/breaker/reset?endpoint={mock.url}").status == 200
    wait_for(lambda: breaker(a)["generation"] == generation + 1, "the next generation")


def test_a_circuit_of_a_node_alone(stage, mock):
    node = stage.node(mock, **CIRCUITS)
    assert post(node, f"/api/breaker/open?endpoint={mock.url.replace(':', '%3a')}").status == 200
    assert breaker(node)["state"] == "open" and node.get("/echo").status == 503
    assert post(node, f"/api/breaker/close?endpoint={mock.url}").status == 200
    assert node.get("/echo").status == 200


def test_reload(stage, mock):
    node = stage.node(mock)
    assert post(node, "/api/node/reload").json()["state"] == "reloaded"
    node.wait_events("reload")
    node.config_path.write_text("server: {listen: nowhere}\n")
    answer = post(node, "/api/node/reload")
    assert answer.status == 422 and answer.json()["error"]["code"] == "config_invalid"
    assert "server.listen" in answer.json()["error"]["message"]
    assert node.get("/echo").status == 200


def test_what_is_refused(stage, mock):
    node = stage.node(mock)
    for page, status, code in (
        ("/api/node/drain?node=other", 404, "no_such_node"),
        ("/api/node/drain?endpoint=x", 400, "malformed_query"),
        ("/api/node/drain?node=%zz", 400, "malformed_query"),
        ("/api/node/drain?node=%0a", 400, "malformed_query"),
        ("/api/node/drain?node=" + "x" * 300, 400, "malformed_query"),
        ("/api/breaker/open?endpoint=http://127.0.0.1:1", 404, "no_such_circuit"),
        ("/api/breaker/open", 404, "no_such_circuit"),
    ):
        answer = post(node, page)
        assert (answer.status, answer.json()["error"]["code"]) == (status, code)
    assert node.get("/api/node/drain").status == 405
    for fields in ({"origin": "http://elsewhere.example"}, {"sec-fetch-site": "cross-site"}, {"origin": "null"}):
        answer = post(node, "/api/node/drain", **fields)
        assert (answer.status, answer.json()["error"]["code"]) == (403, "cross_site")
    assert post(node, "/api/node/undrain", origin="http://test.example").status == 200
    assert node.get("/health/ready").status == 200


def test_the_admin_token_is_asked_for(stage, mock):
    node = stage.node(mock, server={"admin": {"token": "admin-token", "allow": []}})
    for page in ("node/drain", "node/undrain", "node/reload", "breaker/open", "breaker/close", "breaker/reset"):
        assert post(node, f"/api/{page}").status == 401
    assert post(node, "/api/node/drain", authorization="Bearer admin-token").status == 200
