"""Streams: each piece is passed on when it comes, at the pace of whoever takes it, and a client that goes away is noticed."""

import json
import socket
import subprocess
import threading
import time

import pytest
from harness import sanitized, wait_for
from http1 import BOUND_S, Closed
from test_limits import full_listener

LONG = {"timeout": {"total": 600, "read": 600, "connect": 60, "pool": 60}, "pool_limits": {"pool_block_timeout": 60}}


def chat(api="openai", tokens=5, gate=None, **more):
    path = "/v1/chat/completions" if api == "openai" else "/v1/messages"
    body = {"model": "m", "stream": True, "messages": [{"role": "user", "content": "x"}], "max_tokens": tokens, **more}
    fields = [("x-mock-tokens", str(tokens)), *([("x-mock-gate", gate)] if gate else [])]
    return "POST", path, fields, json.dumps(body).encode()


@pytest.fixture
def node(stage, mock):
    return stage.node(mock, http_client=LONG)


@pytest.mark.parametrize("api", ["openai", "anthropic"])
def test_each_token_comes_when_it_is_sent(mock, node, api):
    """No token is let go by the provider before the client holds the one before it."""
    with node.client() as c:
        c.ask(*chat(api, 20, "g"))
        mock.wait_waiting("g")
        mock.steps("g")
        assert c.response_head().get("content-type").startswith("text/event-stream")
        for _ in range(1 if api == "openai" else 3):
            c.event()
        for i in range(20):
            mock.wait_waiting("g")
            mock.steps("g")
            assert f"t{i}" in c.event()
        rest = []
        while (event := c.event()) is not None:
            rest.append(event)
        assert ("[DONE]" if api == "openai" else "message_stop") in rest[-1]
    assert mock.stats()["aborted"]["total"] == 0


def test_curl_shows_tokens_one_by_one_and_its_death_is_noticed(mock, node):
    method, path, fields, body = chat(tokens=100, gate="g")
    command = ["curl", "-sN", "-X", method, "-d", body.decode(), f"http://127.0.0.1:{node.port}{path}"]
    for name, value in fields:
        command += ["-H", f"{name}: {value}"]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as curl:
        mock.wait_waiting("g")
        mock.steps("g")
        assert '"role"' in curl.stdout.readline() and curl.stdout.readline() == "\n"
        for i in range(10):
            mock.wait_waiting("g")
            mock.steps("g")
            assert f"t{i}." in curl.stdout.readline() and curl.stdout.readline() == "\n"
        mock.wait_waiting("g")
        killed = time.monotonic()
        curl.kill()
        s = mock.wait_stats(lambda s: s["aborted"]["streaming"] == 1, "the provider to see its client go")
    print(f"seen by the provider after {s['aborted']['last_at_us'] / 1000 - killed * 1000:.1f} ms")


def test_head_comes_before_the_body(mock, node):
    with node.client() as c:
        c.ask("GET", "/download?bytes=10", [("x-mock-fault", "stall-after-head")])
        assert c.response_head().status == 200
        mock.wait_stats(lambda s: s["requests"]["open"] == 1, "the provider to be stalled")


def test_comments_and_odd_events_pass_unchanged(stage):
    stream = b": keep-alive\n\ndata: {\"a\":\ndata: 1}\r\n\r\nevent: x\ndata\n\n\xff\xfe data: \xe2\x82\n\n"

    def script(wire, _):
        wire.request()
        wire.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        for byte in stream:
            wire.send(b"1\r\n" + bytes([byte]) + b"\r\n")
        wire.send(b"0\r\n\r\n")

    node = stage.node(stage.upstream(script))
    with node.client() as c:
        assert c.get("/").body == stream


def test_error_inside_a_stream_passes(node):
    with node.client() as c:
        method, path, fields, body = chat("anthropic")
        c.ask(method, path, [*fields, ("x-mock-fault", "error-event")], body)
        assert c.response_head().status == 200
        events = []
        while (event := c.event()) is not None:
            events.append(event)
        assert events[-1].startswith("event: error")


def test_truncated_stream_is_seen_to_be(node):
    with node.client() as c:
        method, path, fields, body = chat()
        c.ask(method, path, [*fields, ("x-mock-fault", "truncate")], body)
        assert c.response_head().status == 200
        with pytest.raises((Closed, ConnectionResetError)):
            while c.event() is not None:
                pass


LEAVE = {
    "close": lambda c: c.close(),
    "reset": lambda c: c.reset(),
    "fin": lambda c: c.finish(),
}
leaving = pytest.mark.parametrize("leave", LEAVE.values(), ids=LEAVE.keys())


def assert_gone(mock, node, phase, mock_phase=None):
    wait_for(lambda: node.metric("weir_client_aborts_total", phase=phase) == 1, f"an abort in phase {phase}")
    if mock_phase:
        s = mock.wait_stats(lambda s: s["aborted"]["total"] == 1, "the provider to see its client go")
        assert s["aborted"][mock_phase] == 1
        mock.wait_stats(lambda s: s["connections"]["closed_by_client"] == 1, "the connection to close")
    # An abort is the client's doing, not a failure of the upstream.
    pool = node.pool("mock")
    assert pool["error_count"] == 0 and pool["connections_active"] == 0 and pool["pending_requests"] == 0
    assert node.get("/echo").status == 200


@leaving
def test_client_goes_while_streaming(mock, node, leave):
    with node.client() as c:
        c.ask(*chat(gate="g"))
        mock.wait_waiting("g")
        mock.steps("g", 2)
        c.response_head()
        for _ in range(2):
            c.event()
        mock.wait_waiting("g")
        leave(c)
        assert_gone(mock, node, "stream", "streaming")


@leaving
def test_client_goes_while_waiting_for_the_head(mock, node, leave):
    with node.client() as c:
        c.ask(*chat(gate="g"))
        mock.wait_waiting("g")
        leave(c)
        assert_gone(mock, node, "wait", "waiting")


@leaving
def test_client_goes_while_sending(mock, node, leave):
    with node.client() as c:
        c.ask("POST", "/upload", [("Content-Length", "1000000")])
        c.send(b"x" * 1000)
        mock.wait_stats(lambda s: s["bytes"]["body_in"] == 1000, "the first bytes")
        leave(c)
        s = mock.wait_stats(lambda s: s["aborted"]["total"] == 1, "the provider to see its client go")
        assert s["aborted"]["receiving"] == 1
    assert node.pool("mock")["error_count"] == 0
    assert node.get("/echo").status == 200


@leaving
def test_client_goes_while_queued(stage, mock, leave):
    node = stage.node(mock, http_client={**LONG, "pool_limits": {"max_connections": 1, "pool_block_timeout": 60}})
    with node.client() as first, node.client() as second:
        first.ask("GET", "/echo", [("x-mock-gate", "g")])
        mock.wait_waiting("g")
        second.ask("GET", "/echo")
        wait_for(lambda: node.pool("mock")["pending_requests"] == 1, "the second to queue")
        leave(second)
        wait_for(lambda: node.pool("mock")["pending_requests"] == 0, "the second to leave the queue")
        mock.steps("g")
        assert first.response().status == 200
    assert node.metric("weir_client_aborts_total", phase="queue") == 1
    assert mock.stats()["requests"]["total"] == 1


@leaving
def test_client_goes_while_connecting(stage, leave):
    listener, filling, port = full_listener()
    try:
        node = stage.node(f"http://127.0.0.1:{port}", http_client=LONG)
        with node.client() as c:
            c.ask("GET", "/")
            wait_for(lambda: node.pool("mock")["connections_opening"] == 1, "the connect to begin")
            leave(c)
            wait_for(lambda: node.metric("weir_client_aborts_total", phase="connect") == 1, "the abort")
    finally:
        for s in [listener, *filling]:
            s.close()


def test_client_goes_with_unread_answer_and_unsent_request(mock, node):
    """RST with bytes both ways in flight."""
    for _ in range(20):
        c = node.client(receive_buffer=4096)
        c.ask("GET", "/download?bytes=10000000")
        c.ask("GET", "/download?bytes=10000000")
        c.response_head()
        c.reset()
    mock.wait_stats(lambda s: s["requests"]["open"] == 0, "every upstream request to end")
    wait_for(lambda: node.pool("mock")["connections_active"] == 0, "every connection to be let go")


def settled(read, what):
    """Waits until read() gives the same value many times in a row, and returns it."""
    state = {"last": None, "same": 0}

    def is_settled():
        now = read()
        state["same"] = state["same"] + 1 if now == state["last"] else 0
        state["last"] = now
        return state["same"] >= 8

    wait_for(is_settled, what)
    return state["last"]


def test_client_that_does_not_read_stops_the_provider(mock, node):
    """What the provider could send is bounded by the kernel's buffers, not by the answer."""
    size = 2_000_000_000
    clients = [node.client(receive_buffer=4096) for _ in range(4)]
    for c in clients:
        c.ask("GET", f"/download?bytes={size}")
    sent = settled(lambda: mock.stats()["bytes"]["body_out"], "the provider to be stopped")
    assert sent < len(clients) * 32 * 1024 * 1024
    if not sanitized():
        assert node.resident_bytes() < 40 * 1024 * 1024
    taken = 0
    head = clients[0].response_head()
    assert head.get("content-length") == str(size)
    while taken < 20_000_000:
        clients[0].buffer = b""
        clients[0].fill()
        taken += len(clients[0].buffer)
    assert mock.stats()["bytes"]["body_out"] > sent
    for c in clients:
        c.close()
    mock.wait_stats(lambda s: s["requests"]["open"] == 0, "the provider to see them go")


def test_provider_that_does_not_read_stops_the_client(stage):
    def hold(wire, up):
        wire.request_head()
        up.record("head")
        wire.hold()

    upstream = stage.upstream(hold)
    node = stage.node(upstream, http_client=LONG, server={"body_bytes_max": 0})
    c = node.client()
    c.ask("POST", "/x", [("Content-Length", "2000000000")])
    upstream.wait(lambda u: u.requests, "the head")
    c.sock.setblocking(False)
    block = b"x" * 65536
    sent = 0

    def is_full():
        nonlocal sent
        try:
            while True:
                sent += c.sock.send(block)
        except BlockingIOError:
            return sent

    settled(is_full, "the client to be stopped")
    assert sent < 64 * 1024 * 1024
    if not sanitized():
        assert node.resident_bytes() < 40 * 1024 * 1024
    c.close()


def test_slow_client_gets_everything(mock, node):
    with node.client(receive_buffer=4096) as c:
        c.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 536)
        data = c.get("/download?bytes=3000000").body
        assert data == bytes(i % 251 for i in range(251)) * (3000000 // 251) + bytes(range(3000000 % 251))


def test_many_streams(mock, node):
    """Every stream has its own pace; none is held up by another."""
    clients = [node.client() for _ in range(60)]
    for i, c in enumerate(clients):
        c.ask(*chat(tokens=3, gate=f"g{i}"))
    for i in reversed(range(60)):
        mock.wait_waiting(f"g{i}")
        mock.steps(f"g{i}", "all")
        assert clients[i].response_head().status == 200
        events = []
        while (event := clients[i].event()) is not None:
            events.append(event)
        assert len(events) == 6
        clients[i].close()


def test_body_kept_for_replay_waits_for_a_slow_endpoint(stage):
    """What the client may send ahead (retry.replay_buffer) is more than the sender to the endpoint may hold."""
    size = 16 * 1024 * 1024
    go_on = threading.Event()

    def script(wire, _):
        head = wire.request_head()
        assert go_on.wait(BOUND_S)
        body, _trailers = wire.body(head.headers, False)
        wire.send(f"HTTP/1.1 200 OK\r\nContent-Length: {len(str(len(body)))}\r\n\r\n{len(body)}")

    node = stage.node(stage.upstream(script), http_client={"retry": {"replay_buffer": f"{size // 1024 // 1024}MB"}})
    with node.client() as c:
        c.send(f"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {size}\r\n\r\n")
        c.send(b"x" * size)
        go_on.set()
        r = c.response()
        assert r.status == 200 and r.body == str(size).encode()
