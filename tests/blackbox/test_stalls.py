"""Clients that stall, or are slow, in the middle of things; and what an upstream's end means then."""

import signal
import socket
import threading
import time

import pytest
from harness import free_port, wait_for
from http1 import BOUND_S, Client, Closed, answering

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
LONG = {"timeout": {"pool": 60, "total": 600, "read": 600, "connect": 60}}


def assert_error(r, status, code):
    assert r.status == status, r
    assert r.get("x-weir-error") == code and r.json()["error"]["code"] == code, r


# -- a body that does not come --


def test_stalled_body_is_given_up(stage, mock):
    """It would hold a connection to the endpoint for as long as the client likes."""
    node = stage.node(mock, server={"idle_timeout": 0.3}, http_client=LONG)
    with node.held_up():
        c = node.client()
        c.ask("POST", "/upload", [("Content-Length", "1000")])
        c.send(b"x" * 10)
    with c:
        r = c.response()
        assert_error(r, 408, "body_timeout")
        assert r.get("connection") == "close"
        c.finish()
        assert c.at_end()
    mock.wait_stats(lambda s: s["requests"]["open"] == 0, "the upstream to be let go")
    assert node.metric("weir_downstream_timeouts_total", clock="body") == 1
    assert node.pool("mock")["error_count"] == 0, "the endpoint has done nothing wrong"


def test_stalled_body_in_the_queue_is_given_up(stage, mock):
    limits = {"pool_limits": {"max_connections": 1, "pool_block_timeout": 60}, **LONG}
    node = stage.node(mock, server={"idle_timeout": 0.3}, http_client=limits)
    with node.held_up():
        first = node.client()
        first.ask("GET", "/echo", [("x-mock-gate", "g")])
    mock.wait_waiting("g")
    with node.held_up():
        c = node.client()
        c.ask("POST", "/upload", [("Content-Length", "1000")])
    with first, c:
        assert_error(c.response(), 408, "body_timeout")
        mock.steps("g")
        assert first.response().status == 200
    wait_for(lambda: node.pool("mock")["pending_requests"] == 0, "the queue to be empty")


def test_trickling_body_is_not_stalled(stage, mock):
    node = stage.node(mock, server={"idle_timeout": 1}, http_client=LONG)

    def outlasted():
        with node.client() as c, node.client() as stalled:
            c.ask("POST", "/upload", [("Content-Length", "40")])
            stalled.ask("POST", "/upload", [("Content-Length", "40")])
            sent, times = 0, [time.monotonic()]
            stalled.sock.settimeout(0.1)
            while sent < 39:  # the other's clock runs out meanwhile
                c.send(b"x")
                sent += 1
                times.append(time.monotonic())
                try:
                    stalled.fill()
                    break
                except TimeoutError:
                    continue
            stalled.sock.settimeout(BOUND_S)
            assert_error(stalled.response(), 408, "body_timeout")
            c.send(b"x" * (40 - sent))
            times.append(time.monotonic())
            if max(b - a for a, b in zip(times, times[1:])) > 0.7:
                return None  # a busy machine has made a stall of the trickle
            return c.response()

    r = wait_for(outlasted, "a trickle without a pause")
    assert r.status == 200 and r.json()["bytes"] == 40


def test_rest_of_a_body_that_nobody_wants_is_not_waited_for(stage):
    node = stage.node({"a": "http://127.0.0.1:9", "b": "http://127.0.0.1:9"}, server={"idle_timeout": 0.3})
    with node.client() as c:
        c.ask("POST", "/nowhere", [("Content-Length", "100")])
        assert_error(c.response(), 404, "no_route")
        with pytest.raises((Closed, ConnectionResetError)):
            c.fill()


def test_client_that_waits_for_100_is_not_stalled(stage):
    go_on = threading.Event()

    def script(wire, _):
        request = wire.request_head()
        assert go_on.wait(60)
        wire.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        wire.exactly(int(request.get("content-length")))
        wire.send(OK)

    node = stage.node(stage.upstream(script), server={"idle_timeout": 0.3}, http_client=LONG)
    with node.held_up():
        c = node.client()
        c.ask("POST", "/", [("Content-Length", "5"), ("Expect", "100-continue")])
    with c, node.client() as idle:
        assert idle.at_end(), "its clock has run out, and the other's would have"
        with node.client() as again:
            assert again.at_end()
        go_on.set()
        assert c.response_head().status == 100
        c.send(b"12345")
        assert c.response().status == 200


def test_endpoint_that_does_not_say_100_is_not_waited_for(stage):
    upstream = stage.upstream(lambda wire, _: (wire.request_head(), wire.hold()))
    node = stage.node(upstream, http_client={"timeout": {"read": 0.2, "total": 600}})
    with node.client() as c:
        c.ask("POST", "/", [("Content-Length", "5"), ("Expect", "100-continue")])
        assert_error(c.response(), 504, "timeout_read")


# -- an answer that is not taken --


def test_end_of_an_answer_reaches_a_slow_client(stage):
    """The answer is complete for the node long before the client has read it: it is not idle until it has."""
    size = 4_000_000
    upstream = stage.upstream(answering(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + b"x" * size))
    node = stage.node(upstream, server={"idle_timeout": 0.3, "write_timeout": 60}, http_client=LONG)
    with node.held_up():
        c = node.client(receive_buffer=2048)
        c.ask("GET", "/")
    with c, node.client() as idle:
        c.response_head()
        received = len(c.buffer)
        # All but what the node and the kernel hold.
        while node.metric("weir_upstream_exchanges_total") == 0:
            received += len(c.sock.recv(65536))
        assert idle.at_end()
        with node.client() as later:
            assert later.at_end(), "the idle clock has run out more than once"
        while received < size:
            data = c.sock.recv(65536)
            assert data, f"closed after {received} bytes"
            received += len(data)
    assert node.metric("weir_requests_total", **{"class": "2xx"}) >= 1


def test_client_that_does_not_take_the_end_of_an_answer_is_given_up(stage):
    size = 3_000_000
    upstream = stage.upstream(answering(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + b"x" * size))
    node = stage.node(upstream, server={"idle_timeout": 0.2, "write_timeout": 2}, http_client=LONG)
    with node.held_up():
        c = node.client(receive_buffer=2048)
        c.ask("GET", "/")
    with c:
        while node.metric("weir_upstream_exchanges_total") == 0:
            c.sock.recv(65536)
        wait_for(lambda: node.metric("weir_downstream_timeouts_total", clock="write") == 1, "the write clock to run out")
        wait_for(lambda: node.metric("weir_downstream_connections") <= 1, "the client to be gone")


@pytest.mark.parametrize("end", ["finish", "reset"])
def test_cut_answer_does_not_look_whole_to_a_1_0_client(stage, end):
    """Such a client takes the connection's orderly end for the answer's."""
    cut = threading.Event()

    def script(wire, _):
        wire.request()
        wire.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n")
        cut.wait(60)
        getattr(wire, end)()

    upstream = stage.upstream(script)
    node = stage.node(upstream, http_client=LONG)
    with node.client() as c:
        c.send("GET / HTTP/1.0\r\nHost: x\r\n\r\n")
        assert c.response_head().status == 200
        assert c.exactly(4) == b"half"
        cut.set()
        with pytest.raises(ConnectionResetError):
            c.to_end()


# -- what is kept of a body --


@pytest.mark.parametrize("kept", [0, 1000])
def test_body_larger_than_the_replay_buffer_waits_for_a_connection(stage, mock, kept):
    limits = {"pool_limits": {"max_connections": 1, "pool_block_timeout": 60}, "retry": {"replay_buffer": kept}, **LONG}
    node = stage.node(mock, http_client=limits)
    with node.client() as first, node.client() as c:
        first.ask("GET", "/echo", [("x-mock-gate", "g")])
        mock.wait_waiting("g")
        c.ask("POST", "/upload", body=b"x" * 5000)
        wait_for(lambda: node.pool("mock")["pending_requests"] == 1, "the request to be queued")
        mock.steps("g")
        assert first.response().status == 200
        r = c.response()
        assert r.status == 200 and r.json()["bytes"] == 5000, r


def test_answer_that_begins_early_does_not_lose_what_is_kept(stage):
    """The rest of the body, kept while the endpoint took no more, still has to go out."""
    bodies = []

    def script(wire, up):
        request = wire.request_head()
        wire.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nearly\r\n")
        up.record(request)
        assert read_on.wait(60)
        bodies.append(wire.exactly(int(request.get("content-length"))))
        wire.send(b"0\r\n\r\n")

    read_on = threading.Event()
    upstream = stage.upstream(script)
    upstream.listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    node = stage.node(upstream, http_client={"socket": {"send_buffer": 4096}, **LONG})
    body = bytes(range(256)) * 240
    with node.client() as c:
        c.ask("POST", "/", body=body)
        assert c.response_head().status == 200
        assert c.chunk() == b"early"
        read_on.set()
        assert c.chunk() == b""
    assert bodies == [body]


def test_stale_connection_is_replaced_although_the_queue_is_full(stage):
    """It had its turn: neither the queue's bound nor those who came later are in its way."""
    asked, served = [], []
    hold = threading.Event()

    def script(wire, up):
        first = True
        while True:
            request = wire.request_head()
            with up.lock:
                asked.append(request.target)
                up.changed.notify_all()
            if request.target == "/stale" and not first:
                hold.wait(60)
                return
            first = False
            served.append(request.target)
            wire.send(OK)

    upstream = stage.upstream(script)
    limits = {"pool_limits": {"max_connections": 1, "max_pending": 1, "pool_block_timeout": 60}, **LONG}
    node = stage.node(upstream, http_client=limits)
    with node.client() as a, node.client() as b:
        assert a.get("/first").status == 200
        a.ask("GET", "/stale")
        upstream.wait(lambda _: "/stale" in asked, "the request that will be lost")
        b.ask("GET", "/later")
        wait_for(lambda: node.pool("mock")["pending_requests"] == 1, "the queue to be full")
        hold.set()
        r = a.response()
        assert r.status == 200, r
        assert b.response().status == 200
    assert served == ["/first", "/stale", "/later"]
    assert node.metric("weir_pool_stale_replacements_total") == 1
    assert node.metric("weir_pool_queued_total") >= 1


# -- numbers --


def test_bytes_of_an_endpoint(stage, mock):
    node = stage.node(mock)
    with node.client() as c:
        assert c.post("/upload", b"x" * 50000).status == 200
        assert c.get("/download?bytes=70000").status == 200
        wait_for(lambda: node.metric("weir_upstream_received_bytes_total") > 70000, "the bytes to be counted")
        assert node.metric("weir_upstream_sent_bytes_total") > 50000
        assert node.metric("weir_downstream_received_bytes_total") > 50000, "of a client that is still there"
        assert node.metric("weir_downstream_sent_bytes_total") > 70000


def test_queue_counts_only_who_waited_for_others(stage, mock):
    node = stage.node(mock, http_client={"pool_limits": {"max_connections": 2, "pool_block_timeout": 60}, **LONG})
    held = [node.client() for _ in range(2)]
    for i, c in enumerate(held):
        c.ask("GET", "/echo", [("x-mock-gate", f"g{i}")])
        mock.wait_waiting(f"g{i}")
    assert node.metric("weir_pool_queued_total") == 0, "a request that dials waits for the network"
    with node.client() as c:
        c.ask("GET", "/echo")
        wait_for(lambda: node.metric("weir_pool_queued_total") == 1, "the third to be queued")
        c.reset()
    wait_for(lambda: node.metric("weir_pool_queue_cancels_total") == 1, "the third to have left")
    with node.client() as c:
        c.ask("GET", "/echo")
        wait_for(lambda: node.metric("weir_pool_queued_total") == 2, "the fourth to be queued")
        mock.steps("g0")
        assert c.response().status == 200
    assert node.metric("weir_queue_duration_seconds_count") == 1
    assert node.pool("mock")["total_requests"] == 3, "who left the queue has asked nobody"
    mock.steps("g1")
    for c in held:
        assert c.response().status == 200
        c.close()


# -- listeners --


def test_admin_port_answers_when_all_client_connections_are_in_use(stage, mock):
    port, admin = free_port(), free_port()
    server = {"admin": {"listen": f"127.0.0.1:{admin}"}, "max_connections": 2}
    node = stage.node_of(stage.config(port, mock, server=server), port, ready=False)

    def is_ready():
        with Client(admin) as c:
            return c.get("/health/ready").status == 200

    wait_for(is_ready, "the node to be ready")
    held = [Client(port) for _ in range(2)]
    for c in held:
        assert c.get("/echo").status == 200
    with Client(admin) as c:
        assert c.get("/health/ready").status == 200
    for c in held:
        c.close()
    assert node.alive()


def test_request_behind_a_proxy_header_keeps_its_body(stage):
    """Several come in the same turn: what one has lent of the worker's buffer is not read over by the next."""
    bodies = []

    def script(wire, up):
        while True:
            r = wire.request()
            if r.body:
                bodies.append(r.body)
            wire.send(OK)

    upstream = stage.upstream(script)
    port = free_port()
    node = stage.node_of(stage.config(port, upstream, server={"proxy_protocol": True}), port, ready=False)
    line = b"PROXY TCP4 127.0.0.1 127.0.0.1 1 2\r\n"

    def answers():
        with Client(port) as c:
            c.send(line + b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            return c.response().status == 200

    wait_for(answers, "the node")  # and a connection that can be used at once
    clients = [Client(port) for _ in range(8)]
    sent = [bytes([97 + i]) * 2500 for i in range(8)]
    node.tell(signal.SIGSTOP)
    for c, body in zip(clients, sent):
        c.send(line + b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2500\r\n\r\n" + body)
    node.tell(signal.SIGCONT)
    for c in clients:
        assert c.response().status == 200
        c.close()
    assert sorted(b[:1] for b in bodies) == [b[:1] for b in sent]
    assert sorted(bodies) == sent
