"""Which provider a request goes to."""

import pytest


def where(node, target, headers=(), host="test.example"):
    with node.client() as c:
        r = c.get(target, headers, host=host)
        return (r.get("x-mock-name"), r.json()["target"]) if r.status == 200 else (r.status, r.get("x-weir-error"))


@pytest.fixture
def two(stage):
    return {n: stage.mock("--name", n) for n in ("red", "blue")}


def test_one_provider_takes_everything(stage):
    node = stage.node({"red": stage.mock("--name", "red")})
    assert where(node, "/echo/red/x") == ("red", "/echo/red/x")


def test_several_providers_by_name(stage, two):
    node = stage.node(two)
    assert where(node, "/red/echo/a?b=c") == ("red", "/echo/a?b=c")
    assert where(node, "/blue/echo/a") == ("blue", "/echo/a")
    for target in ("/echo", "/redder/echo", "/green/echo", "/", "/RED/echo"):
        status, error = where(node, target)
        assert (status, error) == (404, "no_route"), target
    with node.client() as c:
        assert "/NAME/..." in c.get("/v1/models").json()["error"]["message"]


def test_prefix(stage, two):
    routes = [
        {"path_prefix": "/echo/special", "provider": "blue"},
        {"path_prefix": "/stripped", "provider": "blue", "strip_prefix": True},
        {"path_prefix": "/echo", "provider": "red"},
    ]
    node = stage.node(two, routes=routes)
    assert where(node, "/echo/x") == ("red", "/echo/x")
    assert where(node, "/echo/special/x") == ("blue", "/echo/special/x")
    assert where(node, "/echo/specially") == ("red", "/echo/specially")
    assert where(node, "/stripped/echo/x?y") == ("blue", "/echo/x?y")
    status, error = where(node, "/elsewhere")
    assert (status, error) == (404, "no_route")
    with node.client() as c:
        assert c.get("/elsewhere").json()["error"]["message"] == "No route matches this request."


def test_host_and_header(stage, two):
    routes = [
        {"host": "red.example", "provider": "red"},
        {"host": "*.blue.example", "provider": "blue"},
        {"header": {"name": "X-Team", "value": "one"}, "provider": "red"},
        {"header": {"name": "x-any"}, "provider": "blue"},
        {"path_prefix": "/echo/both", "host": "both.example", "provider": "red"},
        {"provider": "blue"},
    ]
    node = stage.node(two, routes=routes)
    assert where(node, "/echo", host="red.example:8000")[0] == "red"
    assert where(node, "/echo", host="RED.example")[0] == "red"
    assert where(node, "/echo", host="a.blue.example")[0] == "blue"
    assert where(node, "/echo", [("x-team", "one")])[0] == "red"
    assert where(node, "/echo", [("x-team", "two")])[0] == "blue"
    assert where(node, "/echo", [("X-ANY", "whatever")])[0] == "blue"
    assert where(node, "/echo/both", host="both.example")[0] == "red"
    assert where(node, "/echo/both", host="other.example")[0] == "blue"


def test_first_match_wins(stage, two):
    node = stage.node(two, routes=[{"provider": "blue"}, {"path_prefix": "/echo", "provider": "red"}])
    assert where(node, "/echo")[0] == "blue"


def test_no_provider(stage):
    node = stage.node({})
    with node.client() as c:
        r = c.get("/v1/models")
        assert r.status == 503 and r.get("x-weir-error") == "no_provider"
        error = r.json()["error"]
        assert error["code"] == "no_provider" and error["message"] and error["type"]
        assert c.get("/health/live").status == 200
