"""compression.downstream: what weir codes itself, for whom, and that it holds no more back than it may."""

import json
import random
import shutil
import socket
import subprocess
import threading
import time
import zlib

import pytest
from harness import wait_for
from http1 import BOUND_S

GZIP = [("Accept-Encoding", "gzip")]
DOCUMENT = json.dumps([{"role": "assistant", "content": f"token {i}", "index": i % 7} for i in range(400)]).encode()
JSON = [("Content-Type", "application/json")]


def answer(body=DOCUMENT, fields=JSON, status="200 OK", chunked=False):
    lines = [f"{n}: {v}" for n, v in fields] + ["Transfer-Encoding: chunked" if chunked else f"Content-Length: {len(body)}"]
    if chunked:
        body = b"%x\r\n%s\r\n0\r\nX-Trailer: t\r\n\r\n" % (len(body), body)
    return f"HTTP/1.1 {status}\r\n".encode() + "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def in_front_of(stage, script, downstream=True, event_streams=False, **top):
    upstream = stage.upstream(script)
    compression = {"downstream": downstream, "event_streams": event_streams}
    return upstream, stage.node({"mock": {"base_url": upstream.url}}, compression=compression, **top)


def gunzip(body):
    d = zlib.decompressobj(31)
    plain = d.decompress(body) + d.flush()
    assert d.eof and not d.unused_data
    return plain


def passed(r, body=DOCUMENT):
    return r.get("content-encoding") is None and r.get("content-length") == str(len(body)) and r.body == body


def test_a_document_is_compressed(stage):
    tag = [*JSON, ("ETag", '"v1"'), ("Accept-Ranges", "bytes"), ("Vary", "Origin")]
    _, node = in_front_of(stage, answer(fields=tag))
    with node.client() as c:
        for _ in range(2):  # the connection goes on
            r = c.get("/", GZIP)
            assert r.get("content-encoding") == "gzip" and gunzip(r.body) == DOCUMENT
            assert len(r.body) < len(DOCUMENT) / 4
            assert r.get("content-length") is None and r.get("accept-ranges") is None
            assert r.get("etag") == 'W/"v1"' and r.all("vary") == ["Origin", "accept-encoding"]
        r = c.get("/")
        assert passed(r) and r.get("etag") == '"v1"' and "accept-encoding" in r.all("vary")
    assert node.metric("weir_answers_compressed_total", coding="gzip") == 2
    assert node.metric("weir_compression_input_bytes_total") == 2 * len(DOCUMENT)
    assert 0 < node.metric("weir_compression_output_bytes_total") < len(DOCUMENT) / 2
    logged = lambda: [line["bytes_out"] for line in node.log_lines() if line.get("target") == "/"]  # noqa: E731
    wait_for(lambda: len(logged()) == 3, "the access log")
    assert logged()[0] < len(DOCUMENT) / 4 and logged()[2] == len(DOCUMENT)


def test_off_by_default(stage):
    upstream = stage.upstream(answer())
    node = stage.node({"mock": {"base_url": upstream.url}})
    with node.client() as c:
        r = c.get("/", GZIP)
    assert passed(r) and r.get("vary") is None
    assert upstream.requests[0].get("accept-encoding") == "gzip"


@pytest.mark.parametrize("accept", ["identity", "br", "gzip;q=0", "gzip;q=0.5, identity", "deflate, *;q=0", ""])
def test_clients_that_do_not_want_it(stage, accept):
    _, node = in_front_of(stage, answer())
    with node.client() as c:
        assert passed(c.get("/", [("Accept-Encoding", accept)]))


STAYS = {
    "coded already": [*JSON, ("Content-Encoding", "br")],
    "no-transform": [*JSON, ("Cache-Control", "private, no-transform")],
    "an image": [("Content-Type", "image/png")],
    "no type": [],
    "an event stream": [("Content-Type", "text/event-stream")],
}


@pytest.mark.parametrize("case", STAYS)
def test_answers_that_stay(stage, case):
    _, node = in_front_of(stage, answer(fields=STAYS[case]))
    with node.client() as c:
        r = c.get("/", GZIP)
    assert r.body == DOCUMENT and r.get("content-length") == str(len(DOCUMENT)) and r.get("vary") is None
    assert r.all("content-encoding") == [v for n, v in STAYS[case] if n == "Content-Encoding"]


def test_short_ones_and_parts_stay(stage):
    part = [*JSON, ("Content-Range", "bytes 0-9/100")]
    _, node = in_front_of(stage, lambda wire, up: [wire.request(), wire.send(answer(b"{}")), wire.request(), wire.send(
        answer(fields=part, status="206 Partial Content"))])
    with node.client() as c:
        assert passed(c.get("/", GZIP), b"{}")
        assert passed(c.get("/", GZIP))


def test_head_and_no_content(stage):
    heads = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 5000\r\n\r\n"
    none = b"HTTP/1.1 204 No Content\r\nContent-Type: application/json\r\n\r\n"
    _, node = in_front_of(stage, lambda wire, up: [wire.request(), wire.send(heads), wire.request(), wire.send(none)])
    with node.client() as c:
        r = c.request("HEAD", "/", GZIP)
        assert r.get("content-encoding") is None and r.get("content-length") == "5000"
        r = c.get("/", GZIP)
        assert r.status == 204 and r.get("content-encoding") is None


def test_http10_clients_get_it_plain(stage):
    _, node = in_front_of(stage, answer())
    with node.client() as c:
        c.send("GET / HTTP/1.0\r\nHost: x\r\nAccept-Encoding: gzip\r\n\r\n")
        assert passed(c.response())


def test_the_provider_need_not_know(stage):
    """features.compression: false asks the provider for plain answers, and the client gets them compressed all the same."""
    upstream, node = in_front_of(stage, answer(), http_client={"features": {"compression": False}})
    with node.client() as c:
        assert gunzip(c.get("/", GZIP).body) == DOCUMENT
    assert upstream.requests[0].get("accept-encoding") is None


def test_trailers_and_unknown_lengths(stage):
    _, node = in_front_of(stage, answer(chunked=True))
    with node.client() as c:
        r = c.get("/", GZIP)
        assert gunzip(r.body) == DOCUMENT and r.trailer("x-trailer") == "t"
        assert c.get("/").body == DOCUMENT


def test_an_answer_cut_off_is_no_whole_one(stage):
    def script(wire, _):
        wire.request()
        wire.send(answer()[: -len(DOCUMENT) // 2])

    _, node = in_front_of(stage, script)
    with node.client() as c:
        c.ask("GET", "/", GZIP)
        assert c.response_head().get("content-encoding") == "gzip"
        raw = c.to_end()
    assert not raw.endswith(b"0\r\n\r\n")


class Unpacker:
    """Takes chunks off a client as they come, and shows what can be decoded of them."""

    def __init__(self, client):
        self.client = client
        self.decoder = zlib.decompressobj(31)
        self.plain = b""
        self.chunks = 0

    def until(self, length):
        while len(self.plain) < length:
            chunk = self.client.chunk()
            assert chunk, "the stream ended"
            self.chunks += 1
            self.plain += self.decoder.decompress(chunk)
        return self.plain


@pytest.mark.parametrize("end", [b"\n\n", b"\r\n\r\n", b"\r\r"])
def test_events_go_on_when_they_are_complete(stage, end):
    """The provider says nothing more before the client has decoded the event that it sent."""
    go_on = threading.Semaphore(0)
    events = [b"data: %d%s" % (i, end) for i in range(20)]

    def script(wire, _):
        wire.request()
        wire.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        for e in events:
            for piece in (e[:3], e[3:]):
                wire.send(b"%x\r\n%s\r\n" % (len(piece), piece))
            assert go_on.acquire(timeout=BOUND_S)
        wire.send(b"0\r\n\r\n")

    _, node = in_front_of(stage, script, event_streams=True)
    with node.client() as c:
        c.ask("GET", "/", GZIP)
        assert c.response_head().get("content-encoding") == "gzip"
        unpacker = Unpacker(c)
        for i in range(len(events)):
            whole = b"".join(events[: i + 1])
            assert unpacker.until(len(whole)) == whole
            go_on.release()
        assert unpacker.decoder.decompress(c.chunk()) == b"" and unpacker.decoder.eof
        assert c.chunk() == b""
    assert not go_on.acquire(blocking=False)


def test_events_of_a_model(stage, mock):
    """One flush for each event, and the whole stream as it would be without."""
    node = stage.node(mock, compression={"downstream": True, "event_streams": True})
    body = json.dumps({"model": "m", "stream": True, "messages": [{"role": "user", "content": "x"}], "max_tokens": 30}).encode()
    with node.client() as c:
        r = c.post("/v1/chat/completions", body, [*GZIP, ("x-mock-tokens", "40")])
    assert r.get("content-encoding") == "gzip"
    events = gunzip(r.body).decode().split("\n\n")
    assert events[-2:] == ["data: [DONE]", ""] and len(events) > 30


def test_streams_of_lines_do_not_wait(stage):
    go_on = threading.Semaphore(0)

    def script(wire, _):
        wire.request()
        wire.send(b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n")
        for i in range(10):
            wire.send(b'9\r\n{"n": %d}\n\r\n' % i)
            assert go_on.acquire(timeout=BOUND_S)
        wire.send(b"0\r\n\r\n")

    _, node = in_front_of(stage, script)
    with node.client() as c:
        c.ask("GET", "/", GZIP)
        c.response_head()
        unpacker = Unpacker(c)
        for i in range(10):
            unpacker.until(9 * (i + 1))
            go_on.release()
    assert unpacker.plain.endswith(b'{"n": 9}\n')


def noise(n):
    """Text that shrinks little."""
    return random.Random(7).randbytes(n // 2).hex().encode()


def test_a_slow_client_holds_the_provider_back(stage):
    """Megabytes to a client that does not read: the provider gets rid of a small part, and all of it once the client does."""
    body = noise(24 << 20)
    pace = {"sent": 0}

    def script(wire, _):
        wire.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
        wire.request()
        wire.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n" % len(body))
        for at in range(0, len(body), 65536):
            wire.send(body[at : at + 65536])
            pace["sent"] = at + 65536

    upstream, node = in_front_of(stage, script)
    before = node.resident_bytes()
    with node.client(receive_buffer=8192) as c:
        c.ask("GET", "/", GZIP)
        assert c.response_head().get("content-encoding") == "gzip"

        def stands_still():
            sent = pace["sent"]
            time.sleep(0.2)
            return sent > 0 and pace["sent"] == sent

        wait_for(stands_still, "the provider to be held back")
        assert pace["sent"] < len(body) / 2
        assert node.resident_bytes() - before < 8 << 20
        decoder = zlib.decompressobj(31)
        got = []
        c.body([("transfer-encoding", "chunked")], False, lambda data: got.append(decoder.decompress(data)))
        assert decoder.eof and b"".join(got) == body


def test_the_end_waits_for_a_slow_client(stage):
    """Of every length: whether the client's buffers are full when the provider ends, in the middle, or never."""
    sizes = range(16384, 163840, 4096)
    body = noise(163840)
    text = [("Content-Type", "text/plain")]
    upstream, node = in_front_of(stage, site_of_sizes(body, text), http_client={"pool_limits": {"max_connections": 100}})
    clients = []
    try:
        for n in sizes:
            clients.append(node.client(receive_buffer=2048))
            clients[-1].ask("GET", f"/{n}", GZIP)
        upstream.wait(lambda u: len(u.requests) == len(sizes), "all requests")
        wait_for(lambda: node.metric("weir_upstream_exchanges_total") > 2, "the shorter answers to end")
        for n, c in zip(sizes, clients):
            assert gunzip(c.response().body) == body[:n]
            assert gunzip(c.get("/16384", GZIP).body) == body[:16384]
    finally:
        for c in clients:
            c.close()


def site_of_sizes(body, fields):
    def script(wire, _):
        while True:
            wire.send(answer(body[: int(wire.request().target[1:])], fields))

    return script


def test_a_client_that_leaves_in_the_middle(stage):
    _, node = in_front_of(stage, answer(noise(8 << 20), fields=[("Content-Type", "text/plain")]))
    with node.client(receive_buffer=4096) as c:
        c.ask("GET", "/", GZIP)
        assert c.response_head().get("content-encoding") == "gzip"
        c.reset()
    wait_for(lambda: node.metric("weir_client_aborts_total", phase="stream") == 1, "the abort to be counted")
    wait_for(lambda: node.metric("weir_requests_active") == 1, "all requests to end but the one that asks")


@pytest.mark.skipif(not shutil.which("curl"), reason="no curl")
def test_curl(stage):
    _, node = in_front_of(stage, answer())
    done = subprocess.run(
        ["curl", "-s", "--compressed", "-D", "-", f"http://127.0.0.1:{node.port}/x"], capture_output=True, timeout=BOUND_S
    )
    head, _, body = done.stdout.partition(b"\r\n\r\n")
    assert body == DOCUMENT and b"content-encoding: " in head.lower()


@pytest.mark.skipif(not shutil.which("zstd"), reason="no zstd")
def test_zstd(stage):
    _, node = in_front_of(stage, answer())
    with node.client() as c:
        r = c.get("/", [("Accept-Encoding", "gzip;q=0.5, zstd")])
    if r.get("content-encoding") == "gzip":
        pytest.skip("built without zstd")
    assert r.get("content-encoding") == "zstd"
    plain = subprocess.run(["zstd", "-dcq"], input=r.body, capture_output=True, timeout=BOUND_S)
    assert plain.returncode == 0 and plain.stdout == DOCUMENT
