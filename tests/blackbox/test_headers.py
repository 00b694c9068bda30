"""Fields that are taken out, put in and passed on, seen as bytes at the upstream."""

import re

import pytest
from http1 import answering

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def in_front_of(stage, answer=OK, provider=None, **top):
    upstream = stage.upstream(answering(answer))
    node = stage.node({"mock": {"base_url": upstream.url, **(provider or {})}}, **top)
    return upstream, node


def forwarded(stage, headers=(), **options):
    upstream, node = in_front_of(stage, **options)
    with node.client() as c:
        c.get("/x", headers)
    return upstream.requests[0]


HOP_BY_HOP = ["Keep-Alive", "Proxy-Connection", "Proxy-Authenticate", "Proxy-Authorization", "TE", "Upgrade"]


def test_hop_by_hop_fields_are_not_passed_up(stage):
    seen = forwarded(stage, [(n, "x") for n in HOP_BY_HOP] + [("Connection", "x-mine, X-Yours"), ("X-Mine", "1"), ("x-yours", "2")])
    for name in (*HOP_BY_HOP, "x-mine", "x-yours"):
        assert seen.get(name) is None, name
    assert seen.get("connection") in (None, "keep-alive")


def test_connection_may_not_name_what_matters(stage):
    """Taking out Host, Authorization or a length because a client says so would change whose request it is."""
    upstream, node = in_front_of(stage)
    with node.client() as c:
        r = c.get("/x", [("Connection", "close, authorization, host"), ("Authorization", "Bearer k")])
        if r.status == 200:
            assert upstream.requests[0].get("host") and upstream.requests[0].get("authorization") in (None, "Bearer k")
        else:
            assert r.status == 400


def test_hop_by_hop_fields_are_not_passed_down(stage):
    answer = (
        b"HTTP/1.1 200 OK\r\nConnection: keep-alive, X-Inner\r\nX-Inner: 1\r\nKeep-Alive: timeout=5\r\nProxy-Authenticate: x\r\n"
        b"Upgrade: h2c\r\nX-Outer: 2\r\nContent-Length: 2\r\n\r\nok"
    )
    _, node = in_front_of(stage, answer)
    with node.client() as c:
        r = c.get("/")
    for name in ("x-inner", "proxy-authenticate", "upgrade"):
        assert r.get(name) is None, name
    assert "timeout=5" not in (r.get("keep-alive") or "")
    assert r.get("x-outer") == "2"


def test_end_to_end_fields_pass_in_order(stage):
    given = [("X-B", "1"), ("X-A", "2"), ("x-b", "3"), ("Cookie", "a=b"), ("X-Empty", ""), ("X-Text", "caf\xe9 \x80")]
    seen = forwarded(stage, given)
    have = [(n.lower(), v) for n, v in seen.headers]
    want = [(n.lower(), v) for n, v in given]
    assert [h for h in have if h in want] == want


def test_answer_fields_pass_in_order(stage):
    _, node = in_front_of(stage, b"HTTP/1.1 200 OK\r\nSet-Cookie: a\r\nX-A: 1\r\nSet-Cookie: b\r\nServer: s\r\nContent-Length: 0\r\n\r\n")
    with node.client() as c:
        r = c.get("/")
    assert r.all("set-cookie") == ["a", "b"] and r.get("x-a") == "1" and r.get("server") == "s"


def test_host_is_the_providers(stage):
    upstream, node = in_front_of(stage)
    with node.client() as c:
        c.get("/x", host="test.example")
    assert upstream.requests[0].all("host") == [f"127.0.0.1:{upstream.port}"]


def test_via_and_forwarded_fields(stage):
    seen = forwarded(stage)
    assert re.fullmatch(r"1\.1 \S.*", seen.get("via"))
    assert seen.all("x-forwarded-for") == ["127.0.0.1"] and seen.all("x-forwarded-proto") == ["http"]


def test_via_is_added_to(stage):
    vias = ", ".join(forwarded(stage, [("Via", "1.0 first")]).all("via"))
    assert vias.startswith("1.0 first, 1.1 ")


def test_lists_in_several_lines_are_kept_whole(stage):
    seen = forwarded(stage, [("Via", "1.0 a"), ("X-Forwarded-For", "6.6.6.6"), ("Via", "1.0 b"), ("X-Forwarded-For", "7.7.7.7")])
    assert ", ".join(seen.all("via")).startswith("1.0 a, 1.0 b, 1.1 ")
    assert ", ".join(seen.all("x-forwarded-for")) == "6.6.6.6, 7.7.7.7, 127.0.0.1"


def test_an_empty_line_of_a_list(stage):
    seen = forwarded(stage, [("X-Forwarded-For", ""), ("X-Forwarded-For", "7.7.7.7"), ("Via", ""), ("Via", "")])
    assert ", ".join(seen.all("x-forwarded-for")).endswith("7.7.7.7, 127.0.0.1") and seen.get("via").endswith("1.1 weir")


def test_via_on_the_answer(stage):
    _, node = in_front_of(stage)
    with node.client() as c:
        assert c.get("/").get("via", "1.1 weir").startswith("1.1 ")


def test_forwarded_for_of_a_stranger(stage):
    """What a client that nobody trusts says of itself is not passed on as the truth: the real address comes last."""
    values = forwarded(stage, [("X-Forwarded-For", "6.6.6.6")]).all("x-forwarded-for")
    assert ", ".join(values).split(", ")[-1] == "127.0.0.1"


def test_forwarded_for_of_a_trusted_proxy(stage):
    top = {"server": {"trusted_proxies": ["127.0.0.0/8"]}}
    values = forwarded(stage, [("X-Forwarded-For", "6.6.6.6"), ("X-Forwarded-Proto", "https")], **top)
    assert ", ".join(values.all("x-forwarded-for")).split(", ")[0] == "6.6.6.6"


def test_forwarded_headers_off(stage):
    seen = forwarded(stage, provider={"forwarded_headers": "off"})
    assert seen.get("x-forwarded-for") is None and seen.get("x-forwarded-proto") is None and seen.get("via") is None


def test_request_id_is_made_and_kept(stage):
    upstream, node = in_front_of(stage)
    with node.client() as c:
        made = c.get("/").get("x-request-id")
        c.get("/", [("X-Request-Id", "my-own.1")])
        again = c.get("/")
    sent = [r.get("x-request-id") for r in upstream.requests]
    assert sent[1] == "my-own.1"
    assert sent[0] and sent[2] and sent[0] != sent[2]
    assert made in (None, sent[0]) and again.get("x-request-id") in (None, sent[2])


def test_request_id_of_a_weir_error(stage):
    node = stage.node({"mock": {"base_url": "http://127.0.0.1:1"}})
    with node.client() as c:
        assert c.get("/", [("X-Request-Id", "mine")]).get("x-request-id") == "mine"


@pytest.mark.parametrize("own", ["", "a" * 5000, "two words", "caf\xe9"], ids=["empty", "long", "words", "not-ascii"])
def test_request_id_that_is_no_id(stage, own):
    seen = forwarded(stage, [("X-Request-Id", own)]).all("x-request-id")
    assert len(seen) == 1 and seen[0]


TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def test_traceparent_is_passed(stage):
    parts = forwarded(stage, [("traceparent", TRACE), ("tracestate", "a=b")])
    assert parts.get("traceparent").split("-")[1] == TRACE.split("-")[1]
    assert parts.get("tracestate") == "a=b"


@pytest.mark.parametrize("own", [None, "nonsense", "00-" + "0" * 32 + "-b7ad6b7169203331-01", TRACE.upper(), "ff" + TRACE[2:]])
def test_traceparent_is_begun(stage, own):
    seen = forwarded(stage, [] if own is None else [("traceparent", own)]).all("traceparent")
    assert len(seen) == 1
    assert re.fullmatch(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}", seen[0]), seen


def test_api_key_replaces_the_clients(stage):
    seen = forwarded(stage, [("Authorization", "Bearer client"), ("x-api-key", "other")], provider={"api_key": "sk-node"})
    assert seen.all("authorization") == ["Bearer sk-node"]


def test_api_key_in_a_field_of_its_own(stage):
    provider = {"api_key": "sk-node", "api_key_header": "x-api-key"}
    seen = forwarded(stage, [("X-Api-Key", "client"), ("Authorization", "Bearer client")], provider=provider)
    assert seen.all("x-api-key") == ["sk-node"]
    assert seen.get("authorization") != "Bearer client"


def test_clients_own_key_passes(stage):
    seen = forwarded(stage, [("Authorization", "Bearer client"), ("x-api-key", "k")])
    assert seen.get("authorization") == "Bearer client" and seen.get("x-api-key") == "k"


def test_headers_of_the_provider(stage):
    seen = forwarded(stage, [("X-Org", "client")], provider={"headers": {"X-Org": "weir", "x-new": "1"}})
    assert seen.all("x-org") == ["weir"] and seen.all("x-new") == ["1"]


def test_accept_encoding(stage):
    assert forwarded(stage, [("Accept-Encoding", "gzip")]).get("accept-encoding") == "gzip"
    seen = forwarded(stage, [("Accept-Encoding", "gzip")], http_client={"features": {"compression": False}})
    assert seen.get("accept-encoding") in (None, "identity")


def test_base_url_with_a_path(stage):
    upstream = stage.upstream(answering(OK))
    node = stage.node({"mock": {"base_url": f"{upstream.url}/api/v1/"}})
    with node.client() as c:
        c.get("/chat?x=1")
        c.get("/")
    assert [r.target for r in upstream.requests] == ["/api/v1/chat?x=1", "/api/v1/"]
