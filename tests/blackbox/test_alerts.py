"""Alerts: each change told once, in the log and by webhook; what they do; what a reload keeps."""

import json

import pytest
from conftest import Stage
from harness import wait_for
from http1 import answering

ALWAYS = "max_connections > 0"
OK = b"HTTP/1.1 204 No Content\r\n\r\n"


def limited(url, limit):
    """A provider whose pool has `limit` connections: the gauge that the rules below look at."""
    return {"base_url": url, "connection_pool": {"max_connections": limit, "max_keepalive_connections": 1}}


def alerting(**more):
    return {"interval": 1, "connection_pool": [], **more}


def posted(receiver):
    return [json.loads(r.body) for r in receiver.requests]


def alerts(node):
    return node.get("/api/alerts").json()


def evaluations(node, count=2):
    """Waits until the rules were surely looked at again: a rule of the file's own goes on and off with them."""
    before = {json.dumps(a["values"]) for a in alerts(node)["alerts"] if a["name"] == "beat"}
    seen = set(before)

    def again():
        seen.update(json.dumps(a["values"]) for a in alerts(node)["alerts"] if a["name"] == "beat")
        return len(seen) >= len(before) + count

    wait_for(again, "further evaluations")


# Its value is another one at each evaluation.
BEAT = {"name": "beat", "condition": "weir_uptime_seconds < 0"}


def change(stage, node, mock, limit, **top):
    """Reloads with another limit of the pool."""
    generation = node.metric("weir_view_generation")
    node.reload(stage.config(node.port, {"a": limited(mock.url, limit), "b": limited(mock.url, 1)}, **top))
    wait_for(lambda: node.metric("weir_view_generation") > generation, "the reload")


def test_firing_and_resolved_once_each(stage: Stage, mock):
    receiver = stage.upstream(OK)
    rule = {"name": "wide", "condition": "max_connections > 10", "severity": "critical", "message": "too wide", "action": "webhook"}
    top = {"alerting": alerting(webhook_url=receiver.url + "/hook?token=t"), "alerts": [rule, BEAT]}
    node = stage.node({"a": limited(mock.url, 5), "b": limited(mock.url, 1)}, **top)
    evaluations(node)
    assert not node.events("alert_firing")
    change(stage, node, mock, 50, **top)
    fired = node.wait_events("alert_firing", 2, rule="wide")
    assert [line.get("provider") for line in fired] == [None, "a"]
    assert all(line["level"] == "error" and line["msg"] == "too wide" and line["severity"] == "critical" for line in fired)
    assert [line["max_connections"] for line in fired] == [51, 50]
    evaluations(node)
    shown = [(a["provider"], a["state"]) for a in alerts(node)["alerts"] if a["name"] == "wide"]
    assert shown == [(None, "firing"), ("a", "firing"), ("b", "inactive")]
    assert alerts(node)["firing"] == 2
    assert node.metric("weir_alerts_firing", severity="critical") == 2
    change(stage, node, mock, 5, **top)
    node.wait_events("alert_resolved", 2, rule="wide")
    evaluations(node)
    assert len(node.events("alert_firing")) == 2 and len(node.events("alert_resolved")) == 2
    receiver.wait(lambda u: len(u.requests) >= 4, "four posts")
    wait_for(lambda: node.metric("weir_webhook_posts_total", result="delivered") >= 4, "all to be delivered")
    evaluations(node)
    bodies = posted(receiver)
    assert [b["status"] for b in bodies] == ["firing", "firing", "resolved", "resolved"]
    assert node.metric("weir_alert_changes_total", state="firing") == 2
    assert node.metric("weir_webhook_posts_total", result="delivered") == 4
    for request, body in zip(receiver.requests, bodies):
        assert (request.method, request.target) == ("POST", "/hook?token=t")
        assert request.get("content-type") == "application/json"
        assert request.get("host") == f"127.0.0.1:{receiver.port}"
        assert body["version"] == "4" and body["receiver"] == "weir" and len(body["alerts"]) == 1
        (alert,) = body["alerts"]
        assert alert["status"] == body["status"]
        assert alert["labels"] == body["commonLabels"]
        assert alert["labels"]["alertname"] == "wide" and alert["labels"]["severity"] == "critical"
        assert alert["annotations"]["summary"] == "too wide"
        assert alert["startsAt"].endswith("Z")
        assert (alert["endsAt"] == "0001-01-01T00:00:00Z") == (body["status"] == "firing")
    assert [b["commonLabels"].get("provider") for b in bodies] == [None, "a", None, "a"]
    assert bodies[1]["alerts"][0]["fingerprint"] == bodies[3]["alerts"][0]["fingerprint"]
    assert "token" not in node.log


def test_a_reload_keeps_what_fires(stage, mock):
    rules = [{"name": "on", "condition": ALWAYS}, BEAT]
    node = stage.node({"a": limited(mock.url, 5), "b": limited(mock.url, 1)}, alerting=alerting(), alerts=rules)
    node.wait_events("alert_firing", 3)
    for limit in (6, 7):
        change(stage, node, mock, limit, alerting=alerting(), alerts=[*rules, {"name": f"r{limit}", "condition": "error_rate > 2"}])
        evaluations(node)
    assert len(node.events("alert_firing")) == 3 and not node.events("alert_resolved")
    change(stage, node, mock, 7, alerting=alerting(), alerts=[BEAT])
    assert len(node.wait_events("alert_resolved", 3)) == 3
    assert alerts(node)["firing"] == 0


def test_a_division_by_zero_does_not_fire(stage, mock):
    rules = [{"name": "zero", "condition": "connection_errors_total / connections_created_total >= 0"}, BEAT]
    node = stage.node(mock, alerting=alerting(window=1), alerts=rules)
    evaluations(node, 3)
    assert not node.events("alert_firing", rule="zero")
    assert all(a["state"] == "inactive" for a in alerts(node)["alerts"])


def test_counters_count_over_the_window(stage, mock):
    rules = [{"name": "busy", "condition": "total_requests > 0", "severity": "info"}, BEAT]
    node = stage.node(mock, alerting=alerting(window=1), alerts=rules)
    evaluations(node)
    assert node.get("/echo").status == 200
    (line, *_) = node.wait_events("alert_firing", 2)
    assert line["level"] == "info" and line["msg"] == "busy" and line["total_requests"] == 1
    node.wait_events("alert_resolved", 2)


def test_a_condition_may_name_what_weir_counts(stage, mock):
    rules = [
        {"name": "up", "condition": "weir_uptime_seconds > 0 and weir_workers == 1"},
        {"name": "asked", "condition": "weir_provider_requests_total > 0"},
    ]
    node = stage.node(mock, alerting=alerting(), alerts=rules)
    node.wait_events("alert_firing", 1, rule="up")
    node.get("/echo")
    assert len(node.wait_events("alert_firing", 2, rule="asked")) == 2
    assert [line.get("provider") for line in node.events("alert_firing", rule="up")] == [None], "a provider has no uptime"


def test_for_must_hold(stage, mock):
    rules = [{"name": "later", "condition": ALWAYS, "for": 2}, {"name": "much later", "condition": ALWAYS, "for": 600}, BEAT]
    node = stage.node(mock, alerting=alerting(), alerts=rules)

    def states(name):
        return {a["state"] for a in alerts(node)["alerts"] if a["name"] == name}

    wait_for(lambda: states("later") == {"firing"}, "the rule to fire")
    assert node.metric("weir_uptime_seconds") > 2
    assert states("much later") == {"pending"}


def test_scale_up_is_shown(stage, mock):
    rule = {"name": "more", "condition": "max_connections > 10", "action": "scale_up"}
    top = {"alerting": alerting(), "alerts": [rule, BEAT]}
    node = stage.node({"a": limited(mock.url, 50), "b": limited(mock.url, 1)}, **top)
    wait_for(lambda: alerts(node)["scale_up_wanted"], "the wish")
    assert node.metric("weir_scale_up_wanted") == 2 and node.metric("weir_scale_up_alerts_total") == 2
    change(stage, node, mock, 5, **top)
    wait_for(lambda: not alerts(node)["scale_up_wanted"], "its end")
    assert node.metric("weir_scale_up_wanted") == 0 and node.metric("weir_scale_up_alerts_total") == 2


def test_investigate_logs_a_diagnosis(stage, mock):
    rule = {"name": "why", "condition": "max_connections > 10", "action": "investigate"}
    node = stage.node({"a": limited(mock.url, 50), "b": limited(mock.url, 1)}, alerting=alerting(), alerts=[rule])
    lines = node.wait_events("diagnosis", 2, rule="why")
    assert [(line.get("provider"), line["max_connections"], line["endpoints"]) for line in lines] == [(None, 51, 2), ("a", 50, 1)]
    for line in lines:
        assert line["resident_bytes"] > 0 and line["descriptors"] > 0 and "lag_worker_ms" in line and "error_rate" in line


def test_the_guides_rules_are_on_by_default(stage, mock):
    node = stage.node(mock)
    names = [a["name"] for a in alerts(node)["alerts"] if a["provider"] is None]
    assert names == ["pool_exhausted", "high_error_rate", "pool_utilization_high"]


# The guide's example of further rules.
FURTHER = [
    {"name": "connection_pool_exhausted", "condition": "pending_requests > 50", "severity": "critical", "action": "scale_up"},
    {"name": "high_connection_errors", "condition": "error_rate > 0.05", "severity": "warning", "action": "investigate"},
]


def firing(node):
    return {a["name"] for a in alerts(node)["alerts"] if a["provider"] == "mock" and a["state"] == "firing"}


def test_the_guides_rules_over_a_full_pool(stage, mock):
    provider = {"base_url": mock.url, "connection_pool": {"max_connections": 1, "max_keepalive_connections": 1}}
    patient = {"pool_limits": {"pool_block_timeout": 60}, "timeout": {"pool": 60}}
    node = stage.node({"mock": provider}, alerting={"interval": 1}, alerts=FURTHER, http_client=patient)
    clients = [node.client() for _ in range(53)]
    for c in clients:
        c.ask("GET", "/echo", [("x-mock-gate", "g")])
    full = {"pool_exhausted", "pool_utilization_high", "connection_pool_exhausted"}
    wait_for(lambda: firing(node) == full, "the rules to fire")
    assert alerts(node)["scale_up_wanted"]
    fired = node.wait_events("alert_firing", 6)  # over all, and for the one provider
    said = {line["rule"]: (line["level"], line["msg"]) for line in fired if line.get("provider")}
    assert said == {
        "pool_exhausted": ("warning", "Connection pool exhausted"),
        "pool_utilization_high": ("warning", "Connection pool utilization above 90%"),
        "connection_pool_exhausted": ("error", "connection_pool_exhausted"),
    }
    mock.steps("g", "all")
    for c in clients:
        assert c.response().status == 200
        c.close()
    wait_for(lambda: firing(node) == set(), "the rules to be over")
    assert not alerts(node)["scale_up_wanted"]
    wait_for(lambda: len(node.events("alert_resolved")) == len(node.events("alert_firing")), "as many resolved as fired")


def test_the_guides_rules_over_errors(stage, mock):
    node = stage.node(mock, alerting={"interval": 1}, alerts=FURTHER)
    evaluated = node.metric("weir_uptime_seconds")
    wait_for(lambda: node.metric("weir_uptime_seconds") > evaluated + 1, "an evaluation before what is to be counted")
    assert node.get("/echo").status == 200
    mock.down()
    assert node.get("/echo").status == 502
    wait_for(lambda: firing(node) == {"high_error_rate", "high_connection_errors"}, "the rules to fire")
    (line,) = [d for d in node.wait_events("diagnosis", 2) if d.get("provider") == "mock"]
    assert line["rule"] == "high_connection_errors" and line["connect_refused"] == 1 and line["connections_created_total"] == 1
    assert node.wait_events("alert_firing", rule="high_error_rate")[0]["level"] == "error"


def test_a_delivery_that_fails_is_tried_again(stage, mock):
    def script(wire, upstream):
        first = not upstream.requests
        wire.request()
        wire.send(b"HTTP/1.1 503 Later\r\nContent-Length: 3\r\n\r\nno\n" if first else OK)

    receiver = stage.upstream(script)
    rule = {"name": "on", "condition": "weir_workers == 1", "action": "webhook"}
    node = stage.node(mock, alerting=alerting(webhook_url=receiver.url), alerts=[rule])
    receiver.wait(lambda u: len(u.requests) >= 2, "the second try")
    node.wait_events("webhook_works", 1)
    first, second = posted(receiver)
    assert first == second
    assert [line["reason"] for line in node.events("webhook_failed")] == ["the receiver answered 503"]
    assert node.metric("weir_webhook_posts_total", result="failed") == 1
    assert node.metric("weir_webhook_posts_total", result="delivered") == 1
    assert node.metric("weir_webhook_dropped_total") == 0


def test_a_receiver_that_refuses_is_not_asked_again(stage, mock):
    receiver = stage.upstream(answering(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"))
    rules = [{"name": n, "condition": "weir_workers == 1", "action": "webhook"} for n in ("one", "two")]
    node = stage.node(mock, alerting=alerting(webhook_url=receiver.url), alerts=[*rules, BEAT])
    wait_for(lambda: node.metric("weir_webhook_dropped_total") == 2, "both to be dropped")
    evaluations(node)
    assert len(receiver.requests) == 2
    assert len(node.events("webhook_failed")) == 1 and len(node.events("webhook_dropped")) == 1


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/", "http://no-such-host.invalid/"])
def test_a_receiver_that_is_away_is_logged_once(stage, mock, url):
    rule = {"name": "on", "condition": "weir_workers == 1", "action": "webhook"}
    node = stage.node(mock, alerting=alerting(webhook_url=url), alerts=[rule])
    wait_for(lambda: node.metric("weir_webhook_posts_total", result="failed") >= 2, "two tries")
    node.wait_only_events("webhook_failed")
    assert node.metric("weir_webhook_queued") == 1


def test_a_new_url_gets_what_waits(stage, mock):
    receiver = stage.upstream(OK)
    rule = {"name": "on", "condition": "weir_workers == 1", "action": "webhook"}
    providers = {"a": limited(mock.url, 5), "b": limited(mock.url, 1)}
    node = stage.node(providers, alerting=alerting(webhook_url="http://127.0.0.1:1"), alerts=[rule])
    node.wait_events("webhook_failed", 1)
    change(stage, node, mock, 5, alerting=alerting(webhook_url=receiver.url), alerts=[rule])
    receiver.wait(lambda u: len(u.requests) == 1, "the post")
    wait_for(lambda: node.metric("weir_webhook_queued") == 0, "an empty queue")
