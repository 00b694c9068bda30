"""The circuit of an endpoint: opens on failures, lets one probe through at a time, closes; and what is no failure."""

import threading

import pytest
from harness import wait_for
from http1 import Closed
from load import Load

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
RECOVERY_S = 1  # the shortest wait of a circuit in these tests; a bound from below, never from above
LONG_S = 600


def error(status=500, fields=""):
    return f"HTTP/1.1 {status} Wrong\r\n{fields}Content-Length: 2\r\n\r\nno".encode()


def node_for(stage, upstreams, breaker=None, workers=1, **http_client):
    """Without retries and health checks unless told: what one try comes to is what the client sees."""
    urls = [u.url for u in (upstreams if isinstance(upstreams, list) else [upstreams])]
    breaker = {"failure_threshold": 3, "recovery_timeout": LONG_S, **(breaker or {})}
    provider = {"endpoints": [{"url": url} for url in urls]}
    return stage.node({"p": provider}, server={"workers": workers}, http_client={"circuit_breaker": breaker, **http_client})


def get(node, target="/echo", headers=()):
    with node.client() as c:
        return c.get(target, headers)


def drop_clocks(stage, node, mock):
    """By a reload, which leaves the circuit as it is: a slow machine shall not run into clocks that have done their part."""
    generation = node.metric("weir_view_generation")
    breaker = {"failure_threshold": 2, "recovery_timeout": LONG_S}
    provider = {"endpoints": [{"url": mock.url}]}
    node.reload(stage.config(node.port, {"p": provider}, http_client={"circuit_breaker": breaker}))
    wait_for(lambda: node.metric("weir_view_generation") > generation, "the reload")


def is_open(r):
    return r.status == 503 and r.get("x-weir-error") == "circuit_open"


def transitions(node, to):
    return node.metric("weir_circuit_transitions_total", to=to)


def wait_closed(node):
    """Asks until the endpoint serves again; while its circuit is open it is not asked."""

    def served():
        r = get(node)
        assert r.status == 200 or is_open(r), r
        return r.status == 200

    wait_for(served, "the circuit to close")


# -- opening --


def test_failures_in_a_row_open_it(stage, mock):
    mock.plan(status=500)
    node = node_for(stage, mock)
    for _ in range(3):
        r = get(node)
        assert r.status == 500 and r.get("x-weir-error") is None
    for _ in range(5):
        r = get(node)
        assert is_open(r) and LONG_S >= int(r.get("retry-after")) >= 1
    assert mock.stats()["requests"]["total"] == 3
    assert transitions(node, "open") == 1 and node.metric("weir_circuit_refusals_total") == 5


def test_a_success_between_begins_anew(stage, mock):
    node = node_for(stage, mock)
    for _ in range(4):
        assert [get(node, "/echo", [("x-mock-status", s)]).status for s in (500, 502, 200)] == [500, 502, 200]
    assert transitions(node, "open") == 0


@pytest.mark.parametrize("what", ["down", "reset-before-head", "close-before-head", "stall-before-head", "503", "504", "599"])
def test_what_is_a_failure(stage, mock, what):
    if what == "down":
        mock.down()
    else:
        mock.plan(**({"status": what} if what.isdigit() else {"fault": what}))
    node = node_for(stage, mock, timeout={"read": 0.1})
    for _ in range(3):
        r = get(node)
        assert r.status >= 500 and not is_open(r)
    assert is_open(get(node)) and transitions(node, "open") == 1


@pytest.mark.parametrize("what", ["501", "429", "400", "404", "408"])
def test_what_is_none(stage, mock, what):
    mock.plan(status=what)
    node = node_for(stage, mock)
    assert [get(node).status for _ in range(10)] == [int(what)] * 10
    assert transitions(node, "open") == 0


def test_a_connection_lost_in_the_answer_is_a_failure(stage, mock):
    mock.plan(fault="truncate")
    node = node_for(stage, mock)
    for _ in range(3):
        with node.client() as c:
            c.ask("GET", "/download?bytes=1000")
            with pytest.raises((Closed, ConnectionResetError)):
                c.response()
    assert is_open(get(node))


def test_clients_that_leave_are_no_failures(stage, mock):
    node = node_for(stage, mock, {"failure_threshold": 2})
    for phase in ("before", "in"):
        for i in range(5):
            with node.client() as c:
                c.ask("GET", "/download?bytes=100000", [("x-mock-fault", "stall-before-head" if phase == "before" else "stall-mid-body")])
                if phase == "in":
                    c.response_head()
                else:
                    mock.wait_stats(lambda s: s["requests"]["open"] >= 1, "the request")
            wait_for(lambda: mock.stats()["requests"]["open"] == 0, "the abort to be passed on")
    assert get(node).status == 200 and transitions(node, "open") == 0


def test_clients_that_are_slow_to_send_are_no_failures(stage, mock):
    """Else a few of them would shut an endpoint off from everybody."""
    node = node_for(stage, mock, {"failure_threshold": 2}, timeout={"read": LONG_S, "total": 1}, retry={"attempts": 2})
    for _ in range(3):
        with node.client() as c:
            c.ask("POST", "/upload", [("Content-Length", "1000")])
            c.send(b"x")
            r = c.response()
            assert r.status == 408 and r.get("x-weir-error") == "body_timeout", r
    drop_clocks(stage, node, mock)
    assert get(node).status == 200 and transitions(node, "open") == 0
    assert node.pool("p")["error_count"] == 0 and node.metric("weir_retries_total") == 0
    assert node.metric("weir_downstream_timeouts_total", clock="body") == 3


def test_clients_that_are_slow_to_read_are_no_failures(stage, mock):
    node = node_for(stage, mock, {"failure_threshold": 2}, timeout={"read": LONG_S, "total": 2})
    for _ in range(2):
        with node.client() as c:
            c.ask("GET", "/download?bytes=50000000")
            assert c.response_head().status == 200
            wait_for(lambda: mock.stats()["requests"]["open"] == 0, "the total clock to end it")
    drop_clocks(stage, node, mock)
    assert get(node).status == 200 and transitions(node, "open") == 0


def test_an_endpoint_that_does_not_take_the_request_is_a_failure(stage):
    """The client is slow to send then because nobody takes what it has sent."""
    upstream = stage.upstream(lambda wire, _: (wire.request_head(), wire.hold()))
    node = node_for(stage, upstream, {"failure_threshold": 1}, timeout={"read": LONG_S, "write": LONG_S, "total": 0.5})

    def sends_until_it_ends():
        """Not the first time, where this client stood still itself for all of the clock."""
        with node.client() as c:
            c.ask("POST", "/upload", [("Content-Length", "50000000")])
            sent = 0
            try:
                while sent < 50_000_000:
                    sent += c.sock.send(b"x" * 65536)
            except (BrokenPipeError, ConnectionResetError):
                pass
        return transitions(node, "open") == 1

    wait_for(sends_until_it_ends, "the circuit to open")
    assert node.wait_only_events("circuit_opened")[0]["last_failure"] == "timeout_total"


def test_the_threshold_is_the_nodes_not_each_workers(stage, mock):
    mock.plan(status=500)
    node = node_for(stage, mock, {"failure_threshold": 10}, workers=4)
    answers = [get(node) for _ in range(40)]  # a connection each: the workers take turns
    assert [r.status for r in answers[:10]] == [500] * 10 and all(is_open(r) for r in answers[10:])
    assert mock.stats()["requests"]["total"] == 10


def test_the_error_rate_opens_it(stage, mock):
    rate = {"failure_threshold": 1000, "error_rate_threshold": 0.5, "error_rate_window": 60, "error_rate_min_requests": 10}
    node = node_for(stage, mock, rate)
    for i in range(10):
        assert get(node, "/echo", [("x-mock-status", 500 if i % 2 else 200)]).status in (200, 500)
    assert is_open(get(node))
    assert node.wait_only_events("circuit_opened")[0]["reason"] == "error_rate"


def test_below_the_error_rate_it_stays_closed(stage, mock):
    rate = {"failure_threshold": 1000, "error_rate_threshold": 0.5, "error_rate_window": 60, "error_rate_min_requests": 10}
    node = node_for(stage, mock, rate)
    for i in range(40):
        assert get(node, "/echo", [("x-mock-status", 500 if i % 3 == 2 else 200)]).status in (200, 500)
    assert transitions(node, "open") == 0


# -- the others --


def test_other_endpoints_serve(stage):
    sick, well = stage.mock("--status", "500"), [stage.mock() for _ in range(2)]
    node = node_for(stage, [sick, *well], retry={"attempts": 2, "backoff_factor": 0})
    assert [get(node).status for _ in range(30)] == [200] * 30
    assert sick.stats()["requests"]["total"] == 3
    assert sum(w.stats()["requests"]["total"] for w in well) == 30


def test_one_endpoint_alone_is_refused_for(stage):
    sick, well = stage.mock("--status", "500"), stage.mock()
    config = {"circuit_breaker": {"failure_threshold": 1, "recovery_timeout": LONG_S}}
    routes = [{"path_prefix": "/a/", "strip_prefix": True, "provider": "a"}, {"provider": "b"}]
    node = stage.node({"a": sick, "b": well}, routes=routes, http_client=config)
    assert get(node, "/a/echo").status == 500
    assert is_open(get(node, "/a/echo")) and get(node).status == 200


# -- recovery --


def test_it_closes_after_one_good_probe(stage, mock):
    mock.plan(status=500)
    node = node_for(stage, mock, {"recovery_timeout": RECOVERY_S})
    for _ in range(3):
        get(node)
    assert is_open(get(node))
    mock.plan()
    wait_closed(node)
    times = mock.arrivals()
    assert times[3] - times[2] >= RECOVERY_S - 0.01
    assert [transitions(node, to) for to in ("open", "half_open", "closed")] == [1, 1, 1]
    assert [get(node).status for _ in range(5)] == [200] * 5


def test_a_bad_probe_opens_it_again(stage, mock):
    mock.plan(status=500)
    node = node_for(stage, mock, {"recovery_timeout": RECOVERY_S})

    def probes():
        get(node)
        return mock.stats()["requests"]["total"] >= 3 + 2

    wait_for(probes, "two probes")
    times = mock.arrivals()
    assert all(b - a >= RECOVERY_S - 0.01 for a, b in zip(times[2:], times[3:]))
    assert transitions(node, "open") == 3 and transitions(node, "closed") == 0
    mock.plan()
    wait_closed(node)


@pytest.mark.parametrize("permits", [1, 3])
def test_so_many_probes_at_a_time(stage, mock, permits):
    """With the probes held at a gate, nobody else is let through, on no worker."""
    mock.plan(status=500)
    breaker = {"recovery_timeout": RECOVERY_S, "half_open_permits": permits}
    node = node_for(stage, mock, breaker, workers=2, timeout={"read": LONG_S, "total": LONG_S})
    for _ in range(3):
        get(node)
    mock.plan(gate="g")
    mock.reset_stats()
    held, stop, wrong = [], threading.Event(), []

    def client():
        while not stop.is_set():
            r = get(node)
            if r.status == 200:
                held.append(r)
                return
            if not is_open(r):
                wrong.append(r)
                return

    threads = [threading.Thread(target=client) for _ in range(permits + 5)]
    for t in threads:
        t.start()
    mock.wait_waiting("g", permits)
    refused = node.metric("weir_circuit_refusals_total")
    wait_for(lambda: node.metric("weir_circuit_refusals_total") > refused + 50, "others to be refused")
    assert mock.stats()["requests"]["total"] == permits and not held
    stop.set()
    mock.steps("g", "all")
    for t in threads:
        t.join()
    assert len(held) >= permits and not wrong
    wait_closed(node)
    assert transitions(node, "closed") == 1


def test_a_probe_whose_client_leaves_frees_its_place(stage, mock):
    mock.plan(status=500)
    node = node_for(stage, mock, {"recovery_timeout": RECOVERY_S}, timeout={"read": LONG_S, "total": LONG_S})
    for _ in range(3):
        get(node)
    mock.plan(gate="g")

    def probing():
        with node.client() as c:
            c.ask("GET", "/echo")
            c.sock.settimeout(0.3)
            try:
                return not is_open(c.response())
            except TimeoutError:
                return mock.waiting("g") == 1

    wait_for(probing, "a probe")
    mock.plan()
    wait_closed(node)


def test_a_hanging_probe_blocks_nothing_for_ever(stage, mock):
    mock.plan(fault="stall-before-head")
    node = node_for(stage, mock, {"recovery_timeout": RECOVERY_S}, timeout={"read": 0.2})
    for _ in range(3):
        assert get(node).status == 504
    wait_for(lambda: get(node).status == 504, "a probe that hangs")
    mock.plan()
    wait_closed(node)


# -- Retry-After --


@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_is_a_cooldown(stage, status):
    sick, well = stage.mock("--status", str(status), "--retry-after", "600"), stage.mock()
    node = node_for(stage, [sick, well], retry={"backoff_factor": 0})
    assert [get(node).status for _ in range(20)] == [200] * 20
    assert sick.stats()["requests"]["total"] == 1
    assert transitions(node, "open") == 0 and node.metric("weir_circuit_cooldowns_total") == 1
    node.wait_only_events("circuit_cooling")


def test_the_cooldown_of_the_only_endpoint_is_passed_on(stage, mock):
    mock.plan(status=429, retry_after=600)
    node = node_for(stage, mock)
    r = get(node)
    assert (r.status, r.get("retry-after"), r.get("x-weir-error")) == (429, "600", None)
    r = get(node)
    assert is_open(r) and 600 >= int(r.get("retry-after")) > 500
    assert mock.stats()["requests"]["total"] == 1


def test_the_cooldown_ends(stage, mock):
    mock.plan(status=503, retry_after=RECOVERY_S)
    node = node_for(stage, mock)
    assert get(node).status == 503
    assert is_open(get(node))
    mock.plan()
    wait_closed(node)
    times = mock.arrivals()
    assert times[1] - times[0] >= RECOVERY_S - 0.01


def test_429_without_retry_after_is_nothing(stage, mock):
    mock.plan(status=429)
    node = node_for(stage, mock, {"failure_threshold": 1})
    assert [get(node).status for _ in range(5)] == [429] * 5


def test_the_limit_of_one_clients_key_is_not_the_others(stage, mock):
    """The provider limits by key: who brings another one is still asked for."""
    node = node_for(stage, mock)
    limited = [("Authorization", "Bearer a"), ("x-mock-status", "429"), ("x-mock-retry-after", "600")]
    assert get(node, "/echo", limited).status == 429
    assert get(node, "/echo", [("Authorization", "Bearer b")]).status == 200


# -- switches --


def test_disabled(stage, mock):
    mock.plan(status=500)
    node = node_for(stage, mock, {"enabled": False})
    assert [get(node).status for _ in range(20)] == [500] * 20
    assert mock.stats()["requests"]["total"] == 20


def test_monitoring_can_be_silenced(stage, mock):
    mock.plan(status=500)
    node = node_for(stage, mock, {"monitoring_enabled": False, "recovery_timeout": RECOVERY_S})
    for _ in range(3):
        assert get(node).status == 500
    assert is_open(get(node))
    mock.plan()
    wait_closed(node)
    assert "circuit_" not in "".join(line["event"] for line in node.log_lines() if "event" in line)
    assert transitions(node, "open") == transitions(node, "closed") == 0
    assert node.metric("weir_circuit_refusals_total") == 0


def test_it_survives_a_reload(stage, mock):
    mock.plan(status=500)
    node = node_for(stage, mock)
    for _ in range(3):
        get(node)
    again = stage.config(
        node.port,
        {"p": {"endpoints": [{"url": mock.url}]}},
        http_client={"circuit_breaker": {"failure_threshold": 7}, "pool_limits": {"max_connections": 11}},
    )
    node.reload(again)
    wait_for(lambda: node.pool("p")["max_connections"] == 11, "the reload")
    assert is_open(get(node)) and mock.stats()["requests"]["total"] == 3


def test_switched_off_by_a_reload(stage, mock):
    mock.plan(status=500)
    node = node_for(stage, mock)
    for _ in range(3):
        get(node)
    assert is_open(get(node))
    off = {"circuit_breaker": {"enabled": False}}
    node.reload(stage.config(node.port, {"p": {"endpoints": [{"url": mock.url}]}}, http_client=off))
    wait_for(lambda: get(node).status == 500, "the breaker to be gone")


# -- a storm --


def test_a_storm_is_told_in_a_line_a_change(stage, mock):
    mock.plan(status=500)
    config = {
        "circuit_breaker": {"failure_threshold": 3, "recovery_timeout": RECOVERY_S},
        "retry": {"attempts": 3, "backoff_factor": 0},
    }
    node = stage.node(mock, server={"workers": 2}, logging={"access": False}, http_client=config)
    node.wait_events("ready")  # the last line of the start, which is written behind it
    quiet = len(node.log_lines())

    def ask(c, _):
        assert c.get("/echo").status in (500, 503)

    load = Load(node, 4, ask)
    load.wait(lambda: transitions(node, "open") >= 3 and node.metric("weir_circuit_refusals_total") > 1000, "the storm")
    load.end()
    opened, half = transitions(node, "open"), transitions(node, "half_open")
    node.wait_only_events("circuit_opened", opened)
    node.wait_only_events("circuit_half_open", half)
    lines = node.log_lines()[quiet:]
    assert len(lines) <= opened + half + 2, [line["event"] for line in lines]


def test_what_went_wrong_is_told_when_the_circuit_opens_during_the_wait(stage, mock):
    """The second client's failure opens the circuit while the first one waits for its next try."""
    mock.down()
    retry = {"attempts": 1, "backoff_factor": 5, "jitter": "none"}  # the second client comes within that
    node = node_for(stage, mock, {"failure_threshold": 2}, retry=retry)
    with node.client() as first, node.client() as second:
        first.ask("GET", "/echo")
        wait_for(lambda: node.metric("weir_retries_total") == 1, "the first one to wait for its next try")
        assert second.get("/echo").get("x-weir-error") == "connect_failed"
        r = first.response()
        assert r.status == 502 and r.get("x-weir-error") == "connect_failed"
    assert mock.stats()["requests"]["total"] == 0 and node.metric("weir_retries_refused_total", reason="no_endpoint") == 2
