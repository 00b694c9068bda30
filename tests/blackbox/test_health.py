"""Endpoints out of health are passed over, by active checks and by how their tries end, and come back; the pool is cleaned."""

import pytest
from harness import free_port, wait_for
from http1 import answering

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
NO_CONTENT = b"HTTP/1.1 204 No Content\r\n\r\n"
CHECKS = {"enabled": True, "check_interval": 0.1, "unhealthy_threshold": 2, "health_check_timeout": 5}


def of(*upstreams, **keys):
    """A provider with these endpoints."""
    return {"endpoints": [{"url": getattr(u, "url", u)} for u in upstreams], **keys}


def events(node, name, upstream=None):
    url = getattr(upstream, "url", upstream)
    return [l for l in node.log_lines() if l.get("event") == name and (url is None or l["endpoint"] == url)]


def wait_event(node, name, upstream=None, count=1):
    return wait_for(lambda: (lambda e: e if len(e) >= count else None)(events(node, name, upstream)), f"{count} x {name}")[-1]


def checks(node, result, provider="mock"):
    return node.metric("weir_health_checks_total", provider=provider, result=result)


def names(node, count):
    """Who answers so many requests, all of which must be answered well."""
    with node.client() as c:
        answers = [c.get("/echo") for _ in range(count)]
    assert [a.status for a in answers] == [200] * count
    return {a.get("x-mock-name") for a in answers}


def test_one_that_fails_its_check_gets_no_request_and_comes_back(stage):
    well, sick = stage.mock("--name", "well"), stage.mock("--name", "sick")
    sick.plan(status=503)
    node = stage.node({"mock": of(well, sick)}, http_client={"health": {**CHECKS, "path": "/v1/models"}})
    told = wait_event(node, "endpoint_unhealthy", sick)
    assert told["provider"] == "mock" and told["reason"] == "status 503"
    assert wait_event(node, "endpoint_ejected", sick)["reason"] == "failed checks"
    assert node.metric("weir_endpoints_ejected", provider="mock") == 1
    assert node.metric("weir_endpoint_ejections_total", endpoint=sick.url, reason="checks") == 1
    shown = node.get("/health/connections").json()["providers"]["mock"]
    assert shown["status"] == "degraded" and shown["endpoints"][sick.url]["checks_failed"]
    assert names(node, 20) == {"well"}
    sick.plan()
    wait_event(node, "endpoint_healthy", sick)
    wait_event(node, "endpoint_returned", sick)
    assert names(node, 20) == {"well", "sick"}
    assert node.metric("weir_endpoints_ejected", provider="mock") == 0
    assert not events(node, "endpoint_unhealthy", well) and checks(node, "passed") > 0


def test_a_dead_port_is_found_without_a_request(stage, mock):
    dead = f"http://127.0.0.1:{free_port()}"
    node = stage.node({"mock": of(dead, mock)}, http_client={"health": CHECKS})
    wait_event(node, "endpoint_ejected", dead)
    with node.client() as c:
        assert [c.get("/echo").status for _ in range(20)] == [200] * 20


def test_at_most_half_are_out(stage):
    mocks = [stage.mock("--name", str(i)) for i in range(3)]
    for m in mocks:
        m.down()
    node = stage.node({"mock": of(*mocks)}, http_client={"health": CHECKS})
    wait_event(node, "endpoint_unhealthy", count=3)
    assert node.metric("weir_endpoints_ejected", provider="mock") == 1
    assert node.get("/health/connections").json()["providers"]["mock"]["status"] == "unhealthy"
    for m in mocks:
        m.up()
    wait_event(node, "endpoint_healthy", count=3)
    assert node.metric("weir_endpoints_ejected", provider="mock") == 0
    assert names(node, 12) == {"0", "1", "2"}


def test_the_request_of_a_check(stage, mock):
    upstream = stage.upstream(answering(NO_CONTENT, then_close=True))
    provider = of(upstream, api_key="sk-secret", headers={"x-team": "blue"})
    health = {**CHECKS, "path": "/up", "method": "HEAD", "expected_status": [200, 204]}
    node = stage.node({"mock": provider}, http_client={"health": health})
    wait_for(lambda: checks(node, "passed") >= 2, "two checks")
    r = upstream.requests[0]
    assert (r.method, r.target) == ("HEAD", "/up")
    assert r.get("host") == f"127.0.0.1:{upstream.port}" and r.get("authorization") == "Bearer sk-secret"
    assert r.get("x-team") == "blue" and r.get("user-agent").startswith("weir/") and r.get("connection") == "close"
    assert checks(node, "failed") == 0 and "sk-secret" not in node.log


def test_a_check_that_hangs_delays_no_other(stage, mock):
    hung = stage.upstream(lambda wire, _: wire.hold())
    health = {**CHECKS, "path": "/v1/models", "health_check_timeout": 600}
    node = stage.node({"mock": of(hung, mock)}, http_client={"health": health})
    hung.wait(lambda u: u.connections >= 1, "the check that hangs")
    before = checks(node, "passed")
    wait_for(lambda: checks(node, "passed") >= before + 5, "checks of the other one")
    assert hung.connections == 1 and checks(node, "failed") == 0


def test_a_check_ends_with_its_time(stage, mock):
    hung = stage.upstream(lambda wire, _: wire.hold())
    health = {**CHECKS, "path": "/v1/models", "health_check_timeout": 0.2}
    node = stage.node({"mock": of(hung, mock)}, http_client={"health": health})
    assert "timed out" in wait_event(node, "endpoint_unhealthy", hung)["reason"]
    assert not events(node, "endpoint_unhealthy", mock)


def test_without_health_nothing_is_checked_or_ejected(stage, mock):
    unchecked = [stage.mock(), stage.mock()]
    providers = {"mock": of(mock), "off": of(*unchecked, health={"enabled": False}, circuit_breaker={"enabled": False})}
    routes = [{"path_prefix": "/v1", "provider": "off"}, {"provider": "mock"}]
    node = stage.node(providers, http_client={"health": CHECKS}, routes=routes)
    unchecked[0].plan(status=500)
    with node.client() as c:
        assert sorted(c.get("/v1/models").status for _ in range(40)) == [200] * 20 + [500] * 20
    wait_for(lambda: checks(node, "passed") >= 10, "checks of the other provider")
    assert checks(node, "passed", "off") == checks(node, "failed", "off") == 0
    assert node.metric("weir_endpoints_ejected", provider="off") == 0


def test_failed_tries_eject_and_time_brings_back(stage):
    well, sick = stage.mock("--name", "well"), stage.mock("--name", "sick")
    client = {
        "health": {"enabled": True, "check_interval": 3600},
        "circuit_breaker": {"enabled": False, "failure_threshold": 3, "recovery_timeout": 2},
    }
    node = stage.node({"mock": of(well, sick)}, http_client=client)
    sick.plan(status=500)
    with node.client() as c:
        failed = sum(c.get("/echo").status == 500 for _ in range(20))
    assert failed == 3
    told = wait_event(node, "endpoint_ejected", sick)
    assert told["reason"] == "failed tries in a row" and told["until"].endswith("Z")
    sick.plan()
    wait_event(node, "endpoint_returned", sick)
    assert names(node, 10) == {"well", "sick"}
    assert len(events(node, "endpoint_ejected")) == 1
