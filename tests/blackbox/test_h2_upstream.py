"""HTTP/2 towards providers: many requests on few connections, and connections that end, stall, or refuse."""

import json
import math
import threading

import pytest
from h2.errors import ErrorCodes
from h2.settings import SettingCodes
from harness import wait_for
from http1 import Closed
from http2 import Upstream2
from test_tls_upstream import context

WORKERS = 2


@pytest.fixture(params=["plain", "tls"])
def start(stage, pki, request):
    """Starts an upstream and a node before it."""

    def begin(script, http_client=None, server=None, workers=1, **options):
        tls = context(pki) if request.param == "tls" else None
        upstream = Upstream2(script, tls=tls, **options)
        stage.running.append(upstream.close)
        provider = {"base_url": upstream.url, "tls": {"ca_file": str(pki / "ca.pem")}}
        if tls is None:
            provider["http2"] = "on"
        server = {"workers": workers, **(server or {})}
        return upstream, stage.node({"mock": provider}, server=server, http_client=http_client or {})

    return begin


def many(node, count, ask):
    """`count` clients at once; what each came to, in no order."""
    results, threads = [], []

    def one(i):
        try:
            with node.client() as c:
                results.append(ask(c, i))
        except Exception as e:  # noqa: BLE001 - judged by the test
            results.append(e)

    for i in range(count):
        threads.append(threading.Thread(target=one, args=(i,)))
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    return results


def test_a_request_and_its_answer(start):
    def script(s):
        fields = [("x-a", "1"), ("set-cookie", "a=1"), ("set-cookie", "b=2")]
        s.answer(201, json.dumps([s.headers, s.body.decode()]).encode(), fields)

    upstream, node = start(script)
    with node.client() as c:
        more = [("Cookie", "a=1"), ("Cookie", "b=2"), ("TE", "trailers"), ("Connection", "X-Hop"), ("X-Hop", "1"), ("X-Kept", "1")]
        r = c.post("/v1/x?y=1", body=b"hello", headers=more)
    headers, body = r.json()
    seen = {n: v for n, v in headers}
    assert r.status == 201 and r.get("x-a") == "1" and r.all("set-cookie") == ["a=1", "b=2"] and body == "hello"
    assert seen[":method"] == "POST" and seen[":path"] == "/v1/x?y=1" and seen[":scheme"] == upstream.url.split(":")[0]
    assert seen[":authority"] == f"localhost:{upstream.port}" and seen["x-kept"] == "1" and seen["content-length"] == "5"
    assert not {"connection", "x-hop", "transfer-encoding", "host", "keep-alive"} & set(seen)
    assert "; ".join(v for n, v in headers if n == "cookie") == "a=1; b=2"


def test_bodies_both_ways(start):
    data = bytes(range(256)) * 12000
    upstream, node = start(lambda s: s.answer(200, s.body))
    with node.client() as c:
        assert c.post("/", body=data).body == data
        assert c.get("/").body == b""
        assert c.request("HEAD", "/").body == b""
    assert upstream.connections == 1


def test_trailers(start):
    def script(s):
        s.head(200, [("trailer", "x-sum")])
        s.data(b"abc")
        s.end([("x-sum", "3")])

    upstream, node = start(script)
    with node.client() as c:
        c.send("POST / HTTP/1.1\r\nHost: x\r\nTE: trailers\r\nTransfer-Encoding: chunked\r\nTrailer: x-in\r\n\r\n")
        c.send("3\r\nabc\r\n0\r\nx-in: 7\r\n\r\n")
        r = c.response()
    assert r.body == b"abc" and r.trailer("x-sum") == "3"
    assert ("x-in", "7") in [tuple(f) for f in upstream.requests[0].trailers]


@pytest.mark.parametrize(("te", "passed"), [("gzip, Trailers", ["trailers"]), ("gzip", []), (None, [])])
def test_te_tells_of_trailers_alone(start, te, passed):
    """A gRPC server refuses who does not say so."""
    upstream, node = start(lambda s: s.answer(200, json.dumps(s.headers).encode()))
    with node.client() as c:
        seen = c.get("/", [("TE", te)] if te else []).json()
    assert [v for n, v in seen if n == "te"] == passed


def test_sequential_requests_use_a_connection_per_worker(start):
    upstream, node = start(lambda s: s.answer(), workers=WORKERS)
    for r in many(node, 8, lambda c, i: [c.get("/").text for _ in range(125)]):
        assert r == ["ok"] * 125
    assert upstream.connections <= WORKERS
    assert node.metric("weir_pool_streams_total") == 1000
    assert node.metric("weir_pool_connections_http2_created_total") == upstream.connections


def test_streams_share_connections(start):
    """500 event streams at 100 streams a connection."""
    go = threading.Event()

    def script(s):
        s.head(200, [("content-type", "text/event-stream")])
        s.data(b"data: 1\n\n")
        go.wait(60)
        s.data(b"data: 2\n\n", end=True)

    upstream, node = start(script, streams_max=100, workers=WORKERS, http_client={"max_connections": 50})
    opened = []

    def ask(c, i):
        c.ask("GET", f"/{i}")
        head = c.response_head()
        opened.append(i)
        if len(opened) == 500:
            go.set()
        body, _ = c.body(head.headers, True)
        return body

    results = many(node, 500, ask)
    go.set()
    assert results == [b"data: 1\n\ndata: 2\n\n"] * 500, [r for r in results if not isinstance(r, bytes)][:3]
    assert upstream.connections <= math.ceil(500 / 100) + WORKERS - 1
    assert max(w.open_max for w in upstream.wires) <= 100
    assert node.metric("weir_pool_streams_active") == 0


@pytest.mark.parametrize("streams", [1, 3])
def test_the_peers_limit_holds(start, streams):
    gate = threading.Semaphore(0)

    def script(s):
        if s.path != "/first":
            gate.acquire(timeout=60)
        s.answer()

    upstream, node = start(script, streams_max=streams, http_client={"max_connections": 2})
    assert node.get("/first").text == "ok"
    threads = threading.Thread(target=lambda: done.extend(many(node, 12, lambda c, i: c.get("/").text)))
    done = []
    threads.start()
    upstream.wait(lambda u: len(u.requests) == 1 + 2 * streams, "the limit to be reached")
    for _ in range(12):
        gate.release()
    threads.join()
    assert done == ["ok"] * 12
    assert upstream.connections == 2


def test_goaway_lets_what_is_open_end(start):
    go = threading.Event()

    def script(s):
        s.head(200)
        s.data(b"1")
        go.wait(60)
        s.data(b"2", end=True)

    upstream, node = start(script)
    with node.client() as c:
        c.ask("GET", "/old")
        head = c.response_head()
        upstream.wires[0].goaway(last=1)
        wait_for(lambda: node.metric("weir_upstream_goaways_total") == 1, "the GOAWAY to be seen")
        with node.client() as d:
            d.ask("GET", "/new")
            upstream.wait(lambda u: len(u.wires) == 2, "a second connection")
            go.set()
            assert d.response().body == b"12"
        assert c.body(head.headers, True)[0] == b"12"


def test_goaway_under_load_loses_nothing(start):
    upstream, node = start(lambda s: s.answer(), workers=WORKERS)
    stop = threading.Event()

    def cut():
        while not stop.wait(0.02):
            for w in list(upstream.wires):
                if w.last is None and w.total > 0:  # a node gives up who meets nothing but connections that take nothing
                    w.goaway()

    thread = threading.Thread(target=cut)
    thread.start()
    try:
        for r in many(node, 8, lambda c, i: [c.get("/").status for _ in range(100)]):
            assert r == [200] * 100, r
    finally:
        stop.set()
        thread.join()
    assert upstream.connections > 2


@pytest.mark.parametrize("times", [1, 4])
def test_refused_streams_are_sent_again(start, times):
    upstream, node = start(lambda s: s.answer(200, s.body))
    upstream.refuse = times
    with node.client() as c:
        assert c.post("/", body=b"once").body == b"once"
    assert len(upstream.requests) == 1
    assert node.metric("weir_upstream_streams_refused_total") == times
    assert node.metric("weir_retries_total") == 0


def test_a_client_that_leaves_resets_its_stream_alone(start):
    go = threading.Event()

    def script(s):
        s.head(200)
        s.data(b"1")
        go.wait(60)
        s.data(b"2", end=True)

    upstream, node = start(script)
    with node.client() as stays:
        stays.ask("GET", "/stays")
        head = stays.response_head()
        with node.client() as leaves:
            leaves.ask("GET", "/leaves")
            leaves.response_head()
        upstream.wait(lambda u: u.requests[1].reset == ErrorCodes.CANCEL, "the stream to be reset")
        go.set()
        assert stays.body(head.headers, True)[0] == b"12"
    assert upstream.connections == 1 and upstream.requests[0].reset is None


def test_a_stream_that_the_peer_resets(start):
    def script(s):
        s.head(200)
        s.data(b"half")
        s.cancel()

    upstream, node = start(script)
    with node.client() as c:
        c.ask("GET", "/")
        with pytest.raises((Closed, ConnectionError)):
            c.response()
    with node.client() as c:
        c.ask("GET", "/")
        c.response_head()
    assert upstream.connections == 1


@pytest.mark.parametrize("code", [ErrorCodes.INTERNAL_ERROR, ErrorCodes.ENHANCE_YOUR_CALM, ErrorCodes.CANCEL])
def test_a_stream_reset_without_an_answer_is_not_sent_again(start, code):
    """The connection lives, so it was not stale: the peer has seen the request, and may have done what it asks."""
    upstream, node = start(lambda s: s.answer() if s.path == "/first" else s.cancel(code))
    assert node.get("/first").status == 200
    with node.client() as c:
        r = c.post("/second", body=b"once")
    assert r.status == 502 and r.get("x-weir-error") == "upstream_reset"
    assert [s.path for s in upstream.requests] == ["/first", "/second"] and upstream.connections == 1


def test_silence_does_not_make_a_connection_stale(start):
    """A peer that answers no PING may be at work on the request: it is not asked again."""
    go = threading.Event()

    def script(s):
        if s.path == "/second":
            s.wire.upstream.mute = True
            go.wait(60)
        s.answer()

    upstream, node = start(script, http_client={"http2_ping_interval": 0.5})
    assert node.get("/first").status == 200
    with node.client() as c:
        r = c.post("/second", body=b"once")
    go.set()
    assert r.status == 502 and node.metric("weir_upstream_pings_lost_total") >= 1
    assert [s.path for s in upstream.requests] == ["/first", "/second"]


def test_a_large_head(start):
    upstream, node = start(lambda s: s.answer(), server={"head_bytes_max": "256KB"})
    value = "x" * 100000
    assert node.get("/", **{"x-large": value}).status == 200
    assert upstream.requests[0].get("x-large") == value


def test_a_stalled_client_stops_nobody_else(start):
    big = b"x" * (8 << 20)

    def script(s):
        body = big if s.path == "/big" else b"small"
        s.answer(200, body, [("content-length", str(len(body)))])

    upstream, node = start(script)
    with node.client(receive_buffer=4096) as stalled:
        stalled.ask("GET", "/big")
        stalled.response_head()
        for _ in range(20):
            assert node.get("/").text == "small"
        assert upstream.connections == 1
        head = b"x" * 1000
        assert stalled.exactly(1000) == head


def test_a_peer_that_answers_no_ping(start):
    upstream, node = start(lambda s: s.answer(), http_client={"http2_ping_interval": 0.5})
    assert node.get("/").text == "ok"
    upstream.mute = True
    wait_for(lambda: node.metric("weir_upstream_pings_lost_total") == 1, "the connection to be given up")
    upstream.mute = False
    assert node.get("/").text == "ok" and upstream.connections == 2


def test_the_limit_may_change(start):
    gate = threading.Semaphore(0)

    def script(s):
        gate.acquire(timeout=60)
        s.answer()

    upstream, node = start(script, streams_max=10, http_client={"max_connections": 1})
    done = []
    gate.release()
    assert node.get("/").text == "ok"
    wire = upstream.wires[0]
    wire.do(lambda c: c.update_settings({SettingCodes.MAX_CONCURRENT_STREAMS: 2}))
    wait_for(lambda: wire.conn.local_settings.max_concurrent_streams == 2, "the change to be acknowledged")
    thread = threading.Thread(target=lambda: done.extend(many(node, 6, lambda c, i: c.get("/").text)))
    thread.start()
    upstream.wait(lambda u: len(u.requests) == 3, "two more")
    wire.do(lambda c: c.update_settings({SettingCodes.MAX_CONCURRENT_STREAMS: 6}))
    upstream.wait(lambda u: len(u.requests) == 7, "the others")
    for _ in range(6):
        gate.release()
    thread.join()
    assert done == ["ok"] * 6 and upstream.connections == 1


def test_without_a_connection_left_streams_wait(start):
    """A worker's connection that is never empty must not keep another worker's requests waiting for ever."""
    upstream, node = start(lambda s: s.answer(), workers=WORKERS, http_client={"max_connections": 1})
    for r in many(node, 8, lambda c, i: [c.get("/").text for _ in range(50)]):
        assert r == ["ok"] * 50


def test_http2_off_is_http1(stage, pki):
    tls = context(pki)
    tls.set_alpn_protocols(["h2", "http/1.1"])
    upstream = stage.upstream("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", tls=tls)
    provider = {"base_url": f"https://localhost:{upstream.port}", "http2": "off", "tls": {"ca_file": str(pki / "ca.pem")}}
    node = stage.node({"mock": provider})
    assert node.get("/").text == "ok"
    assert node.metric("weir_pool_connections_http2_created_total") == 0


@pytest.mark.parametrize("http2", ["auto", "on"])
def test_a_peer_without_http2_is_served_by_http1(stage, pki, http2):
    upstream = stage.upstream("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", tls=context(pki))
    provider = {"base_url": f"https://localhost:{upstream.port}", "http2": http2, "tls": {"ca_file": str(pki / "ca.pem")}}
    node = stage.node({"mock": provider})
    assert many(node, 30, lambda c, i: c.get("/").text) == ["ok"] * 30


def test_checks_speak_http2(start):
    upstream, node = start(lambda s: s.answer(), http_client={"health": {"enabled": True, "path": "/up", "check_interval": 0.1}})
    upstream.wait(lambda u: any(s.path == "/up" for s in u.requests), "a check")
    wait_for(lambda: node.metric("weir_health_checks_total", result="passed") > 0, "it to pass")
    assert not node.events("endpoint_unhealthy")
