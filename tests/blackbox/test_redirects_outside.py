"""follow_redirects: true: where weir goes outside the provider, and what stays behind."""

import contextlib
import threading

import pytest
from harness import free_port
from test_dns import NameServer
from test_redirects import SECRETS, asked, found, moved, site

RETRY = {"enabled": True, "backoff_factor": 0.001, "attempts": 2}


def anywhere(stage, *upstreams, workers=2, **options):
    few = {"max_connections": 1, "max_keepalive_connections": 1}  # one that is not given back is missed
    client = {"follow_redirects": True, "pool_limits": few, **options.pop("client", {})}
    return stage.node(
        {"mock": {"endpoints": [{"url": u.url} for u in upstreams], **options.pop("provider", {})}},
        http_client=client,
        server={"workers": workers},
        **options,
    )


def ok_at_provider(node):
    """Nothing of what happened elsewhere is held against the provider, and nothing is left open."""
    assert node.metric("weir_circuit_refusals_total") == 0
    with node.client() as c:
        assert c.get("/still/here").text == "/still/here"


def test_anywhere(stage):
    other = stage.upstream(site({"/b": lambda r: found(r.body)}))
    first = stage.upstream(site({"/a": lambda r: moved(f"{other.url}/b?x=1", 307), "/see": lambda r: moved(f"{other.url}/b", 303)}))
    node = anywhere(stage, first)
    with node.client() as c:
        for n in range(5):
            r = c.post("/a", b"the body %d" % n, [("Content-Type", "text/x")])
            assert r.status == 200 and r.body == b"the body %d" % n
        assert c.post("/see", b"x", [("Content-Type", "text/x")]).status == 200
        assert c.get("/c").text == "/c"
    assert asked(other) == ["POST /b?x=1"] * 5 + ["GET /b"]
    assert {r.get("host") for r in other.requests} == {f"127.0.0.1:{other.port}"}
    assert [r.get("content-type") for r in other.requests] == ["text/x"] * 5 + [None]
    assert other.connections == 6, "one exchange for each connection"
    assert node.metric("weir_redirects_total", result="foreign") == 6
    assert node.metric("weir_redirects_total", result="followed") == 0
    assert node.metric("weir_upstream_tries_total") == 7, "the provider's endpoints count what they were asked"
    ok_at_provider(node)


def test_no_secret_goes_outside(stage):
    """Keys, cookies and addresses stay with the provider; what comes from elsewhere sets no cookie for it."""
    planted = b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\nX-Seen: yes\r\nContent-Length: 0\r\n\r\n"
    other = stage.upstream(site({"/b": planted}))
    first = stage.upstream(site({"/a": lambda r: moved(f"{other.url}/b")}))
    provider = {"api_key": "configured", "headers": {"X-Team": "secret"}, "forwarded_headers": "on"}
    node = anywhere(stage, first, provider=provider)
    sent = [
        *SECRETS,
        ("Api-Key", "k"),
        ("Proxy-Authorization", "k"),
        ("X-Forwarded-For", "192.0.2.1"),
        ("X-Open", "1"),
        ("X-Request-Id", "abc"),
    ]
    with node.client() as c:
        r = c.get("/a", sent)
        assert r.status == 200 and r.get("x-seen") == "yes" and r.get("set-cookie") is None
        chunked = [*sent, ("Transfer-Encoding", "chunked"), ("Trailer", "X-Last")]
        c.ask("POST", "/a", chunked)
        c.send(b"3\r\nabc\r\n0\r\nX-Last: secret\r\n\r\n")
        assert c.response("POST").status == 200
    at_provider, outside = first.requests, other.requests
    assert len(at_provider) == len(outside) == 2
    hidden = ["authorization", "x-api-key", "cookie", "api-key", "x-team", "via", "x-forwarded-for", "x-forwarded-proto"]
    for name in [*hidden, "proxy-authorization"]:
        assert outside[0].get(name) is None and outside[1].get(name) is None, name
    for name in hidden:
        if name not in ("x-api-key", "api-key"):
            assert at_provider[0].get(name) is not None, name
    assert at_provider[0].get("authorization") == "Bearer configured"
    assert outside[0].get("x-open") == "1" and outside[0].get("x-request-id") == "abc"
    assert outside[1].body == b"abc" and outside[1].trailers == []


def test_the_prefix_is_the_providers(stage):
    other = stage.upstream(site({}))
    first = stage.upstream(site({"/base/a": lambda r: moved(f"{other.url}/b")}))
    node = anywhere(stage, first, provider={"endpoints": [{"url": f"{first.url}/base"}]})
    with node.client() as c:
        assert c.get("/a").text == "/b"


def test_out_and_back(stage):
    """Back at one of the provider's endpoints a request that somebody else has shaped has no credentials any more;
    relative to elsewhere it stays there."""
    pages = {}
    other, first = stage.upstream(site(pages)), stage.upstream(site({"/a": lambda r: moved(f"{other.url}/b")}))
    pages.update({"/b": moved("/c"), "/c": lambda r: moved(f"{first.url}/d")})
    node = anywhere(stage, first, provider={"api_key": "configured"})
    with node.client() as c:
        for _ in range(3):
            assert c.post("/a", b"x", [("Cookie", "a=b")]).text == "/d"
    assert asked(first) == ["POST /a", "POST /d"] * 3 and asked(other) == ["POST /b", "POST /c"] * 3
    for r in first.requests:
        assert r.get("host") == f"127.0.0.1:{first.port}" and r.body == b"x"
    for r in first.requests[::2]:
        assert r.get("authorization") == "Bearer configured" and r.get("cookie") == "a=b"
    for r in [*other.requests, *first.requests[1::2]]:
        assert r.get("authorization") is None and r.get("cookie") is None and r.body == b"x"
    ok_at_provider(node)


def test_back_from_outside_a_retry_has_its_credentials(stage):
    """What fails behind a way outside is asked again as it came, at the provider: that request nobody else has shaped."""
    other = stage.upstream(site({"/b": lambda r: moved(f"{first.url}/d")}))
    broken = b"HTTP/1.1 503 Service Unavailable\r\nSet-Cookie: a=b\r\nContent-Length: 0\r\n\r\n"
    answers = [moved(f"{other.url}/b"), found(b"/a")]
    first = stage.upstream(site({"/a": lambda r: answers.pop(0), "/d": broken}))
    node = anywhere(stage, first, provider={"api_key": "configured"}, client={"retry": RETRY})
    with node.client() as c:
        assert c.get("/a").text == "/a"
    assert asked(first) == ["GET /a", "GET /d", "GET /a"]
    assert [r.get("authorization") for r in first.requests] == ["Bearer configured", None, "Bearer configured"]


def test_back_from_outside_trailers_and_cookies_stay_away(stage):
    other = stage.upstream(site({"/b": lambda r: moved(f"{first.url}/d")}))
    planted = b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\nContent-Length: 0\r\n\r\n"
    first = stage.upstream(site({"/a": lambda r: moved(f"{other.url}/b"), "/d": planted}))
    node = anywhere(stage, first)
    with node.client() as c:
        c.ask("POST", "/a", [("Transfer-Encoding", "chunked"), ("Trailer", "X-Last")])
        c.send(b"3\r\nabc\r\n0\r\nX-Last: secret\r\n\r\n")
        r = c.response("POST")
    assert r.status == 200 and r.get("set-cookie") is None
    assert asked(first) == ["POST /a", "POST /d"] and first.requests[1].body == b"abc"
    assert [len(r.trailers) for r in first.requests] == [1, 0]


def test_a_loop_outside_ends(stage):
    other = stage.upstream(site({}))
    first = stage.upstream(site({"/a": lambda r: moved(f"{other.url}/loop")}))
    other.script = site({"/loop": lambda r: moved("/loop")})
    node = anywhere(stage, first)
    with node.client() as c:
        r = c.get("/a")
        assert r.status == 502 and r.get("x-weir-error") == "redirect_limit"
        assert len(first.requests) == 1 and len(other.requests) == 10
        assert c.get("/c").status == 200
    ok_at_provider(node)


def closing(wire, _):
    wire.request()
    wire.close()


def silent(wire, _):
    wire.request()
    wire.hold()


FAILURES = {
    "nobody listens": (None, 502, "redirect_failed"),
    "closes": (closing, 502, "redirect_failed"),
    "silent": (silent, 504, "redirect_timeout"),
    "no HTTP": (lambda wire, _: (wire.request(), wire.send(b"no\r\n\r\n")), 502, "redirect_failed"),
}


@pytest.mark.parametrize("case", FAILURES)
def test_where_it_leads_is_dead(stage, case):
    """It is said that it was not the provider, whose endpoint is not passed over for it."""
    script, status, code = FAILURES[case]
    url = f"http://127.0.0.1:{free_port()}" if script is None else stage.upstream(script).url
    first = stage.upstream(site({"/a": moved(f"{url}/b")}))
    guard = {"enabled": True, "failure_threshold": 1}
    health = {"enabled": True, "check_interval": 3600}
    # The clock is the provider's, too: only where it is to run out is it a short one, which a busy machine still meets.
    clock, times = (2, 2) if code == "redirect_timeout" else (60, 4)
    node = anywhere(stage, first, client={"circuit_breaker": guard, "health": health, "timeout": {"read": clock}})
    with node.client() as c:
        for _ in range(times):
            r = c.get("/a")
            assert (r.status, r.get("x-weir-error")) == (status, code)
        assert c.get("/c").status == 200
    assert asked(first) == ["GET /a"] * times + ["GET /c"]
    assert node.metric("weir_redirects_failed_total") == times
    assert node.metric("weir_upstream_tries_failed_total") == 0
    ok_at_provider(node)


def test_names_outside(stage):
    """A name is asked for when it is needed; one that nobody knows fails, and says so."""
    with contextlib.closing(NameServer()) as names:
        names.names["else.weir.test"] = ["127.0.0.1"]
        other = stage.upstream(site({}))
        first = stage.upstream(
            site(
                {
                    "/a": moved(f"http://else.weir.test:{other.port}/b"),
                    "/gone": moved("http://gone.weir.test/b"),
                }
            )
        )
        node = anywhere(stage, first, dns={"servers": [names.address]})
        with node.client() as c:
            for _ in range(3):
                before = names.asked["else.weir.test"]
                assert c.get("/a").text == "/b"
                assert names.asked["else.weir.test"] > before  # once, unless the answer is late
            assert other.requests[0].get("host") == f"else.weir.test:{other.port}"
            r = c.get("/gone")
            assert (r.status, r.get("x-weir-error")) == (502, "redirect_failed")
        ok_at_provider(node)


def test_a_failure_outside_is_retried_from_the_start(stage):
    """At the provider, which may lead elsewhere then; with all that it is to be sent."""
    other = stage.upstream(site({}))
    dead = f"http://127.0.0.1:{free_port()}"
    ways = iter([moved(f"{dead}/b"), moved(f"{other.url}/b")])
    first = stage.upstream(site({"/a": lambda r: next(ways)}))
    node = anywhere(stage, first, client={"retry": RETRY})
    with node.client() as c:
        assert c.get("/a", SECRETS).text == "/b"
    assert [r.get("cookie") for r in first.requests] == ["a=b", "a=b"]
    assert asked(other) == ["GET /b"] and node.metric("weir_retries_total", after="connect") == 1


def test_what_became_another_request_is_not_retried(stage):
    """303: the POST has been carried out, so that it is not begun again."""
    dead = f"http://127.0.0.1:{free_port()}"
    first = stage.upstream(site({"/a": moved(f"{dead}/b", 303)}))
    node = anywhere(stage, first, client={"retry": RETRY})
    with node.client() as c:
        r = c.post("/a", b"x")
    assert (r.status, r.get("x-weir-error")) == (502, "redirect_failed")
    assert asked(first) == ["POST /a"] and node.metric("weir_retries_total") == 0


@pytest.mark.parametrize("step", ["answer", "body"])
def test_a_client_that_leaves_while_outside(stage, step):
    def script(wire, upstream):
        wire.request()
        if step == "body":
            wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc")
        upstream.record(wire.at_end())

    other = stage.upstream(script)
    first = stage.upstream(site({"/a": lambda r: moved(f"{other.url}/b")}))
    node = anywhere(stage, first)
    with node.client() as c:
        c.ask("GET", "/a")
        if step == "body":
            c.response_head()
        other.wait(lambda u: len(u.requests) >= 1, "the request")
    other.wait(lambda u: True in u.requests, "the end of the connection")
    ok_at_provider(node)


def test_outside_counts_in_the_limit(stage):
    """One connection in all: the way out waits for the provider's to end, and others wait for that."""
    lock, open_now, most = threading.Lock(), [], []

    def script(wire, upstream):
        with lock:
            open_now.append(wire)
            most.append(len(open_now))
        wire.request()
        upstream.ending.wait(0.05)
        with lock:
            open_now.remove(wire)
        wire.send(found(b"there"))

    other = stage.upstream(script)
    first = stage.upstream(site({"/a": lambda r: moved(f"{other.url}/b")}))
    node = anywhere(stage, first)
    with contextlib.ExitStack() as all_of_them:
        clients = [all_of_them.enter_context(node.client()) for _ in range(12)]
        for n, c in enumerate(clients):
            c.ask("GET", "/a" if n % 2 else "/c")
        assert [c.response().text for c in clients] == ["/c", "there"] * 6
    assert most == [1] * 6
    ok_at_provider(node)


def test_a_reload_meanwhile(stage):
    """The provider goes while one of its requests is elsewhere: that one ends well."""

    def script(wire, upstream):
        wire.request()
        upstream.ending.wait(1)
        wire.send(found(b"there"))

    other = stage.upstream(script)
    first = stage.upstream(site({"/a": lambda r: moved(f"{other.url}/b")}))
    node = anywhere(stage, first)
    with node.client() as c:
        c.ask("GET", "/a")
        other.wait(lambda u: len(u.requests) == 1, "the request")
        node.reload(stage.config(node.port, {"another": first.url}, http_client={"follow_redirects": True}))
        assert c.response().text == "there"
    with node.client() as c:
        assert c.get("/c").status == 200
