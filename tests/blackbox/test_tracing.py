"""Spans of requests and of their tries, as a collector receives them, held to OpenTelemetry's own definition."""

import json
import re
import subprocess

import pytest
from cluster import Cluster, ask
from harness import WAIT_S, free_port, wait_for

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
BAD = b"HTTP/1.1 500 Bad\r\nContent-Length: 2\r\n\r\nno"
TAKEN = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = "00f067aa0ba902b7"
RECORDED, NOT_RECORDED = f"00-{TRACE}-{PARENT}-01", f"00-{TRACE}-{PARENT}-00"


class Collector:
    def __init__(self, stage, answer=TAKEN):
        self.upstream = stage.upstream(answer)
        self.tracing = {"endpoint": f"{self.upstream.url}/v1/traces", "sample": 0}

    def posts(self):
        assert all(r.line.decode().startswith("POST /v1/traces ") for r in self.upstream.requests)
        return [r.body for r in self.upstream.requests]

    def spans(self):
        found = []
        for body in self.posts():
            for resource in json.loads(body)["resourceSpans"]:
                for scope in resource["scopeSpans"]:
                    found += scope["spans"]
        return found

    def wait_spans(self, count):
        return wait_for(lambda: (lambda s: s if len(s) >= count else None)(self.spans()), f"{count} spans")


def attributes(span):
    return {a["key"]: next(iter(a["value"].values())) for a in span["attributes"]}


def kinds(spans):
    """(the requests' spans, the tries' spans by attempt)"""
    tries = [s for s in spans if s["kind"] == 3]
    return [s for s in spans if s["kind"] == 2], sorted(tries, key=lambda s: int(attributes(s)["weir.attempt"]))


@pytest.fixture
def collector(stage):
    return Collector(stage)


def test_a_request_and_its_try(stage, collector, sdk):
    upstream = stage.upstream(OK)
    node = stage.node(upstream, tracing=collector.tracing)
    with node.client() as c:
        r = c.get("/v1/models?key=secret", headers=[("traceparent", RECORDED), ("x-request-id", "abc")])
    assert r.status == 200
    (request,), (first,) = kinds(collector.wait_spans(2))
    assert request["traceId"] == first["traceId"] == TRACE
    assert request["parentSpanId"] == PARENT and first["parentSpanId"] == request["spanId"]
    sent = re.fullmatch(rf"00-{TRACE}-([0-9a-f]{{16}})-01", upstream.requests[0].get("traceparent"))
    assert sent and sent.group(1) == first["spanId"]
    a = attributes(request)
    assert (a["http.request.method"], a["url.path"], a["http.response.status_code"]) == ("GET", "/v1/models", "200")
    assert (a["weir.provider"], a["weir.request_id"], a["weir.attempts"]) == ("mock", "abc", "1")
    assert attributes(first)["server.address"] == upstream.url
    assert int(request["startTimeUnixNano"]) <= int(first["startTimeUnixNano"])
    assert "secret" not in json.dumps(collector.spans())
    checked = subprocess.run(["node", "otlp.mjs"], cwd=sdk, input=b"\n".join(p.strip() for p in collector.posts()),
                             capture_output=True, timeout=WAIT_S)
    assert checked.returncode == 0 and json.loads(checked.stdout) == {"spans": 2}, checked.stderr.decode()


def test_a_try_lies_within_its_request(stage, collector):
    """Many, as it takes a tick of a clock between the ends of the two for them to part."""
    node = stage.node(stage.upstream(OK), tracing={**collector.tracing, "sample": 1})
    per_round = 100  # no more than a worker keeps for control
    with node.client() as c:
        for rounds in range(1, 6):
            for _ in range(per_round):
                assert c.get("/").status == 200
            requests, tries = kinds(collector.wait_spans(2 * per_round * rounds))
    within = {s["spanId"]: s for s in requests}
    for t in tries:
        r = within[t["parentSpanId"]]
        assert int(r["startTimeUnixNano"]) <= int(t["startTimeUnixNano"]) <= int(t["endTimeUnixNano"])
        assert int(t["endTimeUnixNano"]) <= int(r["endTimeUnixNano"])


def test_who_decides(stage, collector):
    upstream = stage.upstream(OK)
    node = stage.node(upstream, tracing=collector.tracing)
    own = stage.node(upstream, tracing={**collector.tracing, "sample": 1, "follow_client": False})
    for asked, headers in ((node, []), (node, [("traceparent", NOT_RECORDED)]), (node, [("traceparent", "00-nonsense")])):
        with asked.client() as c:
            assert c.get("/", headers=headers).status == 200
    with own.client() as c:
        assert c.get("/", headers=[("traceparent", NOT_RECORDED)]).status == 200
    (request,), _ = kinds(collector.wait_spans(2))
    assert request["traceId"] != TRACE and "parentSpanId" not in request
    assert len(collector.spans()) == 2
    assert upstream.requests[1].get("traceparent") == NOT_RECORDED, "passed on as it came"


def test_each_try_has_a_span(stage, collector):
    upstream = stage.upstream([BAD, OK])
    retry = {"enabled": True, "attempts": 2, "backoff_factor": 0}
    node = stage.node(upstream, tracing=collector.tracing, http_client={"retry": retry})
    with node.client() as c:
        assert c.get("/", headers=[("traceparent", RECORDED)]).status == 200
    (request,), tries = kinds(collector.wait_spans(3))
    assert [attributes(t)["http.response.status_code"] for t in tries] == ["500", "200"]
    assert [t["status"] for t in tries] == [{"code": 2}, {}] and request["status"] == {}
    assert {t["parentSpanId"] for t in tries} == {request["spanId"]}
    assert attributes(request)["weir.attempts"] == "2"
    ids = [r.get("traceparent").split("-")[2] for r in upstream.requests]
    assert ids == [t["spanId"] for t in tries]


def test_what_failed_says_why(stage, collector):
    node = stage.node(f"http://127.0.0.1:{free_port()}", tracing=collector.tracing)
    with node.client() as c:
        r = c.get("/", headers=[("traceparent", RECORDED)])
    assert r.status == 502
    (request,), (first,) = kinds(collector.wait_spans(2))
    assert attributes(first)["error.type"] == attributes(request)["error.type"] == r.get("x-weir-error")
    assert "http.response.status_code" not in attributes(first) and attributes(request)["http.response.status_code"] == "502"
    assert request["status"] == first["status"] == {"code": 2}


def test_a_trace_goes_through_the_cluster(stage, collector):
    cluster = Cluster(stage, peer_ack_timeout=WAIT_S, redis_timeout=5)  # it is not about who is slow
    near, far = cluster.nodes(2, stage.mock(), tracing=collector.tracing)
    cluster.wait_all_owned()
    # The first that are handed over may find the link still being made, and are served here.
    is_far = lambda k: ask(near, headers=[("x-session-id", k)]).get("x-weir-node") == far.id  # noqa: E731
    key = wait_for(lambda: next((k for k in map(str, range(100)) if is_far(k)), None), "a key of the other node")
    assert ask(near, headers=[("x-session-id", key), ("traceparent", RECORDED)]).get("x-weir-node") == far.id
    spans = {s["spanId"]: s for s in collector.wait_spans(4)}
    assert {s["traceId"] for s in spans.values()} == {TRACE}
    last = next(s for s in spans.values() if s["kind"] == 3 and "weir.peer" not in attributes(s))
    there = spans[last["parentSpanId"]]
    hop = spans[there["parentSpanId"]]
    here = spans[hop["parentSpanId"]]
    assert [attributes(s).get("weir.peer") for s in (here, hop, there)] == [far.id, far.id, near.id]
    assert here["parentSpanId"] == PARENT and [s["kind"] for s in (here, hop, there)] == [2, 3, 2]


def test_a_collector_that_is_away_costs_nothing_but_its_spans(stage):
    port = free_port()
    node = stage.node(stage.upstream(OK), tracing={"endpoint": f"http://127.0.0.1:{port}/v1/traces", "sample": 1})
    with node.client() as c:
        for _ in range(700):  # more than a worker's ring holds
            assert c.get("/").status == 200
    assert node.wait_only_events("tracing_failed")[0]["host"] == f"127.0.0.1:{port}"
    wait_for(lambda: node.metric("weir_trace_posts_total", result="failed") > 0, "a post that failed")
    kept, dropped = (node.metric("weir_trace_spans_total", result=r) for r in ("kept", "dropped"))
    assert kept + dropped == 1400


def test_nothing_is_traced_unless_asked(stage, collector):
    node = stage.node(stage.upstream(OK))
    with node.client() as c:
        assert c.get("/", headers=[("traceparent", RECORDED)]).status == 200
    assert node.metric("weir_trace_spans_total", result="kept") == 0 and collector.posts() == []
