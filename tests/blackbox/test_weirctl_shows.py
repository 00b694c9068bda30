"""What weirctl shows beside the cluster itself: pools, alerts, hints, plans, and the formulas."""

import json

import pytest
from cluster import Cluster
from ctl import normal, shown, weirctl
from harness import wait_for


def providers(mock):
    return {"mock": {"base_url": mock.url}}


def test_pools(stage, mock):
    node = stage.node({"mock": {"base_url": mock.url, "connection_pool": {"max_connections": 20}}})
    assert node.get("/v1/models").status == 200
    wait_for(lambda: shown("pools", node=node)["connections_idle"] == 1, "the connection to be idle")
    whose, blank, title, row = normal(weirctl("pools", node=node).stdout)
    assert whose.startswith("node  ") and blank == ""
    assert title == "PROVIDER  ACTIVE  IDLE  WAITING  LIMIT  USED  REUSED  ANSWER  TRIES  FAILED"
    assert row.split()[:7] == ["mock", "0", "1", "0", "20", "0%", "0.0%"] and row.endswith("1  0.0%")


def test_alerts(stage, mock):
    rule = {"name": "any", "condition": "total_requests >= 0", "severity": "info", "message": "there is a node"}
    node = stage.node(mock, alerts=[rule])
    fires = lambda: shown("alerts", node=node)["firing"] > 0
    wait_for(fires, "the alert")
    shown_lines = normal(weirctl("alerts", node=node).stdout)
    assert shown_lines[0].startswith("node  ") and shown_lines[1] == ""
    assert shown_lines[2] == "ALERT  PROVIDER  STATE  SEVERITY  VALUES  SINCE  MESSAGE"
    assert shown_lines[3] == "any  (all)  firing  info  total_requests=0  TIME  there is a node"
    assert any("pool_exhausted" in line and "inactive" in line for line in normal(weirctl("alerts", "-o", "wide", node=node).stdout))


@pytest.mark.parametrize(
    "words, wanted",
    [
        (("--rps", "100", "--latency", "1200"), (180, 5.0, 24.0, 34.0)),
        (("--rps", "7", "--latency", "999"), (10, 5.0, 24.0, 34.0)),
        (("--rps", "1001", "--latency", "47.3"), (71, 5.0, 24.0, 34.0)),
        (("--rps", "100000", "--latency", "1200"), (1000, 5.0, 24.0, 34.0)),
        (("--rps", "33", "--latency", "999", "--network-latency", "3.5", "--provider-timeout", "61"), (49, 7.0, 48.8, 60.8)),
        (("--rps", "1", "--latency", "1", "--network-latency", "0.1", "--provider-timeout", "5"), (10, 5.0, 10.0, 20.0)),
    ],
)
def test_tune(words, wanted):
    value = json.loads(weirctl("tune", *words, "-o", "json").stdout)
    assert (value["pool_size"], *value["timeouts"].values()) == pytest.approx(wanted)


def test_tune_prints_what_to_configure():
    done = weirctl("tune", "--rps", "33", "--latency", "999")
    assert normal(done.stdout)[:2] == ["pool size  49 connections", "timeouts  connect 5 s, read 24 s, total 34 s"]
    assert "    max_connections: 49\n" in done.stdout
    for words in ((), ("--rps", "1"), ("--latency", "1"), ("--rps", "1.5", "--latency", "1")):
        done = weirctl("tune", *words)
        assert done.returncode == 2 and not done.stdout and done.stderr.startswith("weirctl: ")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish", "man"])
def test_completion(shell):
    done = weirctl("completion", shell)
    assert done.returncode == 0 and "rebalance" in done.stdout and "dry" in done.stdout


def test_rates_are_of_proxied_requests_alone(stage, mock):
    cluster = Cluster(stage)
    (node,) = cluster.nodes(1, providers(mock))

    def rate_while_asked_for(target):
        for _ in range(10):
            assert node.get(target).status == 200
        return load()["requests_per_second"]

    def load():
        return shown("nodes", node=node)["nodes"][0]["load"]

    wait_for(lambda: rate_while_asked_for("/v1/models") > 0, "the rate of requests that a provider has answered")
    with node.client() as follower:
        follower.ask("GET", "/api/cluster/events", headers=[("accept", "text/event-stream")])
        wait_for(lambda: node.metric("weir_own_pages_active") == 2, "the events to be followed, beside the metrics")
        wait_for(lambda: rate_while_asked_for("/health/live") == 0, "no rate from a node's own pages")
        assert load()["in_flight"] == 0
    proxied = node.metric("weir_proxied_requests_total", **{"class": "other"})
    assert 0 < proxied < node.metric("weir_requests_total")
