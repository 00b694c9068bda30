"""docs/openapi.yaml says what the pages answer: each page of the node is in it, and each live answer is as it says."""

import json

import pytest
import yaml
from cluster import Cluster, ask
from harness import ROOT, wait_for
from test_admin import OPEN_PAGES, SECRET_PAGES

jsonschema = pytest.importorskip("jsonschema", reason="no JSON Schema validator here (python3-jsonschema)")

API = yaml.safe_load((ROOT / "docs" / "openapi.yaml").read_text())
PAGES = sorted({*OPEN_PAGES, *SECRET_PAGES, "/api/cluster/events"})
BREAKER = {"circuit_breaker": {"enabled": True, "failure_threshold": 1, "recovery_timeout": 60}, "retry": {"enabled": False}}


def resolved(node):
    while "$ref" in node:
        at = API
        for key in node["$ref"].removeprefix("#/").split("/"):
            at = at[key]
        node = at
    return node


def check(page, status, content_type, body):
    answers = API["paths"][page]["get"]["responses"]
    assert str(status) in answers, f"{page} answers {status}"
    content = resolved(answers[str(status)])["content"]
    kind = content_type.split(";")[0]
    assert kind in content, f"{page} answers {kind}"
    if kind == "application/json":
        schema = {**content[kind]["schema"], "components": API["components"]}
        found = list(jsonschema.Draft202012Validator(schema).iter_errors(json.loads(body)))
        assert not found, f"{page}: " + "; ".join(f"{e.json_path}: {e.message}" for e in found[:5])


def check_all(node):
    for page in PAGES:
        r = node.get(page, accept="application/json") if page.endswith("/events") else node.get(page)
        check(page, r.status, r.get("content-type"), r.body)


def test_every_page_is_described():
    assert set(PAGES) <= set(API["paths"])
    assert all(resolved(r) for p in API["paths"].values() for o in p.values() for r in o["responses"].values())


def test_answers_in_a_cluster(stage):
    cluster = Cluster(stage)
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
            r = node.get(page)
            check(page, r.status, r.get("content-type"), r.body)


def test_what_strangers_get(stage):
    node = stage.node(stage.mock(), server={"admin": {"allow": [], "token": "admin-token"}})
    for page in SECRET_PAGES:
        r = node.get(page)
        check(page, r.status, r.get("content-type"), r.body)
        assert r.status == 401
