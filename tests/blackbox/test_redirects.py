"""follow_redirects: what weir follows itself, as what, and what it hands on."""

import pytest
from harness import wait_for

SECRETS = [("Authorization", "Bearer k"), ("X-Api-Key", "k"), ("Cookie", "a=b")]


def moved(location, status=307, body=b"", more=()):
    lines = [f"HTTP/1.1 {status} Moved", f"Location: {location}", f"Content-Length: {len(body)}", *more]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def found(text):
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(text), text)


def site(pages):
    """A script: each target's answer, bytes or a function of the request; what is not listed echoes the target."""

    def script(wire, _):
        while True:
            request = wire.request()
            answer = pages.get(request.target.split("?")[0], found(request.target.encode()))
            wire.send(answer(request) if callable(answer) else answer)

    return script


def node_for(stage, *upstreams, policy=None, provider=None, **client):
    if policy is not None:
        client["follow_redirects"] = policy
    endpoints = [{"url": u.url} for u in upstreams]
    return stage.node({"mock": {"endpoints": endpoints, **(provider or {})}}, http_client=client)


def asked(upstream):
    return [f"{r.method} {r.target}" for r in upstream.requests]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_within_the_endpoint(stage, status):
    upstream = stage.upstream(site({"/a": moved("/b?x=1", status)}))
    node = node_for(stage, upstream, pool_limits={"max_connections": 1, "max_keepalive_connections": 1})
    with node.client() as c:
        r = c.get("/a", SECRETS)
        assert r.status == 200 and r.text == "/b?x=1" and r.get("location") is None
        assert c.get("/c").status == 200
    assert asked(upstream) == ["GET /a", "GET /b?x=1", "GET /c"]
    for name, value in SECRETS:
        assert upstream.requests[1].get(name) == value
    assert upstream.connections == 1, "one is all there may be, and it is used again"
    assert node.metric("weir_redirects_total", result="followed") == 1
    assert node.metric("weir_retries_total") == 0


@pytest.mark.parametrize(
    "location, target",
    [
        ("http://HOST/b", "/b"),
        ("//HOST/b#f", "/b"),
        ("b", "/v1/b"),
        ("../b", "/b"),
        ("?q", "/v1/a?q"),
        ("/caf\xc3\xa9", "/caf%C3%A9"),
    ],
)
def test_where_a_location_leads(stage, location, target):
    pages = {}
    upstream = stage.upstream(site(pages))
    host = f"127.0.0.1:{upstream.port}"
    answer = moved("LOCATION").replace(b"LOCATION", location.replace("HOST", host).encode("latin-1"))
    pages["/v1/a"] = lambda r: answer if r.target == "/v1/a" else found(r.target.encode())
    with node_for(stage, upstream).client() as c:
        assert c.get("/v1/a").text == target


METHODS = {
    301: {"GET": "GET", "HEAD": "HEAD", "POST": "GET", "PUT": "PUT", "DELETE": "DELETE"},
    302: {"GET": "GET", "HEAD": "HEAD", "POST": "GET", "PUT": "PUT", "DELETE": "DELETE"},
    303: {"GET": "GET", "HEAD": "HEAD", "POST": "GET", "PUT": "GET", "DELETE": "GET"},
    307: {"GET": "GET", "HEAD": "HEAD", "POST": "POST", "PUT": "PUT", "DELETE": "DELETE"},
    308: {"GET": "GET", "HEAD": "HEAD", "POST": "POST", "PUT": "PUT", "DELETE": "DELETE"},
}


@pytest.mark.parametrize("status", METHODS)
def test_methods_and_bodies(stage, status):
    upstream = stage.upstream(site({"/a": moved("/b", status), "/b": lambda r: found(b"" if r.method == "HEAD" else r.body)}))
    with node_for(stage, upstream).client() as c:
        for method, then in METHODS[status].items():
            body = None if method in ("GET", "HEAD") else b"the body of " + method.encode()
            r = c.request(method, "/a", [("Content-Type", "text/x")] if body else [], body)
            assert r.status == 200
            kept = body is not None and then == method
            assert r.body == (body if kept else b"")
            seen = upstream.requests[-1]
            assert (seen.method, seen.target) == (then, "/b")
            assert seen.get("content-type") == ("text/x" if kept else None)
            assert seen.get("content-length") == (str(len(body)) if kept else None)
            assert seen.get("transfer-encoding") is None


def test_a_chunked_body_is_sent_again(stage):
    upstream = stage.upstream(site({"/a": moved("/b"), "/b": lambda r: found(r.body)}))
    with node_for(stage, upstream).client() as c:
        c.ask("POST", "/a", [("Transfer-Encoding", "chunked")])
        c.send(b"3\r\nabc\r\n0\r\n\r\n")
        assert c.response("POST").body == b"abc"
        c.ask("POST", "/a", [("Transfer-Encoding", "chunked")])
        c.send(b"3\r\nabc\r\n0\r\n\r\n")
        assert c.response("POST").body == b"abc"


def test_a_body_that_is_not_kept(stage):
    """Then the answer passes, and the client may follow it; but 303 asks for something without a body."""
    upstream = stage.upstream(site({"/a": moved("/b"), "/c": moved("/b", 303), "/b": lambda r: found(r.body)}))
    node = node_for(stage, upstream, retry={"enabled": False, "replay_buffer": "1KB"})
    with node.client() as c:
        r = c.post("/a", b"x" * 5000)
        assert r.status == 307 and r.get("location") == "/b"
        assert c.post("/a", b"x" * 500).status == 200
        assert c.post("/c", b"x" * 5000).status == 200
    assert asked(upstream) == ["POST /a", "POST /a", "POST /b", "POST /c", "GET /b"]
    assert node.metric("weir_redirects_total", result="body") == 1


def test_an_answer_before_the_body_has_ended(stage):
    """307 while the client still sends: both parts of the body go to where it leads."""

    def script(wire, _):
        wire.upstream.record(wire.request_head())
        wire.send(moved("/b"))
        try:
            wire.to_end()
        finally:
            wire.close()

    def second(wire, upstream):
        if upstream.connections == 1:
            return script(wire, upstream)
        request = wire.request()
        wire.send(found(request.body))
        return None

    upstream = stage.upstream(second)
    with node_for(stage, upstream).client() as c:
        c.ask("POST", "/a", [("Content-Length", "6")])
        c.send(b"abc")
        upstream.wait(lambda u: u.connections == 2, "the redirect to be followed")
        c.send(b"def")
        assert c.response("POST").body == b"abcdef"


def test_chains_and_their_limit(stage):
    """Ten in a row are followed; the eleventh, of a loop most often, is an error, as for the clients that people use."""

    def step(request):
        n = int(request.target.split("?")[1])
        return found(b"end") if n == 0 else moved(f"?{n - 1}", 302)

    upstream = stage.upstream(site({"/a": step, "/loop": moved("/loop")}))
    node = node_for(stage, upstream)
    with node.client() as c:
        assert c.get("/a?10").text == "end"
        assert len(upstream.requests) == 11
        for target in ("/a?11", "/loop"):
            before = len(upstream.requests)
            r = c.get(target)
            assert r.status == 502 and r.get("x-weir-error") == "redirect_limit"
            assert len(upstream.requests) - before == 11
        assert c.get("/a?0").text == "end"
    assert node.metric("weir_redirects_total", result="limit") == 2


def test_off(stage):
    upstream = stage.upstream(site({"/a": moved("/b", 302, b"moved")}))
    node = node_for(stage, upstream, policy=False)
    with node.client() as c:
        r = c.get("/a")
    assert r.status == 302 and r.get("location") == "/b" and r.body == b"moved"
    assert len(upstream.requests) == 1


def test_to_another_endpoint_of_the_provider(stage):
    second = stage.upstream(site({}))
    first = stage.upstream(site({"/a": moved(f"{second.url}/b")}))
    node = node_for(stage, first, second, provider={"api_key": "secret"})
    with node.client() as c:
        for _ in range(4):
            c.get("/a")
    led = [r for r in second.requests if r.target == "/b"]
    assert len(led) == len([r for r in first.requests if r.target == "/a"]) == 2
    for r in led:
        assert r.get("host") == f"127.0.0.1:{second.port}" and r.get("authorization") == "Bearer secret"


OUTSIDE = {
    "another port": "http://127.0.0.1:1/x",
    "another host": "http://169.254.169.254/latest/meta-data",
    "https": "https://127.0.0.1/x",
    "no http": "ftp://127.0.0.1/x",
    "user information": "http://u:p@127.0.0.1/x",
    "a backslash": "/\\127.0.0.1/x",
    "a space": "/a b",
    "empty": "",
}


@pytest.mark.parametrize("case", OUTSIDE)
def test_what_passes(stage, case):
    """Where same_origin does not lead, or nobody knows for sure where it leads: the client sees it as it came."""
    upstream = stage.upstream(site({"/a": moved(OUTSIDE[case], 302, b"text")}))
    node = node_for(stage, upstream)
    with node.client() as c:
        r = c.get("/a")
        assert r.status == 302 and r.get("location") == OUTSIDE[case] and r.body == b"text"
        assert c.get("/b").text == "/b"
    assert asked(upstream) == ["GET /a", "GET /b"]
    kind = {"another port": "origin", "another host": "origin", "https": "origin"}.get(case, "location")
    assert node.metric("weir_redirects_total", result=kind) == 1


def test_two_locations_pass(stage):
    upstream = stage.upstream(site({"/a": moved("/b", more=["Location: /c"])}))
    with node_for(stage, upstream).client() as c:
        r = c.get("/a")
    assert r.status == 307 and r.all("location") == ["/b", "/c"] and len(upstream.requests) == 1


def test_a_prefix_is_not_added_twice(stage):
    """base_url's path is a part of what was asked, so that what Location says stands by itself."""
    upstream = stage.upstream(site({"/base/v1/a": moved("/base/v1/b"), "/base/v1/c": moved("d")}))
    node = stage.node({"mock": {"base_url": f"{upstream.url}/base"}})
    with node.client() as c:
        assert c.get("/v1/a").text == "/base/v1/b"
        assert c.get("/v1/c").text == "/base/v1/d"


def test_a_dead_end_is_retried_from_the_start(stage):
    """The endpoint that redirected to itself fails then: the retry begins again, at another one, and is led there too."""
    fails = site({"/a": moved("/b"), "/b": lambda r: b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n"})
    sick, well = stage.upstream(fails), stage.upstream(site({"/a": moved("/b")}))
    node = node_for(stage, sick, well, retry={"enabled": True, "backoff_factor": 0.001, "attempts": 3})
    with node.client() as c:
        for _ in range(4):
            r = c.get("/a")
            assert r.status == 200 and r.text == "/b"
    assert len(well.requests) == 8 and "GET /b" in asked(sick)


def test_what_was_done_is_not_done_again(stage):
    """303 says that the POST was carried out: a failure behind it is retried as the GET that it became."""
    answers = iter([b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n", found(b"done")])
    upstream = stage.upstream(site({"/a": moved("/b", 303), "/b": lambda r: next(answers)}))
    node = node_for(stage, upstream, retry={"enabled": True, "backoff_factor": 0.001, "attempts": 3})
    with node.client() as c:
        assert c.post("/a", b"x").text == "done"
    assert asked(upstream) == ["POST /a", "GET /b", "GET /b"]


def test_a_client_that_leaves_meanwhile(stage):
    """Gone while the redirected request is under way: the provider is told, as ever."""

    def script(wire, upstream):
        request = wire.request()
        if request.target == "/a":
            wire.send(moved("/b"))
            wire.request()
        upstream.record(wire.at_end())

    upstream = stage.upstream(script)
    node = node_for(stage, upstream)
    with node.client() as c:
        c.ask("GET", "/a")
        upstream.wait(lambda u: len(u.requests) >= 2, "the second request")
    upstream.wait(lambda u: True in u.requests, "the end of the connection")
    wait_for(lambda: node.metric("weir_client_aborts_total", phase="wait") == 1, "the abort to be counted")


def test_a_long_page_is_not_waited_for(stage):
    """A redirect with a body that never ends does not hold the request up."""

    def script(wire, _):
        request = wire.request()
        if request.target == "/a":
            wire.send(b"HTTP/1.1 302 Found\r\nLocation: /b\r\nContent-Length: 1000000000\r\n\r\n" + b"x" * 1000)
            wire.hold()
        wire.send(found(b"here"))

    upstream = stage.upstream(script)
    with node_for(stage, upstream).client() as c:
        assert c.get("/a").text == "here"
