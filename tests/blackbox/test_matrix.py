"""What a proxy must do, in all combinations: HTTP/1.1 and HTTP/2 clients, HTTP/1.1 and HTTP/2 providers, plain and TLS."""

import itertools
import threading

import pytest
from h2.errors import ErrorCodes
from harness import sanitized, wait_for
from http2 import Client2, Upstream2
from test_tls_downstream import files, trusting
from test_tls_upstream import context

COMBINATIONS = list(itertools.product(["h1", "h2"], ["h1", "h2"], ["plain", "tls"]))


class Setting:
    """A node between a client and an upstream that each speak one version."""

    def __init__(self, stage, pki, down, up, transport):
        self.stage, self.pki, self.down, self.up, self.secure = stage, pki, down, up, transport == "tls"

    def start(self, answer):
        """answer(request, respond): `respond` is a Responder, whatever the version."""
        tls = context(self.pki) if self.secure else None
        if self.up == "h2":
            self.upstream = Upstream2(lambda s: answer(s, Responder2(s)), tls=tls, early=True)
            self.stage.running.append(self.upstream.close)
            url = self.upstream.url
        else:
            self.upstream = self.stage.upstream(lambda w, u: serve(w, u, answer), tls=tls)
            url = self.upstream.url.replace("127.0.0.1", "localhost")
        provider = {"base_url": url, "http2": "on" if self.up == "h2" else "off"}
        server = {}
        if self.secure:
            provider["tls"] = {"ca_file": str(self.pki / "ca.pem")}
            server["tls"] = {"certificates": files(self.pki, "good")}
        self.node = self.stage.node(
            {"mock": provider}, server=server, tls=trusting(self.pki) if self.secure else None
        )
        return self.node

    def client(self, **options):
        if self.down == "h2":
            return Client2(self.node.port, tls=trusting(self.pki) if self.secure else None, **options)
        return OneByOne(self.node.client(**({"receive_buffer": 4096} if "window" in options else {})))


class OneByOne:
    """An HTTP/1.1 client behind the interface of Client2, with one stream at a time."""

    def __init__(self, wire):
        self.wire = wire
        self.paused = set()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.wire.close()

    def ask(self, method, target, headers=(), body=None, trailers=None):
        if trailers is None:
            self.wire.ask(method, target, headers, body)
            return 1
        self.wire.ask(method, target, [*headers, ("Transfer-Encoding", "chunked"), ("TE", "trailers")])
        self.wire.send(b"%x\r\n" % len(body) + body + b"\r\n0\r\n")
        self.wire.send("".join(f"{n}: {v}\r\n" for n, v in trailers) + "\r\n")
        return 1

    def response(self, _, method="GET"):
        return self.wire.response(method)

    def head(self, _):
        self.got = self.wire.response_head()
        return self.got.status

    def some(self, _, n):
        """The next n bytes of the body, which comes in chunks."""
        data = b""
        while len(data) < n:
            size = int(self.wire.until(b"\r\n"), 16)
            data += self.wire.exactly(size)
            self.wire.exactly(2)
        return data

    def cancel(self, _):
        self.wire.reset()


class Many(Client2):
    """Client2 with the same helpers."""

    def ask(self, method, target, headers=(), body=None, trailers=None, **more):
        if trailers is None:
            return super().ask(method, target, headers, body, **more)
        n = super().ask(method, target, [*headers, ("te", "trailers")], end=False)
        self.send(n, body)
        self.trailers(n, trailers)
        return n

    def response(self, number, method="GET"):
        return super().response(number)

    def head(self, number):
        self.until(lambda: self.answers[number].status is not None)
        return self.answers[number].status

    def some(self, number, n):
        a = self.answers[number]
        start = getattr(self, "taken", 0)
        self.until(lambda: len(a.body) >= start + n)
        self.taken = len(a.body)
        return a.body[start:]


class Responder1:
    def __init__(self, wire):
        self.wire = wire

    def whole(self, status, body, fields=()):
        head = "".join(f"{n}: {v}\r\n" for n, v in fields)
        self.wire.send(f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\n{head}\r\n".encode() + body)

    def begin(self, fields=()):
        head = "".join(f"{n}: {v}\r\n" for n, v in fields)
        self.wire.send(f"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n{head}\r\n")

    def data(self, data):
        self.wire.send(b"%x\r\n" % len(data) + data + b"\r\n")

    def end(self, trailers=()):
        self.wire.send("0\r\n" + "".join(f"{n}: {v}\r\n" for n, v in trailers) + "\r\n")

    def request(self, request):
        return request.body, [tuple(t) for t in request.trailers]

    def gone(self):
        try:
            return not self.wire.sock.recv(1)
        except OSError:
            return True


class Responder2:
    def __init__(self, stream):
        self.stream = stream

    def whole(self, status, body, fields=()):
        self.stream.answer(status, body, [("content-length", str(len(body))), *((n.lower(), v) for n, v in fields)])

    def begin(self, fields=()):
        self.stream.head(200, [(n.lower(), v) for n, v in fields])

    def data(self, data):
        self.stream.data(data)

    def end(self, trailers=()):
        self.stream.end(trailers)

    def request(self, request):
        wait_for(lambda: request.ended, "the end of the request")
        return request.body, [tuple(t) for t in request.trailers]

    def gone(self):
        wait_for(lambda: self.stream.reset is not None or self.stream.wire.closed, "the stream to be reset")
        assert self.stream.reset in (None, ErrorCodes.CANCEL)
        return True


def serve(wire, upstream, answer):
    while True:
        answer(wire.request(), Responder1(wire))


@pytest.fixture(params=COMBINATIONS, ids=["-".join(c) for c in COMBINATIONS])
def setting(stage, pki, request):
    s = Setting(stage, pki, *request.param)
    if s.down == "h2":
        s.client = lambda **o: Many(s.node.port, tls=trusting(pki) if s.secure else None, **o)
    return s


DATA = bytes(range(256)) * 8000


def test_bodies(setting):
    setting.start(lambda request, to: to.whole(200, to.request(request)[0]))
    with setting.client() as c:
        for body in [b"x", DATA, b"", b"y" * 16384]:
            r = c.response(c.ask("POST", "/v1/x", [], body), "POST")
            assert r.status == 200 and r.body == body


def test_answers_without_bodies(setting):
    def answer(request, to):
        body, _ = to.request(request)
        to.whole(200, body * 3)

    setting.start(answer)
    with setting.client() as c:
        assert c.response(c.ask("POST", "/", [], b""), "POST").body == b""
        assert c.response(c.ask("POST", "/", [], b"abc"), "POST").body == b"abcabcabc"
        assert c.response(c.ask("GET", "/")).body == b""


def test_trailers(setting):
    def answer(request, to):
        body, trailers = to.request(request)
        to.begin([("Trailer", "x-sum")])
        to.data(body)
        to.end([("x-sum", dict(trailers).get("x-in", "none"))])

    setting.start(answer)
    with setting.client() as c:
        r = c.response(c.ask("POST", "/", [("trailer", "x-in")], b"abc", trailers=[("x-in", "7")]), "POST")
        assert r.body == b"abc" and ("x-sum", "7") in [tuple(t) for t in r.trailers]


def test_each_event_comes_when_it_is_sent(setting):
    steps = threading.Semaphore(0)

    def answer(request, to):
        to.request(request)
        to.begin([("Content-Type", "text/event-stream")])
        for i in range(5):
            assert steps.acquire(timeout=60)
            to.data(b"data: %d\n\n" % i)
        to.end()

    setting.start(answer)
    with setting.client() as c:
        n = c.ask("POST", "/v1/chat/completions", [], b"{}")
        assert c.head(n) == 200
        for i in range(5):
            steps.release()
            assert c.some(n, 9) == b"data: %d\n\n" % i


def test_a_client_that_leaves_cancels_upstream(setting):
    gone = threading.Event()

    def answer(request, to):
        to.request(request)
        to.begin()
        to.data(b"first")
        if to.gone():
            gone.set()

    setting.start(answer)
    with setting.client() as c:
        n = c.ask("GET", "/")
        assert c.head(n) == 200
        c.cancel(n)
        assert gone.wait(30)


def test_a_slow_reader_holds_up_the_sender(setting):
    """The node must not take in what its client does not read."""
    size = 24 << 20

    def answer(request, to):
        to.request(request)
        to.begin()
        piece = b"x" * 65536
        for _ in range(size // len(piece)):
            to.data(piece)
        to.end()

    node = setting.start(answer)
    before = node.resident_bytes()
    with setting.client(window=1000) as c:
        n = c.ask("GET", "/")
        c.paused.add(n)
        assert c.head(n) == 200
        wait_for(lambda: node.metric("weir_upstream_received_bytes_total") > 1000, "it to begin")
        level = []

        def still():
            level.append(node.metric("weir_upstream_received_bytes_total"))
            return len(level) > 10 and len(set(level[-8:])) == 1

        wait_for(still, "the sender to be held up")
        assert level[-1] < size / 2
        assert sanitized() or node.resident_bytes() - before < 16 << 20
