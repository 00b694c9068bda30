"""What operators have a node do over HTTP: drained without ending, taken back, circuits opened and closed, reload."""

from cluster import Cluster, ask, told
from harness import wait_for
from test_admin import OPEN_PAGES, SECRET_PAGES


PATIENT = {"redis_timeout": 5}  # a busy machine's store is not away
CIRCUITS = {"http_client": {"circuit_breaker": {"failure_threshold": 5, "recovery_timeout": 60}}}


def post(node, page, host="weir-test", **fields):
    with node.client() as client:
        client.ask("POST", page, headers=[("content-length", "0"), *fields.items()], host=host)
        return client.response()


def row(node, of):
    return next(n for n in node.get("/api/cluster/nodes").json()["nodes"] if n["id"] == of.id)


def breaker(node):
    return node.get("/api/cluster/breakers").json()["breakers"][0]


def test_a_node_is_drained_by_way_of_another_and_serves_on(stage, mock):
    cluster = Cluster(stage, shard_count=24, **PATIENT)
    a, b = cluster.nodes(2, {"mock": {"base_url": mock.url}})
    answer = post(a, f"/api/node/drain?node={b.id}")
    assert answer.status == 202 and answer.json() == {"schema": 1, "node": a.id, "for": b.id, "state": "asked"}
    wait_for(lambda: row(a, b)["state"] == "draining" and row(a, b)["shards"] == 0, "the node to be empty")
    assert b.get("/health/ready").status == 503 and ask(b).status == 200
    wait_for(lambda: told(a, "node_drains"), "the cluster's event")
    assert [e["node"] for e in told(a, "node_drains")] == [b.id]
    assert post(b, "/api/node/undrain").json()["state"] == "active"
    wait_for(lambda: row(a, b)["state"] == "active" and row(a, b)["shards"] > 0, "it to be back")
    assert b.get("/health/ready").status == 200
    wait_for(lambda: told(a, "node_stays"), "the cluster's event")
    assert [e["node"] for e in told(a, "node_stays")] == [b.id]
    all_events = told(a)
    for query in ("n=1", "x=1&n=1", "n=1&x=1"):
        assert len(a.get(f"/api/cluster/events?{query}", accept="application/json").json()["events"]) == 1 < len(all_events)
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
    cluster = Cluster(stage, shard_count=24, **PATIENT)
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
    cluster = Cluster(stage, **PATIENT)
    a, b = cluster.nodes(2, {"mock": {"base_url": mock.url}}, **CIRCUITS)
    for n in (a, b):
        for _ in range(5):  # both are served well, and say so
            assert ask(n).status == 200
    wait_for(lambda: breaker(a)["shared"] and breaker(b)["shared"], "the circuit to be shared")
    assert post(a, f"/api/breaker/open?endpoint={mock.url}").status == 200
    wait_for(lambda: breaker(a)["state"] == "open" and breaker(b)["state"] == "open", "both to have it open")
    assert ask(a).status == 503 and ask(b).status == 503
    wait_for(lambda: told(b, "circuit_opened"), "the cluster's event")
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
        ("/api/node/drain?node=", 400, "malformed_query"),
        ("/api/node/drain?nod=other", 400, "malformed_query"),
        ("/api/node/drain?node=other&x=1", 400, "malformed_query"),
        ("/api/node/drain?node=other&node=another", 400, "malformed_query"),
        ("/api/node/drain?&node=other&", 404, "no_such_node"),
        ("/debug/memory/gc?endpoint=x", 400, "malformed_query"),
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
    assert post(node, "/api/node/undrain", origin="http://weir-test").status == 200
    assert node.get("/health/ready").status == 200


def test_the_admin_token_is_asked_for(stage, mock):
    node = stage.node(mock, server={"admin": {"token": "admin-token", "allow": []}})
    for page in ("node/drain", "node/undrain", "node/reload", "breaker/open", "breaker/close", "breaker/reset"):
        assert post(node, f"/api/{page}").status == 401
    assert post(node, "/api/node/drain", authorization="Bearer admin-token").status == 200


def asked(node, method, page, host, headers=()):
    with node.client() as client:
        answer = client.request(method, page, list(headers), b"" if method == "POST" else None, host=host)
        return answer.status, answer.get("x-weir-error")


def test_a_page_whose_name_was_rebound_operates_nothing(stage, mock):
    """A browser that evil.example has led to the node's address: of the same origin, and of an address that is allowed."""
    node = stage.node(mock, server={"admin": {"token": "admin-token"}})
    evil = f"evil.example:{node.port}"
    pages = ("/api/node/drain", "/api/node/undrain", "/api/node/reload", "/api/breaker/open", "/debug/memory/gc")
    for fields in ([("origin", f"http://{evil}")], [("origin", f"http://{evil}"), ("sec-fetch-site", "same-origin")], []):
        for page in pages:
            assert asked(node, "POST", page, evil, fields) == (403, "host_foreign")
        for page in SECRET_PAGES:
            assert asked(node, "GET", page, evil, fields) == (403, "host_foreign")
            assert asked(node, "HEAD", page, evil, fields) == (403, "host_foreign")
        for page in OPEN_PAGES:
            assert asked(node, "GET", page, evil, fields)[0] == 200
    assert node.get("/health/ready").status == 200
    answer = post(node, "/api/node/drain", host=evil).json()["error"]
    assert answer["code"] == "host_foreign" and evil in answer["message"] and "server.admin.hosts" in answer["message"]
    token = [("authorization", "Bearer admin-token")]
    assert asked(node, "GET", "/metrics", evil, token)[0] == 200
    assert asked(node, "POST", "/api/node/reload", evil, token)[0] == 200


def test_names_of_the_node_are_asked_as_ever(stage, mock):
    cluster = Cluster(stage, **PATIENT)
    node = cluster.node({"mock": {"base_url": mock.url}}, server={"admin": {"hosts": ["weir.example.org", "*.inside.example"]}},
                        pool={"advertise": "node.example.net:7000"})
    for host in ("127.0.0.1", f"localhost:{node.port}", "weir.localhost", f"[::1]:{node.port}", f"node-1:{node.port}",
                 "weir.example.org", f"a.inside.example:{node.port}", f"node.example.net:{node.port}"):
        assert asked(node, "GET", "/metrics/prometheus", host)[0] == 200, host
        assert asked(node, "POST", "/api/node/undrain", host, [("origin", f"http://{host}")])[0] == 200, host
    for host in ("inside.example", "example.org", "localhost.example.org", "127.0.0.1.example.org"):
        assert asked(node, "POST", "/api/node/undrain", host) == (403, "host_foreign"), host
    with node.client() as client:
        client.send(b"GET /metrics HTTP/1.0\r\n\r\n")
        assert client.response().status == 200
