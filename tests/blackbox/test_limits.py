"""Bounds and clocks towards the client, and errors that weir makes when the upstream does not answer."""

import socket
import time

import pytest
from http1 import Client, Closed, answering
from harness import wait_for

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def assert_weir_error(r, status, code):
    assert r.status == status, r
    assert r.get("content-type", "").startswith("application/json"), r
    error = r.json()["error"]
    assert error["message"] and error["type"] and error["code"], r
    assert error["code"] == r.get("x-weir-error"), r
    assert error["code"] == code, r
    assert error["type"] == ("invalid_request_error" if status < 500 else "api_error"), r


def test_head_too_large(stage, mock):
    node = stage.node(mock, server={"head_bytes_max": 4096})
    with node.client() as c:
        assert c.get("/echo", [("X-A", "a" * 3000)]).status == 200
        r = c.get("/echo", [("X-A", "a" * 5000)])
        assert_weir_error(r, 431, "head_too_large")
        assert r.get("connection") == "close" and c.at_end()
    with node.client() as c:
        assert_weir_error(c.get("/" + "a" * 5000), 431, "head_too_large")


def test_head_of_the_default_size(node):
    with node.client() as c:
        assert c.get("/echo", [("X-A", "a" * 15000)]).status == 200
    with node.client() as c:
        assert_weir_error(c.get("/echo", [("X-A", "a" * 20000)]), 431, "head_too_large")


def test_head_without_end(node):
    """The answer comes although the head goes on and on."""
    with node.client() as c:
        c.send("GET /echo HTTP/1.1\r\nHost: x\r\n")
        try:
            for i in range(10000):
                c.send(f"X-{i}: {'y' * 50}\r\n")
        except OSError:
            pass
        assert_weir_error(c.response(), 431, "head_too_large")


def test_too_many_headers(stage, mock):
    node = stage.node(mock, server={"headers_max": 20})
    with node.client() as c:
        assert c.get("/echo", [(f"X-{i}", "1") for i in range(15)]).status == 200
        assert_weir_error(c.get("/echo", [(f"X-{i}", "1") for i in range(25)]), 431, "head_too_large")
        assert c.at_end()


def test_trailers_too_large(node):
    with node.client() as c:
        c.send("POST /upload HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n")
        try:
            for i in range(2000):
                c.send(f"X-{i}: {'y' * 50}\r\n")
        except OSError:
            pass
        assert_weir_error(c.response(), 431, "head_too_large")


def test_body_too_large(stage, mock):
    node = stage.node(mock, server={"body_bytes_max": 1000})
    with node.client() as c:
        assert c.post("/upload", b"x" * 1000).json()["bytes"] == 1000
        c.ask("POST", "/upload", [("Content-Length", "1001")])
        assert_weir_error(c.response(), 413, "body_too_large")
        assert c.at_end()
    with node.client() as c:
        c.send("POST /upload HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        c.send(b"1f4\r\n" + b"x" * 500 + b"\r\n")
        c.send(b"1f5\r\n" + b"x" * 501 + b"\r\n")
        assert_weir_error(c.response(), 413, "body_too_large")
    with node.client() as c:
        c.ask("POST", "/upload", [("Content-Length", "1001"), ("Expect", "100-continue")])
        r = c.response()
        assert_weir_error(r, 413, "body_too_large")
        assert not r.interim, "nobody is asked for what will not be taken"
    mock.wait_stats(lambda s: s["requests"]["open"] == 0, "nothing to be left open")


def test_body_without_limit(stage, mock):
    node = stage.node(mock, server={"body_bytes_max": 0})
    with node.client() as c:
        assert c.post("/upload", b"x" * 5_000_000).json()["bytes"] == 5_000_000


@pytest.mark.parametrize("part", ["G", "GET / HTTP/1.1\r\n", "GET / HTTP/1.1\r\nHost: x\r\n"])
def test_header_timeout(stage, mock, part):
    node = stage.node(mock, server={"header_timeout": 0.2})
    with node.client() as c:
        c.send(part)
        r = c.response()
        assert_weir_error(r, 408, "header_timeout")
        assert r.get("connection") == "close" and c.at_end()


def test_header_timeout_is_not_put_off_by_a_trickle(stage, mock):
    node = stage.node(mock, server={"header_timeout": 0.3})
    with node.client() as c:
        c.sock.settimeout(0.02)
        c.send("GET / HTTP/1.1\r\nX: ")

        def answered():
            try:
                c.send("y")
                c.fill()
            except TimeoutError:
                return False
            except (Closed, OSError):
                return True
            return True

        wait_for(answered, "the head's clock to run out")


def test_header_timeout_of_a_second_request(stage, mock):
    node = stage.node(mock, server={"header_timeout": 0.2})
    with node.client() as c:
        assert c.get("/echo").status == 200
        c.send("GET /echo HT")
        assert_weir_error(c.response(), 408, "header_timeout")


def test_idle_timeout(stage, mock):
    node = stage.node(mock, server={"idle_timeout": 0.2})
    with node.client() as fresh:
        assert fresh.at_end()
    with node.held_up():
        used = node.client()
        used.ask("GET", "/echo")
    assert used.response().status == 200
    assert used.at_end()
    used.close()
    assert wait_for(lambda: node.metric("weir_downstream_timeouts_total", clock="idle") >= 1, "the clock to be counted")


def test_idle_timeout_spares_the_busy(stage, mock):
    node = stage.node(mock, server={"idle_timeout": 0.2})
    with node.held_up():
        busy = node.client()
        busy.ask("GET", "/echo", [("x-mock-gate", "g")])
    with busy, node.client() as idle:
        mock.wait_waiting("g")
        assert idle.at_end()
        mock.steps("g")
        assert busy.response().status == 200


def test_client_that_does_not_read_is_given_up(stage, mock):
    node = stage.node(mock, server={"write_timeout": 0.3}, http_client={"timeout": {"total": 600, "read": 600}})
    with node.client(receive_buffer=4096) as c:
        c.ask("GET", "/download?bytes=100000000")
        mock.wait_stats(lambda s: s["aborted"]["streaming"] == 1, "the upstream to be let go")
        with pytest.raises((Closed, ConnectionResetError)):
            c.response()


def test_connect_refused(stage):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))  # bound and not listening: refuses
        node = stage.node(f"http://127.0.0.1:{s.getsockname()[1]}")
        with node.client() as c:
            for _ in range(2):
                assert_weir_error(c.get("/"), 502, "connect_failed")
        assert node.metric("weir_connect_failures_total", reason="refused") == 2
        assert node.pool("mock")["connection_errors_total"] == 2


def test_name_that_does_not_resolve(stage):
    node = stage.node("http://nowhere.invalid:80")
    with node.client() as c:
        r = c.get("/")
        assert_weir_error(r, 502, "dns_failed")


@pytest.mark.parametrize(("fault", "code"), [("reset-before-head", "upstream_reset"), ("close-before-head", "upstream_closed")])
def test_upstream_that_does_not_answer(node, fault, code):
    with node.client() as c:
        assert_weir_error(c.get("/echo", [("x-mock-fault", fault)]), 502, code)
        assert c.get("/echo").status == 200


@pytest.mark.parametrize("fault", ["reset-after-head", "reset-mid-body", "truncate"])
def test_upstream_that_stops_in_the_middle(node, fault):
    with node.client() as c:
        c.ask("GET", "/download?bytes=100000", [("x-mock-fault", fault)])
        with pytest.raises((Closed, ConnectionResetError)):
            r = c.response()
            assert r.status != 200, "the answer was ended as if it were whole"
            assert r.status == 502  # nothing had been passed on yet
            raise Closed
    assert node.get("/echo").status == 200


def test_read_timeout_before_the_head(stage, mock):
    node = stage.node(mock, http_client={"timeout": {"read": 0.2}})
    with node.client() as c:
        assert_weir_error(c.get("/echo", [("x-mock-fault", "stall-before-head")]), 504, "timeout_read")
        # A busy machine may take longer than the clock for what does not stall.
        wait_for(lambda: c.get("/echo").status == 200, "an answer in time on the same connection")
    mock.wait_stats(lambda s: s["aborted"]["stalled"] == 1, "the upstream to be let go")


def test_an_answer_that_came_in_time_is_not_late_for_a_node_that_was_stopped(stage, mock):
    """As a machine that suspends it does: what the kernel has taken meanwhile is read before the clock is judged."""
    seconds = 2
    node = stage.node(mock, http_client={"timeout": {"read": seconds}})
    with node.client() as c:
        c.ask("GET", "/echo", [("x-mock-gate", "g")])
        mock.wait_waiting("g")
        with node.held_up():
            mock.steps("g")
            mock.wait_stats(lambda s: s["requests"]["open"] == 0, "the answer to be sent")
            time.sleep(seconds)
        assert c.response().status == 200


def test_read_timeout_in_the_body(stage, mock):
    node = stage.node(mock, http_client={"timeout": {"read": 0.2}})

    def head_came():
        with node.client() as c:
            c.ask("GET", "/download?bytes=100000", [("x-mock-fault", "stall-mid-body")])
            if c.response_head().status == 504:  # a busy machine may take longer than the clock for the head, too
                return False
            with pytest.raises((Closed, ConnectionResetError)):
                c.exactly(100000)
            return True

    wait_for(head_came, "a head in time")
    mock.wait_stats(lambda s: s["aborted"]["stalled"] >= 1, "the upstream to be let go")


def test_total_timeout(stage, mock):
    node = stage.node(mock, http_client={"timeout": {"total": 0.3, "read": 60}})
    with node.client() as c:
        assert_weir_error(c.get("/echo", [("x-mock-fault", "stall-before-head")]), 504, "timeout_total")


def test_total_timeout_does_not_run_on_an_event_stream(stage, mock):
    node = stage.node(mock, http_client={"timeout": {"total": 0.3, "read": 60}})
    body = b'{"model":"m","stream":true,"messages":[]}'

    gates = (f"g{n}" for n in range(1000))

    def begun(stream):
        """Its gate; None: even the head took a busy machine longer than the clock, which runs until then."""
        gate = next(gates)
        mock.steps(gate)  # in advance
        stream.ask("POST", "/v1/chat/completions", [("x-mock-gate", gate), ("x-mock-tokens", "1")], body)
        r = stream.response_head()
        if r.status == 504:
            stream.body(r.headers, False)
        return gate if r.status == 200 else None

    with node.client() as stream, node.client() as plain:
        gate = wait_for(lambda: begun(stream), "a stream to begin in time")
        # One total after the other: by the end of the second, the stream's own would long have run out.
        for _ in range(2):
            assert_weir_error(plain.get("/echo", [("x-mock-fault", "stall-before-head")]), 504, "timeout_total")
        mock.steps(gate)
        events = []
        while (event := stream.event()) is not None:
            events.append(event)
        assert events[-1] == "data: [DONE]"


def full_listener():
    """A listener whose queue is full: a further connect gets no answer."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(0)
    port = listener.getsockname()[1]
    filling = []
    while True:
        s = socket.socket()
        s.settimeout(0.3)
        filling.append(s)
        try:
            s.connect(("127.0.0.1", port))
        except TimeoutError:
            return listener, filling, port


def test_connect_timeout(stage):
    listener, filling, port = full_listener()
    try:
        node = stage.node(f"http://127.0.0.1:{port}", http_client={"timeout": {"connect": 0.2}})
        with node.client() as c:
            assert_weir_error(c.get("/"), 504, "timeout_connect")
        assert node.pool("mock")["connection_timeouts_total"] == 1
    finally:
        for s in [listener, *filling]:
            s.close()


def test_write_timeout_towards_the_upstream(stage):
    """An upstream that takes no more of the body."""
    upstream = stage.upstream(lambda wire, _: (wire.request_head(), wire.upstream.record("head"), wire.hold()))
    node = stage.node(upstream, http_client={"timeout": {"write": 0.3, "read": 60, "total": 60}}, server={"body_bytes_max": 0})
    with node.client() as c:
        c.ask("POST", "/x", [("Content-Length", "1000000000000")])
        c.sock.setblocking(False)
        block = b"x" * 65536

        def answered():
            try:
                while True:
                    c.sock.send(block)
            except BlockingIOError:
                pass
            try:
                c.fill()
            except BlockingIOError:
                return False
            return True

        wait_for(answered, "the write clock to run out")
        c.sock.setblocking(True)
        assert_weir_error(c.response(), 504, "timeout_write")


def test_max_client_connections(stage, mock):
    node = stage.node(mock, server={"max_connections": 3})
    held = [node.client() for _ in range(3)]
    for c in held:
        assert c.get("/echo").status == 200
    late = node.client()
    late.ask("GET", "/echo")
    held.pop().close()
    assert late.response().status == 200
    for c in [*held, late]:
        c.close()


def test_workers_get_clients_evenly(stage, mock):
    """The kernel spreads connections by a hash; a worker that has more than its share hands the next ones on."""
    node = stage.node(mock, server={"workers": 8})
    held = [node.client() for _ in range(80)]
    for c in held:
        assert c.get("/echo").status == 200
    assert node.metric("weir_accepted_handed_over_total") > 0
    for c in held:
        c.close()


def test_ipv6(stage, mock):
    if not socket.has_ipv6:
        pytest.skip("no IPv6 here")
    try:
        with socket.socket(socket.AF_INET6) as s:
            s.bind(("::1", 0))
    except OSError:
        pytest.skip("no IPv6 loopback here")
    from harness import free_port

    port = free_port()
    config = stage.config(port, mock, server={"listen": [f"127.0.0.1:{port}", f"[::1]:{port}"]})
    stage.node_of(config, port)
    with Client(port, host="::1") as c:
        seen = c.get("/echo").json()
        assert dict(seen["headers"])["x-forwarded-for"] == "::1"


def test_upstream_head_too_large(node):
    with node.client() as c:
        assert c.get("/echo", [("x-mock-padding-bytes", "8000")]).status == 200
        assert_weir_error(c.get("/echo", [("x-mock-padding-bytes", "200000")]), 502, "upstream_protocol")


def test_upstream_with_too_many_headers(stage):
    many = b"".join(b"X-%d: y\r\n" % i for i in range(3000))
    upstream = stage.upstream(answering(b"HTTP/1.1 200 OK\r\n" + many + b"Content-Length: 0\r\n\r\n"))
    node = stage.node(upstream)
    with node.client() as c:
        assert_weir_error(c.get("/"), 502, "upstream_protocol")


def test_endless_interim_answers(stage):
    def script(wire, _):
        wire.request()
        while True:
            wire.send(b"HTTP/1.1 102 Processing\r\n\r\n" * 100)

    node = stage.node(stage.upstream(script))
    with node.client() as c:
        c.ask("GET", "/")
        for _ in range(10000):
            r = c.response_head()
            if r.status != 102:
                break
        assert r.status == 502
