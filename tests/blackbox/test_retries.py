"""A failed try is followed by another, elsewhere first, as far as configuration, deadline, budget and body allow."""

import random
import threading
import time

import pytest
from harness import wait_for
from http1 import Closed
from retrying import CLOCK_SLACK_S, OK, access, error, get, node_for, post, silent, timed


# -- how often --


@pytest.mark.parametrize("attempts", [0, 1, 3, 5])
def test_attempts_are_tries_after_the_first(stage, attempts):
    upstream = stage.upstream([error()])
    node = node_for(stage, upstream, {"attempts": attempts})
    assert get(node).status == 500
    assert len(upstream.requests) == attempts + 1
    assert access(node)[0]["attempts"] == attempts + 1
    assert node.metric("weir_retries_total", after="status") == attempts
    assert node.metric("weir_retries_refused_total", reason="attempts") == 1


def test_the_basic_form(stage):
    script, times = timed(error())
    upstream = stage.upstream(script)
    node = stage.node(upstream, http_client={"retry": {"jitter": "none"}, "retry_attempts": 2, "retry_backoff_factor": 0.1})
    assert get(node).status == 500
    assert len(times) == 3
    assert times[2] - times[1] >= 0.2 - CLOCK_SLACK_S


def test_disabled(stage):
    upstream = stage.upstream([error(), OK])
    node = node_for(stage, upstream, {"enabled": False})
    assert get(node).status == 500 and len(upstream.requests) == 1
    assert "not_retried" not in access(node)[0]


def test_the_last_answer_passes_as_it_is(stage):
    body = random.randbytes(30000)
    chunked = b"HTTP/1.1 503 Away\r\nX-Own: a\r\nx-own: b\r\nTransfer-Encoding: chunked\r\nTrailer: x-sum\r\n\r\n"
    chunked += b"7530\r\n" + body + b"\r\n0\r\nx-sum: 9\r\n\r\n"
    upstream = stage.upstream([error(500, b"first"), error(502, b"second"), chunked])
    node = node_for(stage, upstream, {"attempts": 2})
    r = get(node)
    assert (r.status, r.all("x-own"), r.body, r.trailer("x-sum")) == (503, ["a", "b"], body, "9")
    assert r.get("x-weir-error") is None


def test_the_last_error_is_told(stage, mock):
    mock.down()
    node = node_for(stage, mock, {"attempts": 2})
    r = get(node)
    assert (r.status, r.get("x-weir-error")) == (502, "connect_failed")
    assert access(node)[0]["attempts"] == 3 and node.metric("weir_retries_total", after="connect") == 2


# -- what is tried again --

DEFAULT_CODES = [408, 429, 500, 502, 503, 504]


@pytest.mark.parametrize("code", DEFAULT_CODES)
def test_codes_that_are_tried_again(stage, code):
    upstream = stage.upstream([error(code), OK])
    assert get(node_for(stage, upstream)).status == 200 and len(upstream.requests) == 2


@pytest.mark.parametrize("code", [200, 204, 301, 400, 401, 404, 409, 501, 505, 529])
def test_codes_that_are_not(stage, code):
    upstream = stage.upstream([error(code) if code != 204 else b"HTTP/1.1 204 No Content\r\n\r\n", OK])
    node = node_for(stage, upstream, follow_redirects=False)
    assert get(node).status == code and len(upstream.requests) == 1


@pytest.mark.parametrize("key", ["retry_status_codes", "status_codes"])
def test_codes_of_the_configuration(stage, key):
    upstream = stage.upstream([error(418), error(500), OK])
    node = node_for(stage, upstream, {key: [418, 503, 418]})
    assert get(node).status == 500 and len(upstream.requests) == 2


def lost(wire, upstream):
    """Reads each request and closes in its place."""
    wire.request()


@pytest.mark.parametrize("exceptions", [["ConnectError"], ["TimeoutException"], []], ids=str)
def test_exceptions(stage, mock, exceptions):
    """Refused and lost connections are the one, clocks the other."""
    mock.down()
    losing, hanging = stage.upstream(lost), stage.upstream(silent)
    retry = {"attempts": 2, "retry_on_exceptions": exceptions}
    connect, timeout = (3 if e in exceptions else 1 for e in ("ConnectError", "TimeoutException"))
    for upstream, code, count in ((mock, 502, connect), (losing, 502, connect), (hanging, 504, timeout)):
        node = node_for(stage, upstream, retry, timeout={"read": 0.1 if upstream is hanging else 60})
        assert get(node).status == code
        assert access(node)[0]["attempts"] == count
        if upstream is not mock:
            upstream.wait(lambda u, n=count: len(u.requests) == n, "it to have read what was sent, in time or not")


@pytest.mark.parametrize("what", ["down", "reset-before-head", "close-before-head", "stall-before-head"])
def test_any_failure_before_the_head_is_retried_elsewhere(stage, what):
    sick, well = stage.mock(), stage.mock()
    sick.down() if what == "down" else sick.plan(fault=what)
    node = node_for(stage, [sick, well], timeout={"read": 1 if what.startswith("stall") else 60})
    assert [get(node, "/echo").status for _ in range(6)] == [200] * 6
    assert well.stats()["requests"]["total"] >= 6  # more, where a busy machine takes longer than the clock for a healthy one
    assert node.metric("weir_retries_total") > 0


# -- what may not be tried again --


def test_methods(stage):
    upstream = stage.upstream([error()])
    node = node_for(stage, upstream, {"attempts": 1, "methods": ["GET", "HEAD"]})
    assert get(node).status == 500 and len(upstream.requests) == 2
    assert post(node, b"x").status == 500 and len(upstream.requests) == 3
    assert access(node, 2)[1]["not_retried"] == "method"
    assert node.metric("weir_retries_refused_total", reason="method") == 1


def test_all_methods_by_default(stage):
    upstream = stage.upstream([error(), OK])
    node = node_for(stage, upstream)
    for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS"):
        with node.client() as c:
            assert c.request(method, "/x", (), b"abc").status == 200, method
    assert [r.method for r in upstream.requests] == [m for m in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS") for _ in range(2)]


def test_a_body_larger_than_the_replay_buffer(stage):
    upstream = stage.upstream([error(500, b"too large to repeat"), OK])
    node = node_for(stage, upstream, {"replay_buffer": "1KB"})
    r = post(node, b"x" * 5000)
    assert (r.status, r.body, len(upstream.requests)) == (500, b"too large to repeat", 1)
    assert access(node)[0]["not_retried"] == "body"
    assert node.metric("weir_retries_refused_total", reason="body") == 1
    upstream.requests.clear()
    assert post(node, b"x" * 1000).status == 200  # the script's turn is OK's
    assert post(node, b"x" * 1000).status == 200 and len(upstream.requests) == 3


@pytest.mark.parametrize("size", [1, 1000, 60000])
@pytest.mark.parametrize("chunked", [False, True])
def test_the_body_goes_out_again_byte_by_byte(stage, size, chunked):
    body = random.randbytes(size)
    upstream = stage.upstream([error(), error(502), OK])
    node = node_for(stage, upstream)
    with node.client() as c:
        if chunked:
            c.ask("POST", "/x", [("Transfer-Encoding", "chunked"), ("Trailer", "x-sum")])
            for at in range(0, size, 7001):
                part = body[at : at + 7001]
                c.send(f"{len(part):x}\r\n".encode() + part + b"\r\n")
            c.send("0\r\nx-sum: 42\r\n\r\n")
            assert c.response().status == 200
        else:
            assert c.post("/x", body).status == 200
    assert [r.body for r in upstream.requests] == [body] * 3
    if chunked:
        assert [r.trailers for r in upstream.requests] == [[("x-sum", "42")]] * 3
    else:
        assert [r.get("content-length") for r in upstream.requests] == [str(size)] * 3


def test_an_answer_before_the_body_has_come(stage):
    """The rest of the body goes to the next endpoint behind what the first one had already seen."""

    def early(wire, upstream):
        upstream.record(wire.request_head())
        wire.send(error(503, fields="Connection: close\r\n"))

    sick, well = stage.upstream(early), stage.upstream([OK])
    node = node_for(stage, [sick, well])
    body = random.randbytes(20000)
    for _ in range(4):
        with node.client() as c:
            c.ask("POST", "/x", [("Content-Length", len(body))])
            c.send(body[:6000])
            c.send(body[6000:])
            assert c.response().status == 200
    assert [r.body for r in well.requests] == [body] * 4 and sick.requests


def test_nothing_is_retried_once_the_answer_has_begun(stage):
    def dies(wire, _):
        wire.request()
        wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf ")

    upstream = stage.upstream(dies)
    node = node_for(stage, upstream)
    with node.client() as c:
        c.ask("GET", "/x")
        with pytest.raises((Closed, ConnectionResetError)):
            c.response()
    assert len(upstream.requests) == 1
    line = access(node)[0]
    assert line["status"] == 200 and line["attempts"] == 1
    assert node.metric("weir_retries_total") == 0


def test_a_stream_that_dies_is_not_begun_again(stage):
    sick, well = stage.mock("--fault", "reset-mid-body"), stage.mock("--fault", "reset-mid-body")
    node = node_for(stage, [sick, well])
    with node.client() as c:
        c.ask("POST", "/v1/chat/completions", (), b'{"model":"m","stream":true,"messages":[]}')
        assert c.response_head().status == 200
        with pytest.raises((Closed, ConnectionResetError)):
            while c.event() is not None:
                pass
    assert sick.stats()["requests"]["total"] + well.stats()["requests"]["total"] == 1


def test_a_stream_is_retried_before_its_first_byte(stage):
    sick, well = stage.mock("--status", "503"), stage.mock("--tokens", "5")
    node = node_for(stage, [sick, well])
    for _ in range(4):
        with node.client() as c:
            c.ask("POST", "/v1/chat/completions", (), b'{"model":"m","stream":true,"messages":[]}')
            assert c.response_head().get("content-type").startswith("text/event-stream")
            events = []
            while (event := c.event()) is not None:
                events.append(event)
            assert events[-1] == "data: [DONE]" and len(events) == 8  # role, five tokens, the finish, the end
    assert sick.stats()["requests"]["total"] >= 1 and well.stats()["requests"]["total"] == 4


def test_interim_answers_do_not_hinder(stage):
    upstream = stage.upstream([b"HTTP/1.1 102 Wait\r\n\r\n" + error(500), OK])
    node = node_for(stage, upstream)
    r = get(node)
    assert r.status == 200 and len(upstream.requests) <= 2


def test_an_expectation_is_met_once(stage):
    """100-continue has gone to the client at the first try; the second has the body ready."""
    upstream = stage.upstream([error(503), OK])
    node = node_for(stage, upstream)
    with node.client() as c:
        c.ask("POST", "/x", [("Expect", "100-continue"), ("Content-Length", 5)])
        c.send("hello")
        r = c.response()
        assert r.status == 200, r
    assert [q.body for q in upstream.requests] == [b"hello"] * len(upstream.requests)


# -- where --


def test_another_endpoint_first(stage):
    sick = [stage.upstream([error(503)]) for _ in range(2)]
    well = stage.upstream([OK])
    node = node_for(stage, [*sick, well], {"attempts": 2})
    for i in range(12):
        assert get(node, f"/{i}").status == 200
    for upstream in (*sick, well):
        asked = [r.target for r in upstream.requests]
        assert len(asked) == len(set(asked)), "one endpoint was asked twice for the same request"
    assert len(well.requests) == 12 and all(s.requests for s in sick)


def test_when_all_have_failed_it_any_but_the_last(stage):
    order = []

    def script(name):
        def run(wire, _):
            while True:
                wire.request()
                order.append(name)
                wire.send(error(503))

        return run

    a, b = stage.upstream(script("a")), stage.upstream(script("b"))
    assert get(node_for(stage, [a, b], {"attempts": 5})).status == 503
    assert len(order) == 6 and all(x != y for x, y in zip(order, order[1:]))


# -- how much --


def test_the_budget_bounds_what_a_dead_provider_sees(stage, mock):
    """A fifth of the requests, or ten a second in the window, whichever is more; windows do not overlap."""
    mock.plan(status=500)
    node = node_for(stage, mock, {"attempts": 3}, workers=2)
    offered, threads = 1500, 4
    began = time.monotonic()

    def load():
        with node.client() as c:
            for _ in range(offered // threads):
                assert c.get("/echo").status == 500

    running = [threading.Thread(target=load) for _ in range(threads)]
    for t in running:
        t.start()
    for t in running:
        t.join()
    windows = 1 + (time.monotonic() - began) / 10
    seen = mock.stats()["requests"]["total"]
    assert offered < seen <= offered * 1.2 + 100 * windows
    assert node.metric("weir_retries_total") == seen - offered
    assert node.metric("weir_retries_refused_total", reason="budget") > 0


def test_one_budget_for_all_workers(stage, mock):
    mock.plan(status=500)
    node = node_for(stage, mock, {"attempts": 20}, workers=4)
    offered = 40
    for _ in range(offered):  # a connection each, so that all workers have some
        assert get(node, "/echo").status == 500
    windows = 1 + (mock.arrivals()[-1] - mock.arrivals()[0]) / 10
    assert mock.stats()["requests"]["total"] <= offered + 100 * windows


def test_the_budget_is_shown(stage, mock):
    node = node_for(stage, mock, {"attempts": 3})
    shown = lambda: [node.metric(f"weir_retry_budget_{what}") for what in ("used", "allowed")]  # noqa: E731
    assert shown() == [0, 100]
    mock.plan(status=500)
    assert get(node).status == 500
    assert shown() == [3, 100]


# -- who leaves --


def test_a_client_that_leaves_ends_the_wait(stage):
    upstream = stage.upstream([error(), OK])
    node = node_for(stage, upstream, {"backoff_factor": 60, "jitter": "none", "deadline": 600})
    with node.client() as c:
        c.ask("GET", "/x")
        wait_for(lambda: node.metric("weir_retries_total") == 1, "the wait to begin")
    wait_for(lambda: node.metric("weir_client_aborts_total", phase="backoff") == 1, "the abort")
    wait_for(lambda: node.pool("p")["connections_active"] == 0, "the connection to be free")
    assert len(upstream.requests) == 1


def test_many_clients_that_leave_while_they_wait(stage):
    """Their requests are gone before their turn comes; nothing of them is left."""
    upstream = stage.upstream([error()])
    node = node_for(stage, upstream, {"backoff_factor": 0.05, "attempts": 20, "deadline": 600}, workers=2)
    for _ in range(60):
        with node.client() as c:
            c.ask("GET", "/x")
            if random.random() < 0.5:
                upstream.wait(lambda u: u.requests, "a request")
    wait_for(lambda: node.pool("p")["connections_active"] == 0, "all connections to be free")
    assert len(access(node, 60)) == 60


def test_a_drain_waits_for_the_next_try(stage):
    upstream = stage.upstream([error(), OK])
    node = node_for(stage, upstream, {"backoff_factor": 0.5, "jitter": "none"})
    with node.client() as c:
        c.ask("GET", "/x")
        wait_for(lambda: node.metric("weir_retries_total") == 1, "the wait to begin")
        node.tell(15)
        assert c.response().status == 200
    assert node.wait() == 0


def test_a_reload_during_the_wait(stage):
    """The request goes on with what it began with, or with the new; it is answered."""
    sick, well = stage.upstream([error()]), stage.upstream([OK])
    node = node_for(stage, [sick], {"backoff_factor": 0.5, "jitter": "none", "attempts": 2})
    with node.client() as c:
        c.ask("GET", "/x")
        wait_for(lambda: node.metric("weir_retries_total") == 1, "the wait to begin")
        node.reload(stage.config(node.port, {"p": {"endpoints": [{"url": well.url}]}}))
        node.wait_log("the configuration was read again")
        assert c.response().status in (200, 500)
    assert get(node).status == 200
