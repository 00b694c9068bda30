"""weir's own errors: in the form that the client's SDK reads, and without what is none of its business."""

import pytest

from harness import wait_for


def dead(stage):
    upstream = stage.upstream(b"")
    upstream.close()
    return upstream


@pytest.mark.parametrize(
    ("target", "headers"),
    [
        ("/v1/messages", ()),
        ("/v1/messages?beta=true", ()),
        ("/anthropic/v1/messages", ()),
        ("/v1/messages/batches", ()),
        ("/v1/models", (("Anthropic-Version", "2023-06-01"),)),
    ],
)
def test_anthropics_form(stage, target, headers):
    node = stage.node(dead(stage))
    with node.client() as c:
        r = c.post(target, b"{}", [*headers, ("X-Request-Id", 'a"b\\c')])
    assert (r.status, r.get("x-weir-error")) == (502, "connect_failed")
    body = r.json()
    assert set(body) == {"type", "error", "request_id"} and set(body["error"]) == {"type", "message"}
    assert (body["type"], body["error"]["type"]) == ("error", "api_error")
    assert body["request_id"] == r.get("x-request-id") == 'a"b\\c'


@pytest.mark.parametrize("target", ["/v1/chat/completions", "/v1/messagesx", "/v1/message", "/"])
def test_openais_form(stage, target):
    node = stage.node(dead(stage))
    with node.client() as c:
        r = c.post(target, b"{}")
    assert r.status == 502
    body = r.json()
    assert set(body) == {"error"} and set(body["error"]) == {"message", "type", "param", "code"}
    assert (body["error"]["type"], body["error"]["code"]) == ("api_error", "connect_failed")


@pytest.mark.parametrize(
    ("status", "kind", "code"),
    [(429, "rate_limit_error", "rate_limited"), (503, "overloaded_error", "pool_full"), (504, "timeout_error", "timeout_read")],
)
def test_anthropics_types(stage, mock, status, kind, code):
    limits = {
        429: {"providers": {"mock": {"base_url": mock.url, "rate_limit": {"requests_per_minute": 1, "burst": 1}}}},
        503: {"providers": mock, "http_client": {"pool_limits": {"max_connections": 1, "max_pending": 0}}},
        504: {"providers": mock, "http_client": {"timeout": {"read": 0.2}}},
    }[status]
    node = stage.node(limits.pop("providers"), **limits)
    with node.client() as held, node.client() as c:
        gate = [("x-mock-gate", "g")]
        if status == 429:
            assert held.get("/echo").status == 200
        elif status == 503:
            held.ask("GET", "/echo", gate)
            mock.wait_waiting("g", 1)
        r = c.post("/v1/messages", b"{}", gate)
        assert (r.status, r.get("x-weir-error")) == (status, code)
        assert r.json()["error"]["type"] == kind
        if status != 429:
            mock.steps("g", "all")
        if status == 503:
            assert held.response().status == 200


def failing(stage):
    """Providers whose failures have addresses in them, by how they fail."""

    def script_end(wire, _):
        wire.request()

    def garbage(wire, _):
        wire.request()
        wire.send(b"NOPE 127.0.0.1\r\n\r\n")

    return {
        "refused": dead(stage),
        "closed": stage.upstream(script_end),
        "garbage": stage.upstream(garbage),
        "unknown": {"base_url": "http://no-such-name.invalid:81"},
    }


@pytest.mark.parametrize("how", ["refused", "closed", "garbage", "unknown"])
def test_no_addresses_are_told(stage, how):
    node = stage.node({"provider-x": failing(stage)[how]}, ready=how != "unknown")
    if how == "unknown":
        wait_for(lambda: node.get("/health/live").status == 200, "the node")
    for target in ("/v1/chat/completions", "/v1/messages"):
        with node.client() as c:
            r = c.post(target, b"{}")
        assert r.status == 502
        assert "provider-x" in r.json()["error"]["message"]
        shown = r.text + str([v for n, v in r.headers if n.lower() != "x-request-id"])
        for secret in ("127.0.0.1", "no-such-name", "http://", ":81"):
            assert secret not in shown
    # Whoever runs it is told: in the access log.
    told = lambda: [line for line in node.events("access") if line.get("endpoint")]  # noqa: E731
    wait_for(lambda: told() or how == "unknown", "the endpoint in the log")
