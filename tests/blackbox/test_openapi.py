"""docs/openapi.yaml, and -coordinator.yaml, say what the pages answer: each page is in there with its methods, none beside, and
each live answer is as they say."""

import json
import signal
import subprocess

import pytest
import yaml
from cluster import Cluster, ask
from coordinator import Coordinator
from harness import ROOT, free_port, program, wait_for
from http1 import Client
from test_admin import OPEN_PAGES, SECRET_PAGES

jsonschema = pytest.importorskip("jsonschema", reason="no JSON Schema validator here (python3-jsonschema)")

API = yaml.safe_load((ROOT / "docs" / "openapi.yaml").read_text())
COORDINATOR_API = yaml.safe_load((ROOT / "docs" / "openapi-coordinator.yaml").read_text())
PAGES = sorted({*OPEN_PAGES, *SECRET_PAGES, "/api/cluster/events"})
POSTS = sorted(page for page, operations in API["paths"].items() if "post" in operations)
BREAKER = {"circuit_breaker": {"enabled": True, "failure_threshold": 1, "recovery_timeout": 60}, "retry": {"enabled": False}}


def resolved(node, api=API):
    while "$ref" in node:
        at = api
        for key in node["$ref"].removeprefix("#/").split("/"):
            at = at[key]
        node = at
    return node


def check(page, r, method="get", api=API):
    answers = api["paths"][page][method]["responses"]
    assert str(r.status) in answers, f"{method} {page} answers {r.status}"
    answer = resolved(answers[str(r.status)], api)
    kind = r.get("content-type").split(";")[0]
    assert kind in answer["content"], f"{method} {page} answers {kind}"
    for name, header in answer.get("headers", {}).items():
        assert r.get(name) is not None or not header["required"], f"{method} {page} is without {name}"
    if kind == "application/json":
        schema = {**answer["content"][kind]["schema"], "components": api["components"]}
        found = list(jsonschema.Draft202012Validator(schema).iter_errors(json.loads(r.body)))
        assert not found, f"{method} {page}: " + "; ".join(f"{e.json_path}: {e.message}" for e in found[:5])


def check_all(node):
    for page in PAGES:
        check(page, node.get(page, accept="application/json") if page.endswith("/events") else node.get(page))


def served():
    """The node's own map: path to methods, and to whether it is open to everybody."""
    out = subprocess.run([program("weir-node"), "--print-paths"], capture_output=True, text=True, check=True).stdout
    rows = [line.split("\t") for line in out.splitlines()]
    return {path: set(methods.split(", ")) for path, methods, _ in rows}, {path: who == "open" for path, _, who in rows}


def test_every_page_is_described_and_no_other():
    methods, is_open = served()
    assert len(methods) > 20
    assert all(("GET" in m) == ("HEAD" in m) for m in methods.values()), "what takes GET takes HEAD"
    described = {(page, method.upper()) for page, operations in API["paths"].items() for method in operations}
    assert described == {(page, method) for page, m in methods.items() for method in m - {"HEAD"}}
    for page, operations in API["paths"].items():
        for operation in operations.values():
            assert ("401" not in operation["responses"]) == (operation.get("security") == [{}]) == is_open[page], page
            assert "405" in operation["responses"], page
    assert set(OPEN_PAGES) == {page for page in methods if is_open[page]}
    assert all(resolved(r) for p in API["paths"].values() for o in p.values() for r in o["responses"].values())


def test_answers_in_a_cluster(stage):
    cluster = Cluster(stage, redis_timeout=5)
    mock = stage.mock()
    node, _ = cluster.nodes(2, {"openai": {"base_url": mock.url, "rate_limit": {"requests_per_minute": 600}}}, http_client=BREAKER)
    check_all(node)
    assert ask(node).status == 200
    mock.plan(status=500)
    assert ask(node).status == 500
    wait_for(lambda: node.get("/api/cluster/breakers").json()["breakers"], "a circuit of the cluster")
    wait_for(lambda: node.get("/health/providers").status == 503, "a provider that is not healthy")
    check_all(node)


def test_answers_of_a_node_alone(node):
    for page in PAGES:
        if not page.startswith("/api/cluster/"):
            check(page, node.get(page))


def test_a_count_of_events_that_is_none(node):
    r = node.get("/api/cluster/events?n=many", accept="application/json")
    check("/api/cluster/events", r)
    assert r.status == 400


def send(port, method, target, host="weir-test", **headers):
    with Client(port) as client:
        return client.request(method, target, list(headers.items()), b"" if method == "POST" else None, host=host)


def test_what_strangers_get(stage):
    node = stage.node(stage.mock(), server={"admin": {"allow": [], "token": "admin-token"}})
    for page in SECRET_PAGES:
        r = node.get(page)
        check(page, r)
        assert r.status == 401


def test_what_a_foreign_name_and_another_method_get(node):
    for page in SECRET_PAGES:
        r = send(node.port, "GET", page, host="evil.example")
        check(page, r)
        assert r.status == 403
    for page, operations in API["paths"].items():
        for method in operations:
            r = send(node.port, "DELETE", page)
            check(page, r, method)
            assert r.status == 405


class Posts:
    """POSTs to a node; keeps which statuses of which page were seen, each as it is described."""

    def __init__(self):
        self.seen = set()

    def __call__(self, at, target, status, **fields):
        r = send(getattr(at, "port", at), "POST", target, **fields)
        page = target.split("?")[0]
        check(page, r, "post")
        assert r.status == status, f"{target}: {r.status} {r.text}"
        self.seen.add((page, status))


def post_in_a_cluster(post, stage, mock):
    cluster = Cluster(stage, redis_timeout=5)  # a busy machine's store is not away
    wire = cluster.wire()
    node, other = cluster.nodes(2, {"mock": {"base_url": mock.url}}, http_client=BREAKER)
    for page in ("/api/node/drain", "/api/node/undrain"):
        post(node, page, 200)
        post(node, f"{page}?node={other.id}", 202)
    post(node, "/api/cluster/rebalance", 202)
    wire.cut()
    cluster.wait_contact(0, [node])
    for page in ("/api/node/drain", "/api/node/undrain"):
        post(node, f"{page}?node={other.id}", 503)
    post(node, "/api/cluster/rebalance", 503)


def post_to_one_node(post, stage, mock):
    node = stage.node(mock, http_client=BREAKER)
    for page in ("/api/breaker/open", "/api/breaker/close", "/api/breaker/reset"):
        post(node, f"{page}?endpoint={mock.url}", 200)
        post(node, f"{page}?endpoint=http://127.0.0.1:1", 404)
        post(node, f"{page}?node=x", 400)
    for page in ("/api/node/drain", "/api/node/undrain", "/api/node/reload"):
        post(node, f"{page}?node=nobody", 404)
        post(node, f"{page}?node=%zz", 400)
    post(node, "/debug/memory/gc", 200)
    post(node, "/debug/memory/gc?x", 400)
    post(node, "/api/cluster/rebalance", 409)
    post(node, "/api/cluster/rebalance?node=x", 400)
    post(node, "/api/node/reload", 200)
    node.config_path.write_text("server: {listen: nowhere}\n")
    post(node, "/api/node/reload", 422)
    for page in POSTS:
        post(node, page, 403, origin="http://elsewhere.example")
        r = send(node.port, "DELETE", page)
        check(page, r, "post")
        post.seen.add((page, r.status))


def post_to_one_that_ends(post, stage, mock):
    admin = free_port()
    node = stage.node(mock, ready=False, server={"admin": {"listen": f"127.0.0.1:{admin}"}, "drain_timeout": 600})
    wait_for(lambda: send(admin, "GET", "/health/ready").status == 200, "the node to be ready")
    with node.client() as client:
        client.ask("GET", "/echo", [("x-mock-gate", "g")])
        mock.wait_waiting("g")
        node.tell(signal.SIGTERM)
        wait_for(lambda: send(admin, "GET", "/health/ready").status == 503, "the drain")
        for page in ("/api/node/drain", "/api/node/undrain", "/api/node/reload"):
            post(admin, page, 409)
        mock.steps("g", "all")
        assert client.response().status == 200


def test_every_status_of_every_post(stage, mock):
    post = Posts()
    post_in_a_cluster(post, stage, mock)
    post_to_one_node(post, stage, mock)
    post_to_one_that_ends(post, stage, mock)
    guarded = stage.node(mock, server={"admin": {"allow": [], "token": "admin-token"}})
    for page in POSTS:
        post(guarded, page, 401)
    assert post.seen == {(page, int(status)) for page in POSTS for status in API["paths"][page]["post"]["responses"]}


def test_answers_of_a_coordinator(stage):
    cluster = Cluster(stage)
    wire = cluster.wire()
    coordinator = Coordinator(stage, cluster, "c1")
    coordinator.wait_leads()
    for page, operations in COORDINATOR_API["paths"].items():
        assert list(operations) == ["get"]
        r = coordinator.get(page)
        check(page, r, api=COORDINATOR_API)
        assert r.status == 200
        assert send(coordinator.port, "HEAD", page).status == 200
        r = send(coordinator.port, "POST", page)
        check(page, r, api=COORDINATOR_API)
        assert r.status == 405 and r.get("allow") == "GET, HEAD"
    for page in set(API["paths"]) - set(COORDINATOR_API["paths"]):
        assert coordinator.get(page).status == 404, page
    wire.cut()
    wait_for(lambda: coordinator.get("/health/ready").status == 503, "the coordinator to be without its store")
    check("/health/ready", coordinator.get("/health/ready"), api=COORDINATOR_API)
