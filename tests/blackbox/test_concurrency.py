"""Adaptive concurrency: an endpoint is sent as many requests at once as it bears, and who comes then waits."""

import pytest

from harness import wait_for
from load import Load

NOW = "weir_concurrency_requests_total"
CHAT = b'{"model":"m","messages":[{"role":"user","content":"hi"}]}'


def bears(least, most, seconds=30, **pool):
    return {
        "adaptive_concurrency": {"enabled": True, "min": least, "max": most},
        "pool_limits": {"pool_block_timeout": seconds, **pool},
        "timeout": {"pool": seconds},
    }


def asked(node, count, gate="g"):
    """So many clients that have asked; the mock answers when the gate lets it."""
    clients = [node.client() for _ in range(count)]
    for c in clients:
        c.ask("GET", "/echo", [("x-mock-gate", gate)])
    return clients


def outcomes(node):
    return {r: node.metric(NOW, provider="mock", result=r) for r in ("queued", "refused", "left")}


@pytest.mark.parametrize("workers", [1, 2])
def test_no_more_than_the_endpoint_bears(stage, mock, workers):
    node = stage.node(mock, server={"workers": workers}, http_client=bears(2, 2))
    clients = asked(node, 2)
    mock.wait_waiting("g", 2)
    clients += asked(node, 6)
    wait_for(lambda: node.metric("weir_requests_active") >= 9, "all eight to be there, beside this question")
    assert mock.waiting("g") == 2
    assert node.metric("weir_endpoint_concurrency_limit") == 2 and node.metric("weir_endpoint_in_flight") == 2
    mock.steps("g", "all")
    assert [c.response().status for c in clients] == [200] * 8
    assert mock.stats()["requests"]["total"] == 8
    assert outcomes(node) == {"queued": 6, "refused": 0, "left": 0}
    assert node.metric("weir_endpoint_in_flight") == 0
    for c in clients:
        c.close()


def test_another_endpoint_has_room(stage):
    mocks = [stage.mock() for _ in range(2)]
    node = stage.node({"mock": {"endpoints": [{"url": m.url} for m in mocks]}}, http_client=bears(1, 1))
    first = asked(node, 1)
    wait_for(lambda: sum(m.waiting("g") for m in mocks) == 1, "the first")
    busy, idle = mocks if mocks[0].waiting("g") else mocks[::-1]
    second = asked(node, 1)
    idle.wait_waiting("g", 1)
    third = asked(node, 1)
    wait_for(lambda: node.metric("weir_requests_active") >= 4, "the third, beside this question")
    busy.steps("g", "all")
    assert first[0].response().status == 200
    assert third[0].response().status == 200
    idle.steps("g", "all")
    assert second[0].response().status == 200
    assert outcomes(node) == {"queued": 1, "refused": 0, "left": 0}
    assert busy.stats()["requests"]["total"] == 2


def test_the_wait_has_an_end(stage, mock):
    node = stage.node(mock, http_client=bears(1, 1, seconds=0.3))
    clients = asked(node, 1)
    mock.wait_waiting("g", 1)
    with node.client() as c:
        r = c.get("/echo")
        assert (r.status, r.get("x-weir-error")) == (503, "concurrency_limit")
        assert r.all("retry-after") == ["1"]
    mock.steps("g", "all")
    assert clients[0].response().status == 200
    assert outcomes(node) == {"queued": 0, "refused": 1, "left": 0}


def test_the_line_is_bounded_and_can_be_left(stage, mock):
    node = stage.node(mock, server={"workers": 2}, http_client=bears(1, 1, max_pending=1))
    clients = asked(node, 1)
    mock.wait_waiting("g", 1)
    leaver = asked(node, 1)[0]
    wait_for(lambda: node.metric("weir_requests_active") >= 3, "one to wait, beside this question")
    with node.client() as c:
        r = c.get("/echo")
        assert (r.status, r.get("x-weir-error")) == (503, "concurrency_limit")
    leaver.reset()
    wait_for(lambda: outcomes(node)["left"] == 1, "it to have left")
    assert node.metric("weir_client_aborts_total", phase="queue") == 1
    mock.steps("g", "all")
    assert clients[0].response().status == 200


def test_the_limit_grows_while_answers_are_fast_and_falls_when_told(stage):
    mock = stage.mock()
    node = stage.node(mock, http_client=bears(4, 100))

    def limit():
        return node.metric("weir_endpoint_concurrency_limit")

    assert limit() == 4

    def ask(c, _):
        assert c.get("/echo").status in (200, 429)

    load = Load(node, 24, ask)
    grown = wait_for(lambda: limit() > 8 and limit(), "the limit to grow")
    mock.plan(status=429)
    wait_for(lambda: limit() == 4, f"the limit to fall from {grown} to its least")
    load.end()


def test_a_reload_turns_it_off(stage, mock):
    node = stage.node(mock, http_client=bears(1, 1))
    clients = asked(node, 3)
    mock.wait_waiting("g", 1)
    wait_for(lambda: node.metric("weir_requests_active") >= 4, "the others to wait, beside this question")
    node.reload(stage.config(node.port, mock))
    mock.wait_waiting("g", 3)
    mock.steps("g", "all")
    assert [c.response().status for c in clients] == [200] * 3


def test_a_provider_that_goes_serves_those_who_wait(stage, mock):
    node = stage.node(mock, http_client=bears(1, 1))
    first, second = asked(node, 1)[0], None
    mock.wait_waiting("g", 1)
    second = asked(node, 1)[0]
    wait_for(lambda: node.metric("weir_requests_active") >= 3, "the second one to wait, beside this question")
    node.reload(stage.config(node.port, {"other": {"base_url": mock.url}}, http_client=bears(1, 1)))
    node.wait_events("reload")
    mock.steps("g", "all")
    assert [c.response().status for c in (first, second)] == [200, 200]
