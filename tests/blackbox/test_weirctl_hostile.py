"""weirctl asks a node that means harm: whatever its texts hold, no terminal is told anything, in no verb and no form."""

import json
import re

import pytest
import yaml
from ctl import weirctl

# ESC, C1 (CSI, NEL), CR, line ends, BEL, backspace, DEL, and what turns the direction of text; and a line of YAML.
BIDI = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
EVIL = f"e\x1b[2J\x1b]0;x\x07\x9b31m\x85\r\n\b\x7f{BIDI}:\n    base_url: http://evil"
# Of these, only line ends may come out: C0, DEL, C1, and what turns.
HARM = re.compile(f"[\x00-\x09\x0b-\x1f\x7f\x80-\x9f{BIDI}]")

POOL = {
    "pending_requests": 5,
    "pool_utilization_percent": 100,
    "connection_timeouts_total": 3,
    "error_count": 9,
    "total_requests": 9,
    "details": {"pool_queue_full_total": 2},
    "endpoints": {EVIL: {"last_failure": {"error": EVIL, "at": EVIL}}},
    EVIL: EVIL,
}
LOAD = {"in_flight": 0, "connections": 2, "utilization_percent": 99, EVIL: EVIL}
NODES = [
    {"id": "n1", "state": "draining", "alive": True, "self": True, "advertise": EVIL, "version": EVIL, "shards": 0, "load": LOAD},
    {"id": EVIL, "state": EVIL, "alive": True, "advertise": EVIL, "version": EVIL, "shards": 24, "load": LOAD},
    {"id": EVIL + "2", "state": EVIL, "alive": False, "age_ms": 12345, "load": {}},
]
FORECAST = {"now": 1.0, "peak": 2.0, "peak_high": 3.0, "peak_at_unix_ms": 1, "peak_in_s": 60}
EXPECTED = {"provider": EVIL, "reason": EVIL, "requests_per_s": FORECAST, "in_flight": FORECAST, "action": EVIL}
CIRCUIT = {"provider": EVIL, "endpoint": EVIL, "state": EVIL, "shared": True, "reason": EVIL, EVIL: EVIL}
PAGES = {
    "/api/cluster/state": {
        **{key: EVIL for key in ("node", "state", "version", "cluster", "store", "since", "refused", "leader", "mode")},
        "nodes": {"alive": 1, "total": 2},
        "epoch": 3,
        "shard_count": 24,
        "contact": False,
    },
    "/api/cluster/nodes": {"nodes": NODES},
    "/api/cluster/shards": {
        "shard_count": 24,
        "epoch": 3,
        "leader": EVIL,
        "owners": [{"node": EVIL, "count": 24, "ranges": [[0, 23]]}],
    },
    "/api/cluster/map": {"cluster": EVIL, "shard_count": 24, "map": f"weir-shard-map 1\nepoch 3\nleader {EVIL}\n"},
    "/api/http-client/pool/stats": {"node_id": EVIL, "providers": {EVIL: POOL}, **POOL},
    "/api/cluster/breakers": {"breakers": [CIRCUIT, {**CIRCUIT, "provider": "p"}, {**CIRCUIT, "state": "open"}]},
    "/api/cluster/limits": {"limits": [{"provider": EVIL, "mode": EVIL, "fail": EVIL, EVIL: EVIL}]},
    "/api/cluster/hints": {
        "valid": True,
        "leader": EVIL,
        "window_s": 60,
        "cluster": {**EXPECTED, "nodes": 1, "desired_nodes": 2},
        "providers": [EXPECTED],
    },
    "/api/alerts": {
        "alerts": [
            {
                **{key: EVIL for key in ("provider", "state", "severity", "action", "condition", "since", "message")},
                "name": "high_error_rate",
                "values": {EVIL: 1},
            },
        ]
    },
    "/api/cluster/events": {
        "events": [{"id": 1, "unix_ms": 4e12, "event": EVIL, "node": EVIL, "by": EVIL, "msg": EVIL, EVIL: EVIL, "n": 1.5}]
    },
    "/api/cluster/analytics": {
        "patterns": [{"provider": EVIL, "by_hour": [{"hour": 3, "requests_per_s": 4}]}],
    },
    "/health": {"uptime_seconds": 5, "checks": {"memory": {"used_percent": 99, "resident_bytes": 99, "limit_bytes": 100}}},
    "/health/providers": {"providers": {EVIL: POOL}},
    "/debug/memory/pool": {"objects": {EVIL: {"count": 1}, "requests": {"count": 3}}},
    "/api/node/reload": {"node": EVIL},
    "/api/breaker/open": {"state": EVIL},
}

VERBS = [
    *((verb,) for verb in "status nodes shards pools breakers limits hints alerts events reload report".split()),
    ("drain", "n1"),
    ("drain", "--wait", "n1"),
    ("breaker", "open", "p"),
    ("breaker", "open", "http://x"),
    ("doctor", "--over", "0.1"),
]
# These come to nothing: no node has such an id, and no map can hold such ids.
IN_VAIN = [("drain", "nobody"), ("rebalance", "--dry-run")]


def respond(status, value):
    body = json.dumps({"schema": 1, EVIL: EVIL, **value}).encode()
    return b"HTTP/1.1 %d x\r\nContent-Length: %d\r\n\r\n%s" % (status, len(body), body)


def evil_node(wire, _):
    while True:
        request = wire.request()
        page = request.target.partition("?")[0]
        wire.send(respond(200, PAGES.get(page, {})))


def without_harm(text):
    found = HARM.search(text)
    assert not found, (found, text)
    return text


@pytest.fixture
def url(stage):
    return f"http://127.0.0.1:{stage.upstream(evil_node).port}"


@pytest.mark.parametrize("form", ["table", "wide", "json", "yaml"])
def test_what_is_shown(url, form):
    for words in IN_VAIN:
        done = weirctl(*words, "-o", form, "--node", url)
        assert done.returncode == 1 and not done.stdout and without_harm(done.stderr)
    for words in VERBS:
        done = weirctl(*words, "-o", form, "--node", url)
        without_harm(done.stderr)
        if form == "json" and done.stdout:
            json.loads(done.stdout)
        elif form == "yaml" and done.stdout:
            yaml.safe_load(done.stdout)
        # A verb that showed nothing would prove nothing.
        assert without_harm(done.stdout), (words, done.stderr)


def test_the_values_are_whole(url):
    done = weirctl("limits", "-o", "json", "--node", url)
    assert json.loads(done.stdout)["limits"][0]["provider"] == EVIL
    assert yaml.safe_load(weirctl("limits", "-o", "yaml", "--node", url).stdout)["limits"][0]["mode"] == EVIL


def test_lines_to_paste(url):
    """What the doctor has people put into their configuration is of its own making, names included."""
    shown = weirctl("doctor", "--over", "0.1", "--node", url).stdout
    lines = re.findall(r"^  change:\n((?:    .*\n)+)", shown, re.M)
    assert len(lines) >= 3, shown
    for text in lines:
        change = yaml.safe_load(text)
        assert set(change) <= {"providers", "http_client", "distributed_pool"}, text
        assert set(change.get("providers", [])) <= {EVIL}, text
        assert "base_url" not in (change.get("providers") or {}).get(EVIL, {})


def test_the_stream_of_events(stage):
    body = b"id: 1\ndata: " + json.dumps(PAGES["/api/cluster/events"]["events"][0]).encode() + b"\n\n"
    upstream = stage.upstream(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
    for form in ("table", "json", "yaml"):
        done = weirctl("events", "--follow", "-o", form, "--node", f"http://127.0.0.1:{upstream.port}")
        assert without_harm(done.stdout), done.stderr
        without_harm(done.stderr)


@pytest.mark.parametrize("status", [400, 401, 404, 422, 503])
def test_what_is_refused(stage, status):
    upstream = stage.upstream(respond(status, {"error": {"message": EVIL}}))
    for words in VERBS:
        done = weirctl(*words, "--node", f"http://127.0.0.1:{upstream.port}")
        assert done.returncode != 0
        without_harm(done.stdout + done.stderr)
