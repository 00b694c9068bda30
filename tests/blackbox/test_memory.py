"""A gigabyte either way, and a client that takes its time: the node holds none of it."""

import itertools
import zlib

import pytest
from harness import sanitized

GIB = 1 << 30
BOUND = 40 << 20
PATTERN = bytes(range(251)) * 4096


def pieces(total):
    for at in range(0, total, len(PATTERN)):
        yield PATTERN[: min(len(PATTERN), total - at)]


@pytest.fixture
def node(stage, mock):
    if sanitized():
        pytest.skip("a sanitizer's memory is not the node's")
    clocks = {"timeout": {"total": 800, "read": 60, "write": 60}}
    return stage.node(mock, server={"body_bytes_max": 0}, http_client=clocks)


def assert_small(node):
    peak = node.resident_peak_bytes()
    print(f"peak {peak / (1 << 20):.1f} MiB")
    assert peak < BOUND


@pytest.mark.slow
@pytest.mark.parametrize("framing", ["length", "chunks"])
def test_upload(node, framing):
    node.reset_resident_peak()
    sum_ = 1
    with node.client() as c:
        if framing == "length":
            c.ask("POST", "/upload", [("Content-Length", str(GIB))])
        else:
            c.ask("POST", "/upload", [("Transfer-Encoding", "chunked")])
        for piece in pieces(GIB):
            sum_ = zlib.adler32(piece, sum_)
            c.send(piece if framing == "length" else b"%x\r\n%s\r\n" % (len(piece), piece))
        if framing == "chunks":
            c.send(b"0\r\n\r\n")
        assert c.response().json() == {"bytes": GIB, "adler32": sum_}
    assert_small(node)


@pytest.mark.slow
@pytest.mark.parametrize("framing", ["length", "chunks"])
def test_download(node, framing):
    node.reset_resident_peak()
    sum_, count = 1, 0

    def take(data):
        nonlocal sum_, count
        sum_ = zlib.adler32(data, sum_)
        count += len(data)

    with node.client() as c:
        c.ask("GET", f"/download?bytes={GIB}&chunked={int(framing == 'chunks')}")
        assert c.response(sink=take).status == 200
    want = 1
    for piece in pieces(GIB):
        want = zlib.adler32(piece, want)
    assert (count, sum_) == (GIB, want)
    assert_small(node)


@pytest.mark.slow
def test_clients_that_take_their_time(mock, node):
    """Many that read a little now and then of a body that never ends."""
    node.reset_resident_peak()
    clients = [node.client(receive_buffer=8192) for _ in range(100)]
    for c in clients:
        c.ask("GET", "/download?bytes=1000000000000")
    for _, c in zip(range(2000), itertools.cycle(clients)):
        c.buffer = b""
        c.fill()
    assert_small(node)
    for c in clients:
        c.close()
    mock.wait_stats(lambda s: s["requests"]["open"] == 0, "the provider to see them go")


def test_idle_clients_and_streams_are_cheap(mock, node):
    """Not the bench's exact figures, only their order of magnitude: a buffer for each would show."""
    node.get("/echo")
    before = node.resident_bytes()
    clients = [node.client() for _ in range(500)]
    for c in clients:
        assert c.get("/echo").status == 200
    idle = (node.resident_bytes() - before) / len(clients)
    print(f"{idle:.0f} bytes an idle client")
    assert idle < 16384
    for c in clients:
        c.close()
