"""HTTP/2 from clients: streams that are requests of their own, floods, and what must not get through to a provider."""

import json
import signal
import threading

import pytest
from h2.errors import ErrorCodes
from harness import sanitized, wait_for
from http1 import Closed
from http2 import Client2
from hyperframe.frame import ContinuationFrame, HeadersFrame, PingFrame, SettingsFrame
from test_tls_downstream import files, trusting


@pytest.fixture(params=["plain", "tls"])
def start(stage, pki, request):
    """Starts a node, and gives a way to connect to it by HTTP/2."""

    def begin(upstream, server=None, **top):
        server = dict(server or {})
        tls = None
        if request.param == "tls":
            tls = trusting(pki)
            server["tls"] = {"certificates": files(pki, "good")}
        node = stage.node(upstream, server=server, tls=tls, **top)
        return node, lambda **options: Client2(node.port, tls=trusting(pki) if tls else None, **options)

    return begin


def echo(stage):
    def script(wire, _):
        while True:
            r = wire.request()
            body = json.dumps([r.line.decode(), r.headers, r.body.decode("latin-1"), r.trailers]).encode()
            wire.send(b"HTTP/1.1 200 OK\r\nX-A: 1\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nConnection: X-Hop\r\nX-Hop: 1\r\n")
            wire.send(b"Content-Length: %d\r\n\r\n" % len(body) + body)

    return stage.upstream(script)


def test_a_request_and_its_answer(stage, start):
    node, connect = start(echo(stage))
    with connect() as c:
        more = [("cookie", "a=1"), ("cookie", "b=2"), ("te", "trailers"), ("x-kept", "1")]
        r = c.post("/v1/x?y=1", b"hello", more)
        line, headers, body, _ = r.json()
        assert r.status == 200 and r.get("x-a") == "1" and r.all("set-cookie") == ["a=1", "b=2"]
        assert not {"connection", "x-hop", "transfer-encoding", "keep-alive"} & {n for n, _ in r.headers}
        seen = {n.lower(): v for n, v in headers}
        assert line == "POST /v1/x?y=1 HTTP/1.1" and body == "hello" and seen["cookie"] == "a=1; b=2"
        assert seen["x-kept"] == "1" and seen["via"] == "2.0 weir" and "weir-test" not in seen["host"]
        assert seen["x-forwarded-proto"] == c.scheme
        assert c.get("/health/ready").status == 200
    assert node.metric("weir_downstream_http2_connections_total") == 1


def test_many_streams_at_once(stage, mock, start):
    node, connect = start(mock)
    with connect() as c:
        numbers = [c.ask("POST", "/echo", body=b"%d" % i * 1000) for i in range(90)]
        answers = [c.response(n) for n in numbers]
        assert [a.json()["body_bytes"] for a in answers] == [len(b"%d" % i * 1000) for i in range(90)]


def test_bodies_and_trailers(stage, start):
    data = bytes(range(256)) * 8000
    node, connect = start(stage.upstream(lambda w, _: bounce(w)))
    with connect() as c:
        assert c.post("/", data).body == data
        n = c.ask("POST", "/", [("trailer", "x-sum")], end=False)
        c.send(n, b"abc")
        c.trailers(n, [("x-sum", "3")])
        r = c.response(n)
        assert r.body == b"abc" and ("x-sum", "3") in [tuple(t) for t in r.trailers]


def bounce(wire):
    while True:
        r = wire.request()
        wire.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: x-sum\r\n\r\n")
        if r.body:
            wire.send(b"%x\r\n" % len(r.body) + r.body + b"\r\n")
        wire.send(b"0\r\n" + b"".join(f"{n}: {v}\r\n".encode() for n, v in r.trailers) + b"\r\n")


def chat(gate, tokens=3):
    fields = [("content-type", "application/json"), ("x-mock-tokens", str(tokens)), ("x-mock-gate", gate)]
    return "POST", "/v1/chat/completions", fields, b'{"model": "m", "stream": true, "messages": []}'


def test_a_large_head(stage, start):
    upstream = echo(stage)
    node, connect = start(upstream, {"head_bytes_max": "512KB"})
    fields = [(f"x-large-{i}", "x" * 30000) for i in range(12)]
    with connect() as c:
        assert c.get("/", fields).status == 200
    seen = {n.lower(): v for n, v in upstream.requests[0].headers}
    assert all(seen[n] == v for n, v in fields)


def test_a_large_head_of_an_answer(stage, start):
    value = "x" * 100000
    upstream = stage.upstream(f"HTTP/1.1 200 OK\r\nX-Large: {value}\r\nContent-Length: 2\r\n\r\nok")
    node, connect = start(upstream, {"head_bytes_max": "64KB"})
    with connect() as c:
        r = c.get("/")
        assert r.status == 200 and r.get("x-large") == value and r.text == "ok"


def test_each_event_comes_when_it_is_sent(mock, start):
    node, connect = start(mock)
    with connect() as c:
        n = c.ask(*chat("g"))
        a = c.answers[n]
        mock.wait_waiting("g")
        mock.steps("g", 1)
        c.until(lambda: a.status == 200)
        for i in range(3):
            before = len(a.body)
            mock.steps("g", 1)
            c.until(lambda: len(a.body) > before)  # noqa: B023
            assert c.get("/v1/models").status == 200  # others are served meanwhile
        mock.steps("g", "all")
        assert b"[DONE]" in c.response(n).body


def test_a_stream_that_is_reset_cancels_upstream(mock, start):
    node, connect = start(mock)
    with connect() as c:
        n = c.ask(*chat("g"))
        mock.wait_waiting("g")
        c.cancel(n)
        mock.wait_stats(lambda s: s["aborted"]["total"] == 1, "the abort upstream")
        assert c.get("/v1/models").status == 200


def test_a_stalled_stream_stops_nobody_else(stage, start):
    big = b"x" * (4 << 20)
    upstream = stage.upstream([b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(big) + big])
    node, connect = start({"big": upstream, "small": echo(stage)})
    with connect(window=1000) as c:
        n = c.ask("GET", "/big/")
        c.paused.add(n)
        c.until(lambda: len(c.answers[n].body) == 1000)
        for _ in range(10):
            assert c.get("/small/").status == 200
        c.paused.clear()
        c.conn.increment_flow_control_window(len(big), n)
        c.conn.increment_flow_control_window(len(big))
        c.flush()
        assert c.response(n).body == big


def test_a_stalled_upload_stops_nobody_else(stage, start):
    stalled = stage.upstream(lambda wire, _: wire.hold())
    node, connect = start({"stalled": stalled, "small": echo(stage)}, http_client={"retry": {"enabled": False}})
    with connect() as c:
        n = c.ask("POST", "/stalled/", end=False)
        sent = 0
        c.read()
        while c.conn.local_flow_control_window(n) > 0:  # no more than it is given
            piece = min(c.conn.local_flow_control_window(n), c.conn.max_outbound_frame_size)
            c.conn.send_data(n, b"x" * piece)
            sent += piece
            c.flush()
        assert sent >= 65535
        for _ in range(10):
            assert c.post("/small/", b"y" * 1000).status == 200


def test_a_stream_that_takes_nothing_is_ended_alone(stage, start):
    big = b"x" * (4 << 20)
    upstream = stage.upstream([b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(big) + big])
    node, connect = start({"big": upstream, "small": echo(stage)}, {"write_timeout": 0.5})
    with connect(window=1000) as c:
        n = c.ask("GET", "/big/")
        c.paused.add(n)
        a = c.answers[n]
        c.until(lambda: len(a.body) == 1000)
        c.until(lambda: a.done)
        assert a.reset == ErrorCodes.CANCEL
        assert c.get("/small/").status == 200


def test_a_body_that_does_not_come(stage, start):
    node, connect = start(echo(stage), {"idle_timeout": 0.5})

    def answered():
        with connect() as c:  # Closed: a busy machine took longer than the clock to ask at all
            n = c.ask("POST", "/", body=b"half", end=False)
            a = c.answers[n]
            c.until(lambda: a.status is not None)
            return a

    a = wait_for(answered, "an answer")
    assert a.status == 408 and a.get("x-weir-error") == "body_timeout"


BAD = {
    "no path": [(":method", "GET"), (":scheme", "http"), (":authority", "x")],
    "connection": [("connection", "close")],
    "transfer-encoding": [("transfer-encoding", "chunked")],
    "te": [("te", "gzip")],
    "line feed": [("x-a", "1\nX-B: 2")],
    "carriage return": [("x-a", "1\rX-B: 2")],
    "upper case": [("X-A", "1")],
    "another host": [("host", "other.example")],
    "pseudo behind": [("x-a", "1"), (":path", "/other")],
    "space in name": [("x a", "1")],
    "bad length": [("content-length", "1x")],
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_not_passed_on(stage, start, case):
    upstream = echo(stage)
    node, connect = start(upstream)
    with connect() as c:
        raw = BAD[case] if case == "no path" else c.fields("GET", "/bad", []) + BAD[case]
        n = c.ask("GET", "/bad", raw=raw)
        a = c.answers[n]
        try:
            c.until(lambda: a.done)
            assert a.reset is not None or a.status == 400, a
            assert c.get("/good").status == 200
        except Closed:
            pass
    assert not any("/bad" in r.line.decode() for r in upstream.requests)


def test_less_data_than_announced(stage, start):
    upstream = echo(stage)
    node, connect = start(upstream)
    with connect() as c:
        n = c.ask("POST", "/", [("content-length", "10")], b"short")
        a = c.answers[n]
        c.until(lambda: a.done)
        assert a.reset is not None or a.status == 400
        assert c.get("/").status == 200
        n = c.ask("POST", "/none", [("content-length", "5")])  # and none at all, on a connection that is warm
        a = c.answers[n]
        c.until(lambda: a.done)
        assert a.reset is not None or a.status == 400
        assert c.get("/").status == 200
    assert all(r.body == b"" and "/none" not in r.line.decode() for r in upstream.requests)


def test_a_drain_lets_streams_end(mock, start):
    node, connect = start(mock)
    with connect() as c:
        n = c.ask(*chat("g"))
        mock.wait_waiting("g")
        mock.steps("g", 1)
        node.tell(signal.SIGTERM)
        node.wait_events("drain")
        c.until(lambda: c.goaway is not None)
        mock.steps("g", "all")
        assert b"[DONE]" in c.response(n).body
    assert node.wait() == 0


def test_a_drain_does_not_wait_for_who_is_idle_and_does_not_listen(mock, start):
    """A laptop that sleeps, a host that is gone: it will not say that it has heard of the end."""
    node, connect = start(mock, {"drain_timeout": 600})
    with connect() as c:
        assert c.get("/v1/models").status == 200
        node.tell(signal.SIGTERM)
        assert node.wait() == 0
    assert not node.events("drain_timeout")


def test_who_is_idle_for_too_long_is_told(stage, start):
    """By GOAWAY before the end: a request that is under way then is known not to have been looked at (RFC 9113 6.8)."""
    node, connect = start(echo(stage), {"idle_timeout": 0.3})

    def told():
        with connect() as c:
            assert c.get("/").status == 200  # Closed: a busy machine took longer than the clock to ask at all
            c.until(lambda: c.goaway is not None)
            with pytest.raises((Closed, ConnectionError)):
                c.until(lambda: False)
            return True

    wait_for(told, "GOAWAY after an answer")
    assert node.metric("weir_downstream_timeouts_total", clock="idle") >= 1


def test_without_http2_the_preface_is_refused(stage):
    node = stage.node(echo(stage), server={"http2": {"enabled": False}})
    with node.client() as c:
        c.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        assert c.response().get("x-weir-error") == "http2_preface"


def test_the_preface_may_come_in_pieces(stage):
    node = stage.node(echo(stage))
    preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + SettingsFrame(0).serialize()
    with node.client() as c:
        for i in range(len(preface)):
            c.send(preface[i : i + 1])
        assert c.exactly(9)[3] == 4  # its SETTINGS


# -- floods --


def flood_of_resets(c):
    while True:
        for _ in range(50):
            c.cancel(c.ask("GET", "/slow"))


def flood_of(frame):
    def send(c):
        while True:
            c.sock.sendall(frame().serialize() * 100)

    return send


def flood_of_continuations(c):
    frame = HeadersFrame(1, data=b"\x82\x86\x84")
    c.sock.sendall(frame.serialize())
    while True:
        c.sock.sendall(ContinuationFrame(1, data=b"\x40\x01a\x01b" * 200).serialize())


FLOODS = {
    "resets": flood_of_resets,
    "pings": flood_of(lambda: PingFrame(0, opaque_data=b"12345678")),
    "settings": flood_of(lambda: SettingsFrame(0, settings={4: 65535})),
    "continuations": flood_of_continuations,
}


@pytest.mark.parametrize("kind", FLOODS)
def test_floods_are_cut_off(stage, start, kind):
    node, connect = start(echo(stage))
    with node.client() as other:
        assert other.get("/").status == 200
        before = node.resident_bytes()
        for _ in range(3):
            with connect() as c:
                with pytest.raises(OSError):
                    FLOODS[kind](c)
            assert other.get("/").status == 200
        wait_for(lambda: node.metric("weir_downstream_http2_cut_total") == 3, "the floods to be counted")
        assert node.wait_only_events("client_cut_off")[0]["client"] == "127.0.0.1"
        assert sanitized() or node.resident_bytes() - before < 32 << 20


@pytest.mark.parametrize("kind", FLOODS)
def test_others_are_served_during_floods(stage, start, kind):
    """Two clients flood, and come again as often as they are cut off."""
    node, connect = start(echo(stage))
    stop = threading.Event()

    def flood():
        while not stop.is_set():
            try:
                with connect() as c:
                    FLOODS[kind](c)
            except OSError:
                pass

    threads = [threading.Thread(target=flood) for _ in range(2)]
    with node.client() as other:
        assert other.get("/").status == 200
        before = node.resident_bytes()
        for t in threads:
            t.start()
        try:
            wait_for(lambda: node.metric("weir_downstream_http2_cut_total") >= 2, "the floods to begin")
            for _ in range(30):
                assert other.get("/").status == 200
            wait_for(lambda: node.metric("weir_downstream_http2_cut_total") >= 6, "the floods to go on")
        finally:
            stop.set()
            for t in threads:
                t.join()
        assert sanitized() or node.resident_bytes() - before < 32 << 20


def test_a_head_that_never_ends(stage, start):
    node, connect = start(echo(stage), {"header_timeout": 0.5})

    def ended():
        with connect() as c:  # OSError: a busy machine took longer than the clock to shake hands
            c.sock.sendall(HeadersFrame(1, data=b"\x82\x86\x84").serialize())
            with pytest.raises((Closed, ConnectionError)):
                c.until(lambda: False)
            return True

    wait_for(ended, "the connection to be ended")


def test_more_streams_than_allowed(stage, mock, start):
    node, connect = start(mock, {"http2": {"max_concurrent_streams": 5}})
    with connect() as c:
        c.until(lambda: c.conn.remote_settings.max_concurrent_streams == 5)
        numbers = [c.ask(*chat("g")) for _ in range(5)]
        mock.wait_waiting("g", 5)
        mock.steps("g", "all")
        assert all(c.response(n).status == 200 for n in numbers)
