"""Whatever leaves doubt about where a message ends is refused, on either side, and its connection is not used again."""

import threading

import pytest
from http1 import BOUND_S, Closed, answering

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.fixture(scope="module")
def shared(module_stage):
    upstream = module_stage.upstream(answering(OK))
    return module_stage.node(upstream), upstream


@pytest.fixture
def node(shared):
    return shared[0]


@pytest.fixture
def upstream(shared):
    shared[1].requests.clear()
    return shared[1]


def request(*fields, line="POST /v1/x HTTP/1.1", host="Host: test.example", body=b"hello"):
    lines = [line, *([host] if host is not None else []), *fields]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


def bad(name, raw, status=400):
    return pytest.param(raw, status, id=name)


BAD_HEADS = [
    bad("length-and-chunked", request("Content-Length: 5", "Transfer-Encoding: chunked", body=b"0\r\n\r\n")),
    bad("chunked-and-length", request("Transfer-Encoding: chunked", "Content-Length: 5", body=b"0\r\n\r\n")),
    bad("two-lengths", request("Content-Length: 5", "Content-Length: 6")),
    bad("two-lengths-in-a-list", request("Content-Length: 5, 6")),
    bad("length-empty", request("Content-Length:")),
    bad("length-plus", request("Content-Length: +5")),
    bad("length-minus", request("Content-Length: -5")),
    bad("length-hex", request("Content-Length: 0x5")),
    bad("length-letters", request("Content-Length: 5a")),
    bad("length-space-inside", request("Content-Length: 5 5")),
    bad("length-overflow", request("Content-Length: 18446744073709551621")),
    bad("length-of-64-bits", request("Content-Length: 9223372036854775808")),
    bad("chunked-not-last", request("Transfer-Encoding: chunked, gzip", body=b"0\r\n\r\n")),
    bad("chunked-not-last-in-two", request("Transfer-Encoding: chunked", "Transfer-Encoding: gzip", body=b"0\r\n\r\n")),
    bad("chunked-twice", request("Transfer-Encoding: chunked, chunked", body=b"0\r\n\r\n")),
    bad("chunked-twice-in-two", request("Transfer-Encoding: chunked", "Transfer-Encoding: chunked", body=b"0\r\n\r\n")),
    bad("coding-with-vertical-tab", request("Transfer-Encoding: \x0bchunked", body=b"0\r\n\r\n")),
    bad("coding-prefixed", request("Transfer-Encoding: xchunked", body=b"0\r\n\r\n"), (400, 501)),
    bad("coding-unknown", request("Transfer-Encoding: gzip, chunked", body=b"0\r\n\r\n"), (400, 501)),
    bad("coding-identity", request("Transfer-Encoding: identity"), (400, 501)),
    bad("coding-empty", request("Transfer-Encoding:")),
    bad("coding-on-1.0", request("Transfer-Encoding: chunked", line="POST /v1/x HTTP/1.0", body=b"0\r\n\r\n")),
    bad("bare-lf-everywhere", b"GET / HTTP/1.1\nHost: x\n\n"),
    bad("bare-lf-after-start-line", b"GET / HTTP/1.1\nHost: x\r\n\r\n"),
    bad("bare-lf-after-field", b"GET / HTTP/1.1\r\nHost: x\nX: y\r\n\r\n"),
    bad("bare-lf-ends-head", b"GET / HTTP/1.1\r\nHost: x\r\n\n"),
    bad("bare-cr-in-value", request("X-A: b\rc")),
    bad("bare-cr-hides-field", request("X-A: b\rContent-Length: 5")),
    bad("bare-cr-in-name", request("X-\rA: b")),
    bad("bare-cr-ends-field", b"GET / HTTP/1.1\r\nHost: x\rX: y\r\n\r\n"),
    bad("bare-cr-in-start-line", b"GET /\r HTTP/1.1\r\nHost: x\r\n\r\n"),
    bad("obs-fold", request("X-A: b", " folded")),
    bad("obs-fold-tab", request("X-A: b", "\tfolded")),
    bad("fold-before-first-field", b"GET / HTTP/1.1\r\n X: y\r\nHost: x\r\n\r\n"),
    bad("space-before-colon", request("Content-Length : 5")),
    bad("tab-before-colon", request("X-A\t: 5")),
    bad("space-in-name", request("X A: 5")),
    bad("name-empty", request(": 5")),
    bad("no-colon", request("Nonsense")),
    bad("nul-in-value", request("X-A: b\0c")),
    bad("nul-in-name", request("X-\0: b")),
    bad("control-in-value", request("X-A: b\x01c")),
    bad("host-missing", request(host=None)),
    bad("host-twice", request("Host: test.example")),
    bad("host-twice-other", request("Host: other.example")),
    bad("host-list", request(host="Host: a, b")),
    bad("host-with-space", request(host="Host: a b")),
    bad("host-with-path", request(host="Host: a/b")),
    bad("host-with-user", request(host="Host: u@a")),
    bad("two-spaces-in-start-line", request(line="POST  /v1/x HTTP/1.1")),
    bad("space-after-version", request(line="POST /v1/x HTTP/1.1 ")),
    bad("space-in-target", request(line="POST /v1 x HTTP/1.1")),
    bad("no-version", request(line="POST /v1/x")),
    bad("lower-case-version", request(line="POST /v1/x http/1.1")),
    bad("version-of-three-digits", request(line="POST /v1/x HTTP/1.10")),
    bad("version-2", request(line="POST /v1/x HTTP/2.0"), (400, 505)),
    bad("http2-preface-not-quite", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\r", (400, 505)),
    bad("method-with-colon", request(line="PO:ST /v1/x HTTP/1.1")),
    bad("target-relative", request(line="POST v1/x HTTP/1.1")),
    bad("target-star-of-get", request(line="GET * HTTP/1.1", body=b"")),
    bad("target-with-control", request(line="GET /\x01 HTTP/1.1", body=b"")),
    bad("target-with-fragment", request(line="GET /#a HTTP/1.1", body=b"")),
    bad("target-with-user", request(line="GET http://u@test.example/ HTTP/1.1", body=b"")),
    bad("tls-hello", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 64 + b"\r\n\r\n"),
]


def assert_refused(client, node, status):
    r = client.response()
    allowed = status if isinstance(status, tuple) else (status,)
    assert r.status in allowed, r
    assert r.get("x-weir-error") and r.json()["error"]["code"] == r.get("x-weir-error"), r
    assert r.json()["error"]["type"] == ("invalid_request_error" if r.status < 500 else "api_error"), r
    assert r.get("connection") == "close", r
    assert client.at_end()
    assert node.alive()


@pytest.mark.parametrize(("raw", "status"), BAD_HEADS)
def test_bad_request_head(node, upstream, raw, status):
    with node.client() as c:
        c.send(raw + SMUGGLED)
        assert_refused(c, node, status)
    with node.client() as c:
        c.get("/after")
    assert [r.target for r in upstream.requests] == ["/after"]


@pytest.mark.parametrize(("raw", "status"), BAD_HEADS)
def test_bad_request_head_in_single_bytes(node, raw, status):
    """The same, one byte a segment: no verdict may hang on how the bytes were cut."""
    with node.client() as c:
        try:
            for i in range(len(raw)):
                c.send(raw[i : i + 1])
        except OSError:
            pass  # refused before its end
        assert_refused(c, node, status)


BAD_BODIES = {
    "size-not-hex": b"zz\r\nhello\r\n0\r\n\r\n",
    "size-empty": b"\r\nhello\r\n0\r\n\r\n",
    "size-negative": b"-5\r\nhello\r\n0\r\n\r\n",
    "size-plus": b"+5\r\nhello\r\n0\r\n\r\n",
    "size-0x": b"0x5\r\nhello\r\n0\r\n\r\n",
    "size-space-before": b" 5\r\nhello\r\n0\r\n\r\n",
    "size-space-after": b"5 \r\nhello\r\n0\r\n\r\n",
    "size-overflow": b"10000000000000005\r\nhello\r\n0\r\n\r\n",
    "size-bare-lf": b"5\nhello\r\n0\r\n\r\n",
    "size-bare-cr": b"5\rhello\r\n0\r\n\r\n",
    "extension-bare-lf": b"5;a=b\nhello\r\n0\r\n\r\n",
    "extension-bare-cr": b"5;a\rb\r\nhello\r\n0\r\n\r\n",
    "data-too-long": b"5\r\nhello!\r\n0\r\n\r\n",
    "data-ends-in-lf": b"5\r\nhello\n0\r\n\r\n",
    "data-without-end": b"5\r\nhello0\r\n\r\n",
    "last-ends-in-lf": b"5\r\nhello\r\n0\n\n",
    "trailer-space-before-colon": b"0\r\nX : y\r\n\r\n",
    "trailer-fold": b"0\r\nX: y\r\n z\r\n\r\n",
    "trailer-no-colon": b"0\r\nnonsense\r\n\r\n",
    "trailer-bare-cr": b"0\r\nX: y\rz\r\n\r\n",
}


@pytest.mark.parametrize("body", BAD_BODIES.values(), ids=BAD_BODIES.keys())
def test_bad_chunked_request(node, upstream, body):
    """The upstream, which waits for the whole request, never sees the end of it."""
    with node.client() as c:
        c.send(request("Transfer-Encoding: chunked", body=body) + SMUGGLED)
        assert_refused(c, node, 400)
    with node.client() as c:
        assert c.get("/after").status == 200
    assert [r.target for r in upstream.requests] == ["/after"]


def test_connect_is_not_offered(node, upstream):
    with node.client() as c:
        c.send(request(line="CONNECT test.example:443 HTTP/1.1", body=b""))
        r = c.response()
        assert r.status == 501 and r.get("x-weir-error"), r
    assert not upstream.requests


COUNTED = {
    "request_line": request(line="GET /a b HTTP/1.1", body=b""),
    "header": request("X A: 5"),
    "framing": request("Content-Length: 5", "Content-Length: 6"),
    "host": request(host=None),
    "chunk": request("Transfer-Encoding: chunked", body=b"zz\r\n"),
    "version": request(line="GET / HTTP/2.0", body=b""),
}


def test_refusals_are_counted_by_their_kind(module_stage):
    node = module_stage.node(module_stage.upstream(answering(OK)))
    for code, raw in COUNTED.items():
        with node.client() as c:
            c.send(raw)
            c.response()
        assert node.metric("weir_malformed_requests_total", code=code) == 1, code


GOOD_HEADS = {
    "length-with-spaces": request("Content-Length:   5  "),
    "chunked-in-capitals": request("Transfer-Encoding: CHUNKED", body=b"5\r\nhello\r\n0\r\n\r\n"),
    "chunk-extension": request("Transfer-Encoding: chunked", body=b"5;a=b\r\nhello\r\n0\r\n\r\n"),
    "chunk-size-with-zeros": request("Transfer-Encoding: chunked", body=b"005\r\nhello\r\n0\r\n\r\n"),
    "empty-line-before": b"\r\n" + request("Content-Length: 5"),
    "obs-text": request("X-A: \xe9t\xe9", "Content-Length: 5"),
    "empty-value": request("X-A:", "Content-Length: 5"),
    "custom-method": request("Content-Length: 5", line="REPORT /v1/x HTTP/1.1"),
}


@pytest.mark.parametrize("raw", GOOD_HEADS.values(), ids=GOOD_HEADS.keys())
def test_unusual_but_clear_request(node, upstream, raw):
    with node.client() as c:
        for _ in range(2):
            c.send(raw)
            assert c.response().status == 200
    assert [r.body for r in upstream.requests] == [b"hello"] * 2


BAD_ANSWERS = {
    "length-and-chunked": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "two-lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok!",
    "two-lengths-in-a-list": b"HTTP/1.1 200 OK\r\nContent-Length: 2, 3\r\n\r\nok!",
    "length-letters": b"HTTP/1.1 200 OK\r\nContent-Length: 2x\r\n\r\nok",
    "length-minus": b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nok",
    "length-overflow": b"HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551618\r\n\r\nok",
    "length-empty": b"HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\nok",
    "chunked-not-last": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
    "chunked-twice": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    "coding-unknown": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nok",
    "coding-on-1.0": b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "bare-lf": b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok",
    "bare-cr-in-value": b"HTTP/1.1 200 OK\r\nX: a\rb\r\nContent-Length: 2\r\n\r\nok",
    "obs-fold": b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 2\r\n\r\nok",
    "space-before-colon": b"HTTP/1.1 200 OK\r\nContent-Length : 2\r\n\r\nok",
    "name-empty": b"HTTP/1.1 200 OK\r\n: 2\r\nContent-Length: 2\r\n\r\nok",
    "nul-in-value": b"HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 2\r\n\r\nok",
    "status-of-two-digits": b"HTTP/1.1 20 OK\r\nContent-Length: 2\r\n\r\nok",
    "status-of-letters": b"HTTP/1.1 2xx OK\r\nContent-Length: 2\r\n\r\nok",
    "version-2": b"HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
    "not-http": b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
    "switching-unasked": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
    "head-without-end": b"HTTP/1.1 200 OK\r\nContent-Le",
    "nothing": b"",
}


@pytest.mark.parametrize("answer", BAD_ANSWERS.values(), ids=BAD_ANSWERS.keys())
def test_bad_answer(stage, answer):
    def script(wire, _):
        if wire.request().target == "/second":
            wire.send(OK)
            return
        wire.send(answer)
        wire.finish()
        wire.to_end()

    upstream = stage.upstream(script)
    node = stage.node(upstream)
    with node.client() as c:
        r = c.get("/first")
        assert r.status == 502, r
        assert r.get("x-weir-error") == r.json()["error"]["code"], r
        assert c.get("/second").status == 200
    assert upstream.connections == 2


BAD_CHUNKS = {
    "size-not-hex": b"zz\r\nhello\r\n0\r\n\r\n",
    "size-bare-lf": b"5\nhello\r\n0\r\n\r\n",
    "data-too-long": b"5\r\nhello!\r\n0\r\n\r\n",
    "size-overflow": b"10000000000000005\r\nhello\r\n0\r\n\r\n",
    "cut": b"5\r\nhel",
    "cut-before-last": b"5\r\nhello\r\n",
    "cut-in-last": b"5\r\nhello\r\n0\r\n",
    "trailer-space-before-colon": b"5\r\nhello\r\n0\r\nX : y\r\n\r\n",
}


@pytest.mark.parametrize("body", BAD_CHUNKS.values(), ids=BAD_CHUNKS.keys())
def test_answer_that_goes_bad(stage, body):
    """Too late for a status: the client must not take what it has for the whole."""

    first_read = threading.Event()

    def script(wire, _):
        wire.request()
        wire.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n")
        assert first_read.wait(BOUND_S)
        wire.send(body)
        wire.finish()
        wire.to_end()

    upstream = stage.upstream(script)
    node = stage.node(upstream)
    with node.client() as c:
        c.ask("GET", "/")
        assert c.response_head().status == 200
        assert c.chunk() == b"hi"
        first_read.set()
        with pytest.raises((Closed, ConnectionResetError)):
            while True:
                assert c.chunk() != b"", "the answer was ended as if it were whole"
    assert node.pool("mock")["connections_idle"] == 0


@pytest.mark.parametrize("extra", [b"x", b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"])
def test_bytes_behind_an_answer_are_not_the_next_ones(stage, extra):
    def script(wire, _):
        wire.request()
        wire.send(OK + extra)
        wire.request()
        wire.send(OK)

    upstream = stage.upstream(script)
    node = stage.node(upstream)
    with node.client() as c:
        for _ in range(3):
            assert c.get("/").body == b"ok"
    assert upstream.connections == 3


def test_length_that_is_not_reached(stage):
    upstream = stage.upstream(answering(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort", then_close=True))
    node = stage.node(upstream)
    with node.client() as c:
        c.ask("GET", "/")
        with pytest.raises((Closed, ConnectionResetError)):
            c.response()


def test_request_that_is_not_finished(stage):
    upstream = stage.upstream(answering(OK))
    node = stage.node(upstream)
    with node.client() as c:
        c.send(request("Content-Length: 50"))
        upstream.wait(lambda u: u.connections == 1, "the connection")
    with node.client() as c:
        assert c.get("/after").status == 200
    assert [r.target for r in upstream.requests] == ["/after"]
