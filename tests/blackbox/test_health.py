"""Endpoints out of health are passed over, by active checks and by how their tries end, and come back; the pool is cleaned."""

import time

import pytest
from harness import free_port, wait_for
from http1 import answering

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
NO_CONTENT = b"HTTP/1.1 204 No Content\r\n\r\n"
CHECKS = {"enabled": True, "check_interval": 0.1, "unhealthy_threshold": 2, "health_check_timeout": 5}


def of(*upstreams, **keys):
    """A provider with these endpoints."""
    return {"endpoints": [{"url": getattr(u, "url", u)} for u in upstreams], **keys}


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
    told = node.wait_events("endpoint_unhealthy", endpoint=sick.url)[-1]
    assert told["provider"] == "mock" and told["reason"] == "status 503"
    assert node.wait_events("endpoint_ejected", endpoint=sick.url)[-1]["reason"] == "failed checks"
    assert node.metric("weir_endpoints_ejected", provider="mock") == 1
    assert node.metric("weir_endpoint_ejections_total", endpoint=sick.url, reason="checks") == 1
    shown = node.get("/health/connections").json()["providers"]["mock"]
    assert shown["status"] == "degraded" and shown["endpoints"][sick.url]["checks_failed"]
    assert names(node, 20) == {"well"}
    sick.plan()
    node.wait_events("endpoint_healthy", endpoint=sick.url)
    node.wait_events("endpoint_returned", endpoint=sick.url)
    assert names(node, 20) == {"well", "sick"}
    assert node.metric("weir_endpoints_ejected", provider="mock") == 0
    assert not node.events("endpoint_unhealthy", endpoint=well.url) and checks(node, "passed") > 0


def test_a_dead_port_is_found_without_a_request(stage, mock):
    dead = f"http://127.0.0.1:{free_port()}"
    node = stage.node({"mock": of(dead, mock)}, http_client={"health": CHECKS})
    node.wait_events("endpoint_ejected", endpoint=dead)
    with node.client() as c:
        assert [c.get("/echo").status for _ in range(20)] == [200] * 20


def test_at_most_half_are_out(stage):
    mocks = [stage.mock("--name", str(i)) for i in range(3)]
    for m in mocks:
        m.down()
    node = stage.node({"mock": of(*mocks)}, http_client={"health": CHECKS})
    node.wait_events("endpoint_unhealthy", 3)
    assert node.metric("weir_endpoints_ejected", provider="mock") == 1
    assert node.get("/health/connections").json()["providers"]["mock"]["status"] == "unhealthy"
    for m in mocks:
        m.up()
    node.wait_events("endpoint_healthy", 3)
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
    health = {**CHECKS, "path": "/v1/models"}
    # The other one's is longer than what a busy machine takes.
    providers = {"hung": of(hung, health={**health, "health_check_timeout": 0.2}), "mock": of(mock)}
    node = stage.node(providers, http_client={"health": health})
    assert "timed out" in node.wait_events("endpoint_unhealthy", endpoint=hung.url)[-1]["reason"]
    wait_for(lambda: checks(node, "passed") > 0, "the other one's check")
    assert not node.events("endpoint_unhealthy", endpoint=mock.url)


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
    """A time that ends during the test, and one that does not."""
    mocks = {name: (stage.mock("--name", "well"), stage.mock("--name", "sick")) for name in ("soon", "late")}

    def provider(name, seconds):
        return of(*mocks[name], circuit_breaker={"enabled": False, "failure_threshold": 3, "recovery_timeout": seconds})

    providers = {"soon": provider("soon", 1), "late": provider("late", 3600)}
    node = stage.node(providers, http_client={"health": {"enabled": True, "check_interval": 3600}})
    for _, sick in mocks.values():
        sick.plan(status=500)
    with node.client() as c:
        assert sum(c.get("/late/echo").status == 500 for _ in range(20)) == 3
        late, soon = (mocks[name][1] for name in ("late", "soon"))
        (told,) = node.wait_only_events("endpoint_ejected", endpoint=late.url)
        assert told["reason"] == "failed tries in a row" and told["until"].endswith("Z")
        wait_for(lambda: c.get("/soon/echo").status and node.events("endpoint_ejected", endpoint=soon.url), "the other to be ejected")
        soon.plan()
        node.wait_events("endpoint_returned", endpoint=soon.url)
        # A busy machine may have had it ejected once more before it was well.
        both = lambda: {c.get("/soon/echo").get("x-mock-name") for _ in range(10)} == {"well", "sick"}  # noqa: E731
        wait_for(both, "both to be asked")
    assert len(node.events("endpoint_ejected", endpoint=late.url)) == 1 and not node.events("endpoint_returned", endpoint=late.url)


def test_no_checks_while_the_circuit_is_open(stage):
    well, sick = stage.mock("--name", "well"), stage.mock("--name", "sick")
    client = {
        "health": {**CHECKS, "path": "/v1/models", "unhealthy_threshold": 1000},
        "circuit_breaker": {"enabled": True, "failure_threshold": 3, "recovery_timeout": 3600},
    }
    node = stage.node({"mock": of(well, sick)}, http_client=client)
    count = lambda m, result: node.metric("weir_health_checks_total", endpoint=m.url, result=result)  # noqa: E731
    sick.plan(status=500)
    with node.client() as c:
        assert sum(c.get("/echo").status == 500 for _ in range(20)) == 3
    told = node.wait_events("circuit_opened", endpoint=sick.url)[-1]
    assert told["provider"] == "mock"
    begun = count(well, "passed")
    wait_for(lambda: count(well, "passed") > begun + 1, "what was under way to end")
    failed, begun = count(sick, "failed"), count(well, "passed")
    wait_for(lambda: count(well, "passed") > begun + 10, "checks of the other one")
    assert count(sick, "failed") == failed


# -- cleaning --


def park(node, mocks, each):
    """Leaves so many idle connections to each of the mocks."""
    clients = []
    for i, m in enumerate(mocks * each):
        c = node.client()
        c.ask("GET", "/echo", [("x-mock-gate", "park")])
        clients.append(c)
        wait_for(lambda: sum(m.waiting("park") for m in mocks) == i + 1, "a request to wait")
    for m in mocks:
        m.steps("park", "all")
    assert [c.response().status for c in clients] == [200] * len(clients)
    wait_for(lambda: node.pool("mock")["connections_idle"] == len(mocks) * each, "idle connections")


@pytest.mark.parametrize("how", [{"cleanup_interval": 2}, {"cleanup_interval": 3600, "force_cleanup": True}])
@pytest.mark.parametrize("workers", [1, 2])
def test_connections_to_a_sick_endpoint_are_cleaned_up(stage, how, workers):
    well, sick = stage.mock(), stage.mock()
    health = {**CHECKS, "path": "/v1/models", **how}
    pool = {"max_connections": 20, "max_keepalive_connections": 20}
    node = stage.node({"mock": of(well, sick)}, http_client={"health": health, "pool_limits": pool}, server={"workers": workers})
    park(node, [well, sick], 3)
    parked = int(node.metric("connections_idle", endpoint=sick.url))
    assert parked > 0 and (workers > 1 or parked == 3)  # each worker takes the endpoints in turn for itself
    sick.plan(status=503)
    node.wait_events("endpoint_ejected", endpoint=sick.url)
    closed = lambda: node.metric("weir_pool_connections_closed_total", endpoint=sick.url, reason="unhealthy")  # noqa: E731
    wait_for(lambda: closed() == parked, "its connections to be closed")
    told = node.wait_events("pool_cleanup")
    assert [e["msg"] for e in told] == [f"Cleaned up {parked} stale connections"] and told[0]["provider"] == "mock"
    assert node.metric("weir_pool_cleaned_connections_total") == parked
    assert node.pool("mock")["connections_idle"] == 6 - parked
    sick.plan()
    node.wait_events("endpoint_returned", endpoint=sick.url)
    with node.client() as c:
        assert [c.get("/echo").status for _ in range(4)] == [200] * 4


def test_a_sweep_comes_sooner_when_there_is_little_load(stage):
    began = time.monotonic()
    well, sick = stage.mock(), stage.mock()
    providers = {name: of(well, sick) for name in ("busy", "calm")}

    def client(interval):
        return {
            "health": {**CHECKS, "path": "/v1/models", "cleanup_interval": interval},
            "pool_limits": {"max_connections": 20, "max_keepalive_connections": 20},
        }

    idle = lambda name: node.metric("connections_idle", provider=name, endpoint=sick.url)  # noqa: E731
    node = stage.node(providers, http_client=client(3600))
    with node.client() as c:
        for target in ("/busy/echo", "/calm/echo") * 2:
            assert c.get(target).status == 200
    assert idle("busy") == idle("calm") == 1
    sick.plan(status=503)
    node.wait_events("endpoint_ejected", 2, endpoint=sick.url)
    clients = [node.client() for _ in range(10)]
    for c in clients:
        c.ask("GET", "/busy/echo", [("x-mock-gate", "hold")])
    well.wait_waiting("hold", len(clients))
    # Half of it is over, the whole is not.
    node.reload(stage.config(node.port, providers, http_client=client(2 * (time.monotonic() - began) + 2)))
    wait_for(lambda: idle("calm") == 0, "the sweep")
    assert idle("busy") == 1
    well.steps("hold", "all")
    assert [c.response().status for c in clients] == [200] * len(clients)


# -- size --


def limits(node):
    p = node.pool("mock")
    return p["max_connections"], p["max_keepalive_connections"]


def test_limits_follow_the_load(stage, mock):
    pool = {"max_connections": 40, "max_keepalive_connections": 30, "load_scaling": True, "pool_block_timeout": 60}
    client = {"pool_limits": pool, "timeout": {"pool": 60}}
    node = stage.node(mock, http_client=client)
    wait_for(lambda: limits(node) == (20, 15), "half of the limits, without load")
    clients = [node.client() for _ in range(30)]
    for c in clients:
        c.ask("GET", "/echo", [("x-mock-gate", "hold")])
    mock.wait_waiting("hold", 30)  # more than were allowed before: who was queued has been seen to
    wait_for(lambda: limits(node) == (60, 45), "half as much again, under load")
    node.reload(stage.config(node.port, mock, http_client={**client, "retry": {"enabled": True}}))
    node.wait_events("reload")
    assert limits(node) == (60, 45)
    mock.steps("hold", "all")
    assert [c.response().status for c in clients] == [200] * 30
    wait_for(lambda: limits(node) == (20, 15), "the limits to come down with the load")
    wait_for(lambda: node.pool("mock")["connections_idle"] == 15, "what is over the limits to be closed")
    bands = [e["band"] for e in node.wait_events("pool_scaled", 3)]
    assert [b for b in bands if b != "normal"] == ["low", "high", "low"]
    assert node.wait_events("pool_cleanup")[-1]["msg"] == "Cleaned up 15 stale connections"


def test_size_and_clocks_by_the_formulas(stage, mock):
    """The formula's smallest size for what little is measured; its clocks for a connect that takes no time."""
    client = {"auto_tune": True, "pool_limits": {"max_connections": 100}, "timeout": {"total": 100, "read": 30, "connect": 2}}
    node = stage.node(mock, http_client=client)
    clock = lambda name: node.metric("weir_timeout_seconds", provider="mock", clock=name)  # noqa: E731
    assert limits(node)[0] == 100 and clock("read") == 30

    mock.plan(close=1)  # each request measures a connect

    def tuned():
        assert node.get("/echo").status == 200
        return limits(node)[0] == 10 and clock("read") != 30

    wait_for(tuned, "what the formulas yield")
    assert node.wait_events("pool_tuned")[-1]["max_connections"] == 10
    assert clock("read") == 80 and clock("connect") == 5 and clock("total") == 90
    node.reload(stage.config(node.port, mock, http_client={**client, "auto_tune": False}))
    node.wait_events("reload")
    assert limits(node)[0] == 100 and clock("read") == 30 and clock("connect") == 2 and clock("total") == 100
