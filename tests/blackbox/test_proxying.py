"""What goes in comes out: methods, bodies, interim answers, trailers, versions, the forms of a target, pipelining."""

import threading
import zlib

import pytest
from http1 import BOUND_S, answering

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@pytest.fixture(scope="module")
def shared(module_stage):
    mock = module_stage.mock()
    return mock, module_stage.node(mock)


@pytest.fixture
def mock(shared):
    return shared[0]


@pytest.fixture
def node(shared):
    return shared[1]


@pytest.fixture
def client(node):
    with node.client() as c:
        yield c


def scripted(stage, *answers, **top):
    upstream = stage.upstream(answering(*answers))
    return upstream, stage.node(upstream, **top)


METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "REPORT"]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("body", [None, b"", b"hello"], ids=["none", "empty", "some"])
def test_methods_and_bodies(client, method, body):
    seen = client.request(method, "/echo/x?a=b", body=body).json()
    assert seen["method"] == method and seen["target"] == "/echo/x?a=b"
    assert seen["body_bytes"] == len(body or b"")
    assert seen["body_adler32"] == zlib.adler32(body or b"")


def chunked(*pieces, trailers=b""):
    return b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in pieces) + b"0\r\n" + trailers + b"\r\n"


@pytest.mark.parametrize("size", [0, 1, 1000, 16384, 65536, 300000])
def test_body_by_length_and_by_chunks(client, size):
    data = bytes(i % 251 for i in range(size))
    want = {"bytes": size, "adler32": zlib.adler32(data)}
    assert client.post("/upload", data).json() == want
    pieces = [data[i : i + 7001] for i in range(0, size, 7001)]
    assert client.post("/upload", chunked(*pieces), [("Transfer-Encoding", "chunked")]).json() == want
    assert client.get(f"/download?bytes={size}").body == data
    assert client.get(f"/download?bytes={size}&chunked=1").body == data


def test_body_framing_is_kept(client):
    r = client.get("/download?bytes=10")
    assert r.get("content-length") == "10" and r.get("transfer-encoding") is None
    r = client.get("/download?bytes=10&chunked=1")
    assert r.get("content-length") is None and r.get("transfer-encoding") == "chunked"


def test_body_goes_both_ways_at_once(client):
    client.send("POST /echo/body HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
    assert client.response_head().status == 200
    for i in range(50):
        piece = b"%d" % i
        client.send(b"%x\r\n%s\r\n" % (len(piece), piece))
        assert client.chunk() == piece
    client.send("0\r\nx-after: all\r\n\r\n")
    assert client.chunk() == b"" and ("x-after", "all") in client.trailer_fields()


def test_trailers_both_ways(client):
    body = chunked(b"abc", trailers=b"X-Sum: 1\r\nx-other: 2\r\n")
    seen = client.post("/echo", body, [("Transfer-Encoding", "chunked"), ("x-mock-trailers", "1")])
    assert seen.json()["trailers"] == [["x-sum", "1"], ["x-other", "2"]]
    assert seen.trailer("x-mock-done") == "yes"


def test_head(client):
    r = client.request("HEAD", "/bench?bytes=1234")
    assert r.status == 200 and r.get("content-length") == "1234"
    assert client.get("/bench?bytes=3").body == b"\0\1\2"


@pytest.mark.parametrize("status", [200, 201, 204, 205, 304, 400, 404, 418, 429, 500, 503, 599])
def test_statuses_pass(client, status):
    r = client.get("/echo", [("x-mock-status", str(status))])
    assert r.status == status
    assert r.get("x-weir-error") is None
    if status in (204, 304):
        assert r.get("transfer-encoding") is None
    assert client.get("/echo").status == 200


def test_304_with_length(stage):
    _, node = scripted(stage, b"HTTP/1.1 304 Not Modified\r\nContent-Length: 1000\r\nETag: x\r\n\r\n", OK)
    with node.client() as c:
        r = c.get("/")
        assert r.status == 304 and r.get("etag") == "x"
        assert c.get("/").body == b"ok"


def test_reason_phrase_is_optional(stage):
    _, node = scripted(stage, b"HTTP/1.1 200 \r\nContent-Length: 2\r\n\r\nok")
    with node.client() as c:
        assert c.get("/").body == b"ok"


def test_interim_answers(client):
    r = client.get("/echo", [("x-mock-interim", "103, 102")])
    assert [i.status for i in r.interim] == [103, 102]
    assert r.interim[0].get("link") and r.status == 200


def test_interim_answers_are_not_for_old_clients(node):
    with node.client() as c:
        c.send("GET /echo HTTP/1.0\r\nHost: x\r\nx-mock-interim: 103\r\n\r\n")
        assert c.response_head().status == 200


def test_expect_continue(client):
    client.ask("POST", "/upload", [("Expect", "100-continue"), ("Content-Length", "5")])
    assert client.response_head().status == 100
    client.send("hello")
    assert client.response().json()["bytes"] == 5


def test_expect_continue_and_an_answer_before_the_body(stage):
    def script(wire, _):
        wire.request_head()
        wire.send(b"HTTP/1.1 417 Expectation Failed\r\nContent-Length: 0\r\n\r\n")
        wire.to_end()

    upstream = stage.upstream(script)
    node = stage.node(upstream)
    for _ in range(2):
        with node.client() as c:
            c.ask("POST", "/", [("Expect", "100-continue"), ("Content-Length", "5")])
            assert c.response().status == 417
    assert upstream.connections == 2, "a connection with half a request on it is not used again"


def test_expectation_unknown(node):
    with node.client() as c:
        r = c.post("/upload", b"x", [("Expect", "something-else")])
        assert r.status in (200, 417)


def test_early_answer_while_the_body_is_on_its_way(client, node):
    client.ask("POST", "/upload", [("Content-Length", "1000000"), ("x-mock-early", "1"), ("x-mock-status", "413")])
    assert client.response().status == 413
    with node.client() as c:
        assert c.get("/echo").status == 200


def test_old_client(node):
    with node.client() as c:
        c.send("GET /echo HTTP/1.0\r\nHost: old.example\r\n\r\n")
        r = c.response()
        assert r.status == 200 and r.json()["authority"] and c.at_end()
    with node.client() as c:
        c.send("GET /echo HTTP/1.0\r\n\r\n")
        assert c.response().status == 200 and c.at_end()


def test_old_client_that_keeps_alive(node):
    with node.client() as c:
        for _ in range(2):
            c.send("GET /echo HTTP/1.0\r\nHost: x\r\nConnection: keep-alive\r\n\r\n")
            r = c.response()
            assert r.status == 200
            if (r.get("connection") or "").lower() != "keep-alive":
                assert c.at_end()
                break


def test_old_client_gets_no_chunks(node):
    with node.client() as c:
        c.send("GET /download?bytes=100000&chunked=1 HTTP/1.0\r\nHost: x\r\n\r\n")
        r = c.response()
        assert r.get("transfer-encoding") is None
        assert r.body == bytes(i % 251 for i in range(100000))
        assert c.at_end()


def test_old_upstream(stage):
    upstream, node = scripted(stage, b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok")
    with node.client() as c:
        assert c.get("/").body == b"ok" and c.get("/").body == b"ok"
    assert upstream.connections == 2
    assert {r.version for r in upstream.requests} == {"HTTP/1.1"}


def test_old_upstream_that_keeps_alive(stage):
    upstream, node = scripted(stage, b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok")
    with node.client() as c:
        assert c.get("/").body == b"ok" and c.get("/").body == b"ok"
    assert upstream.connections in (1, 2)


def test_answer_that_ends_with_its_connection(stage):
    body = bytes(range(256)) * 400
    upstream = stage.upstream(answering(b"HTTP/1.1 200 OK\r\nContent-Type: x/y\r\n\r\n" + body, then_close=True))
    node = stage.node(upstream)
    with node.client() as c:
        for _ in range(2):
            r = c.get("/")
            assert r.body == body and r.get("transfer-encoding") == "chunked"
    with node.client() as c:
        c.send("GET / HTTP/1.0\r\nHost: x\r\n\r\n")
        assert c.response().body == body
    assert upstream.connections == 3


def test_connection_close_is_obeyed(client, mock):
    r = client.get("/echo", [("Connection", "close")])
    assert r.status == 200 and r.get("connection") == "close" and client.at_end()


def test_upstream_close_is_not_the_clients(client):
    first = client.get("/echo", [("x-mock-close", "1")])
    assert first.get("connection") is None
    second = client.get("/echo")
    assert second.status == 200 and second.json()["connection"] != first.json()["connection"]


def test_absolute_form(client):
    seen = client.get("http://other.example:81/echo/x?y=z", host="test.example").json()
    assert seen["target"] == "/echo/x?y=z"
    assert client.get("http://other.example", host="test.example").status == 404  # the mock has nothing at /


def test_options_star(stage):
    upstream, node = scripted(stage, OK)
    with node.client() as c:
        assert c.request("OPTIONS", "*").status in (200, 204)
        assert c.request("OPTIONS", "/x").status == 200
    assert [r.target for r in upstream.requests] in (["*", "/x"], ["/x"])


def test_target_is_passed_as_it_is(stage):
    upstream, node = scripted(stage, OK)
    targets = ["/a%2Fb/%7e?q=%20&r=a+b", "/..;/x", "//two//slashes", "/?", "/a/../b", "/" + "x" * 4000]
    with node.client() as c:
        for target in targets:
            assert c.get(target).status == 200
    assert [r.target for r in upstream.requests] == targets


def test_pipelined_requests_are_answered_in_order(node):
    with node.client() as c:
        c.send(b"".join(b"GET /echo/%d HTTP/1.1\r\nHost: x\r\n\r\n" % i for i in range(30)))
        assert [c.response().json()["target"] for _ in range(30)] == [f"/echo/{i}" for i in range(30)]


def test_pipelined_behind_a_body(node):
    with node.client() as c:
        c.send(b"POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabcPOST /upload HTTP/1.1\r\nHost: x\r\n")
        c.send(b"Transfer-Encoding: chunked\r\n\r\n2\r\nde\r\n0\r\n\r\nGET /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert [c.response().json().get("bytes") for _ in range(3)] == [3, 2, None]
        assert c.at_end()


def test_second_pipelined_request_waits_for_the_first(stage):
    go = threading.Event()

    def script(wire, _):
        while True:
            if wire.request().target == "/slow":
                assert go.wait(BOUND_S)
                wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nslow")
            else:
                wire.send(OK)

    upstream = stage.upstream(script)
    node = stage.node(upstream)
    with node.client() as c:
        c.ask("GET", "/slow")
        c.ask("GET", "/fast")
        upstream.wait(lambda u: u.requests, "the first")
        go.set()
        assert [c.response().body for _ in range(2)] == [b"slow", b"ok"]


def test_many_clients_at_once(node):
    failures = []

    def run(k):
        try:
            with node.client() as c:
                for i in range(20):
                    assert c.get(f"/echo/{k}/{i}").json()["target"] == f"/echo/{k}/{i}"
        except Exception as e:  # noqa: BLE001
            failures.append(e)

    threads = [threading.Thread(target=run, args=(k,)) for k in range(16)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not failures


def test_head_in_single_bytes(node):
    with node.client() as c:
        for byte in b"POST /upload HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nT: x\r\n\r\n":
            c.send(bytes([byte]))
        assert c.response().json()["bytes"] == 3


def test_answer_in_single_bytes(stage):
    def script(wire, _):
        while True:
            wire.request()
            for byte in b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nT: x\r\n\r\n":
                wire.send(bytes([byte]))

    node = stage.node(stage.upstream(script))
    with node.client() as c:
        for _ in range(2):
            r = c.get("/")
            assert r.body == b"abc" and r.trailer("t") == "x"
