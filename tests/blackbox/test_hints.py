"""The load history that nodes keep, and the coordinator's hints as nodes follow and show them. The test plays the
coordinator: it puts hints into the store."""

import contextlib
import json

import pytest
from advice import BASE, Advice
from cluster import Cluster, ask, told
from coordinator import Coordinator
from harness import free_port, wait_for
from redis_words import command

ANALYTICS = {"enabled": True, "sample_interval": 1}
DEEP = '{"a":' * 10000 + "1" + "}" * 10000


@pytest.fixture
def cluster(stage):
    # A busy machine's store is not away.
    return Cluster(stage, pool_sharding=False, connection_affinity="round_robin", shard_count=16, redis_timeout=1)


@pytest.fixture
def advice(cluster):
    return Advice(cluster.redis)


def hints(node):
    return node.get("/api/cluster/hints").json()


def analytics(node):
    return node.get("/api/cluster/analytics").json()


def wait_analytics(node):
    """That page, once there is something on it."""
    wait_for(lambda: "at_unix_ms" in analytics(node), "analytics to be published")
    return analytics(node)


def wait_valid(node, **cluster):
    wait_for(lambda: hints(node)["valid"], f"{node.name} to have hints")
    for key, value in cluster.items():
        wait_for(lambda k=key, v=value: hints(node)["cluster"][k] == v, f"{node.name} to have {key} {value}")


def records(cluster):
    """All that nodes have told: of each, the head's numbers and those of each provider."""
    found = []
    for _, fields in command(cluster.redis, "XRANGE", f"{BASE}:loads", "-", "+"):
        head, *providers = next(text for text in fields if text.startswith("weir-load")).splitlines()
        numbers = [dict(w.split("=") for w in line.split()[2:]) for line in (head, *providers)]
        names = [line.split()[1] for line in providers]
        found.append((numbers[0], dict(zip(names, numbers[1:]))))
    return found


def total(cluster, what, provider="mock"):
    return sum(int(providers.get(provider, {}).get(what, 0)) for _, providers in records(cluster))


def most(cluster, what, provider="mock"):
    return max((int(providers.get(provider, {}).get(what, 0)) for _, providers in records(cluster)), default=0)


# -- the load history --


def test_what_nodes_see_is_in_the_store(cluster, mock):
    a, b = cluster.nodes(2, mock, analytics=ANALYTICS)
    wait_for(lambda: {head["node"] for head, _ in records(cluster)} == {a.id, b.id}, "both nodes to tell")
    for node in (a, b, a):
        assert ask(node).status == 200
    # A slot may end between a request's begin and its end, which are told each with the slot that it is in.
    for what in ("requests", "leases", "exchanges"):
        wait_for(lambda w=what: total(cluster, w) == 3, f"three {what} to be told")
    assert total(cluster, "connects") + total(cluster, "reused") == 3
    assert total(cluster, "exchange_us_sum") > 0 and most(cluster, "first_byte_p99_us") > 0
    assert most(cluster, "hurting") == 0
    slots = [int(head["slot"]) for head, _ in records(cluster) if head["node"] == a.id]
    assert slots == sorted(set(slots))
    assert a.metric("weir_cluster_store_requests_total", op="append") > 0


def test_what_is_in_flight_is_told_while_it_lasts(cluster, mock):
    node = cluster.node(mock, analytics=ANALYTICS)
    with node.client() as c:
        c.ask("GET", "/echo", headers=[("x-mock-gate", "held")])
        wait_for(lambda: most(cluster, "in_flight_mean") == 1000, "a slot with one request in it all the time")
        mock.steps("held", "all")
        assert c.response().status == 200
    assert most(cluster, "in_flight_peak") == most(cluster, "connections_peak") == 1
    assert max(int(head["in_flight_peak"]) for head, _ in records(cluster) if "in_flight_peak" in head) == 1


def test_an_alert_that_asks_for_more_is_told(cluster, mock):
    rule = {"name": "more", "condition": "max_connections > 10", "action": "scale_up"}
    cluster.node(mock, analytics=ANALYTICS, alerts=[rule], alerting={"interval": 1})
    wait_for(lambda: most(cluster, "hurting") == 1, "the alert to be told")


@pytest.mark.parametrize("off", [{"enabled": False}, {"collect_performance_metrics": False}])
def test_no_history_where_it_is_off(cluster, mock, off):
    node = cluster.node(mock, analytics={**ANALYTICS, **off})
    wait_for(lambda: node.metric("weir_cluster_store_requests_total", op="beat") > 8, "some slots to pass")
    assert node.metric("weir_cluster_store_requests_total", op="append") == 0
    assert command(cluster.redis, "EXISTS", f"{BASE}:loads") == 0


# -- hints, as they are shown --


def test_hints_are_shown_and_told(cluster, mock, advice):
    a, b = cluster.nodes(2, mock, analytics=ANALYTICS)
    assert hints(a) == {"schema": 1, "valid": False, "reason": "none were published yet"}
    advice.publish("scale_up", desired=5, pool_size=40, peak=20.2, peak_high=31.0, peak_in=600, window_s=3600)
    for node in (a, b):
        wait_valid(node, desired_nodes=5, action="scale_up")
        page = hints(node)
        assert page["window_s"] == 3600 and page["node"] == node.id and 0 <= page["age_s"] < 60
        wait_for(lambda n=node: n.metric("weir_hint_pool_size", provider="mock") == 20, "its part of the pool")
        assert node.metric("weir_hint_valid") == 1 and node.metric("weir_hint_desired_nodes") == 5
        assert node.metric("weir_hint_action", action="scale_up") == node.metric("weir_hint_action") == 1
        assert node.metric("weir_hint_in_flight_peak", provider="mock", level="0.5") == 20
        assert node.metric("weir_hint_in_flight_peak", provider="mock", level="0.9") == 31
        assert 500 < node.metric("weir_hint_peak_in_seconds", provider="mock") <= 600
        node.wait_log('"hint_action"')
    wait_for(lambda: told(b, "hint_action"), "the event")
    advice.publish("hold", desired=5)
    for node in (a, b):
        wait_valid(node, action="hold")
    for node in (a, b):
        wait_for(lambda n=node: len(told(n, "hint_action")) == 2, "the second event")
    up, hold = told(a, "hint_action")
    assert (up["action"], up["desired_nodes"], up["node"]) == ("scale_up", 5, a.id)
    assert (hold["action"], hold["node"]) == ("hold", a.id)


@pytest.mark.parametrize("how", ["old", "early", "short"])
def test_hints_of_another_time_are_not_followed(cluster, mock, advice, how):
    node = cluster.node(mock, analytics=ANALYTICS)
    advice.publish("scale_up", desired=4, peak_high=5, pool_size=5, life=600)
    wait_valid(node, desired_nodes=4)
    at, life = {"old": (-700, 600), "early": (300, 600), "short": (0, 2)}[how]
    advice.publish("scale_up", desired=9, at=at, life=life, pool_size=5)
    wait_for(lambda: not hints(node)["valid"], "the hints to be left alone")
    assert "out of date" in hints(node)["reason"] and "cluster" not in hints(node)
    wait_for(lambda: node.metric("weir_hint_valid") == 0, "the metrics to say so")
    assert node.metric("weir_hint_desired_nodes") == 0 and node.metric("weir_hint_action") == 0
    wait_for(lambda: "weir_hint_pool_size{" not in node.get("/metrics/prometheus").text, "no size to be shown")
    node.wait_log('"hints_stale"')


def test_hints_that_cannot_be_read_are_refused(cluster, mock, advice):
    node = cluster.node(mock, analytics=ANALYTICS)
    reasons = []

    def refused():
        return [line["reason"] for line in node.log_lines() if line.get("event") == "hints_refused"]

    for bad in ("{", '{"schema":2}', '{"schema":1,"at_unix_ms":1e300}', DEEP):
        advice.put(bad)
        wait_for(lambda: len(refused()) == len(reasons) + 1, f"{bad[:20]} to be refused")
        reasons = refused()
    assert "schema is not 1" in reasons[1] and "at_unix_ms" in reasons[2] and "depth" in reasons[3]
    asked = node.metric("weir_cluster_store_requests_total", op="advice")
    advice.put(DEEP)
    wait_for(lambda: node.metric("weir_cluster_store_requests_total", op="advice") > asked, "it to be read again")
    wait_for(lambda: "cannot be read" in hints(node)["reason"], "the page to say so")
    assert refused() == reasons
    advice.publish(desired=3)
    wait_valid(node, desired_nodes=3)


@pytest.mark.parametrize("off", [{"enabled": False}, {"enable_predictive_scaling": False}])
def test_hints_are_not_followed_where_that_is_off(cluster, mock, advice, off):
    node = cluster.node(mock, analytics={**ANALYTICS, **off})
    advice.publish("scale_up", desired=5, pool_size=40, peak_high=10)
    wait_for(lambda: node.metric("weir_cluster_store_requests_total", op="beat") > 4, "some beats")
    assert not hints(node)["valid"] and "off" in hints(node)["reason"]
    assert node.metric("weir_cluster_store_requests_total", op="advice") == 0
    assert node.metric("weir_connections_preopened_total") == 0


def test_a_node_alone_has_no_hints(stage, mock):
    node = stage.node(mock)
    assert hints(node) == {"schema": 1, "valid": False, "reason": "this node is in no cluster"}
    assert analytics(node)["patterns"] == []


# -- hints, as they are followed --


def client(**more):
    return {"pool_limits": {"max_connections": 40, "max_keepalive_connections": 30, "keepalive_expiry": 2, **more}}


def test_connections_are_opened_ahead_of_a_peak_and_let_go(cluster, mock, advice):
    a, b = cluster.nodes(2, mock, analytics=ANALYTICS, http_client=client())
    advice.publish(pool_size=60, peak=15, peak_high=23.5, peak_in=8)
    for node in (a, b):
        wait_for(lambda n=node: n.pool("mock")["connections_idle"] == 12, f"{node.name} to open its part")
        assert node.metric("weir_connections_preopened_total", provider="mock") >= 12
    with a.client() as c:
        assert c.get("/echo").status == 200
    assert a.metric("weir_pool_leases_total", connection="reused") + a.metric("weir_pool_leases_total", connection="new") == 1
    wait_for(lambda: a.metric("weir_hint_peak_in_seconds") == 0, "the peak to pass")
    opened = [n.metric("weir_connections_preopened_total") for n in (a, b)]
    for node in (a, b):
        wait_for(lambda n=node: n.pool("mock")["connections_total"] == 0, f"{node.name} to let them go")
    assert [n.metric("weir_connections_preopened_total") for n in (a, b)] == opened


def test_no_more_are_opened_than_may_be(cluster, mock, advice):
    """Neither than may be idle, nor than the limit, which a hint raises as far as its cap."""
    limits = {"max_connections": 10, "max_keepalive_connections": 7, "keepalive_expiry": 60}
    node = cluster.node(mock, analytics=ANALYTICS, http_client=client(**limits))
    advice.publish(pool_size=1000, peak=500, peak_high=900, peak_in=50)
    wait_for(lambda: node.pool("mock")["connections_idle"] == 7, "as many as may be idle")
    wait_for(lambda: node.pool("mock")["max_connections"] == 15, "the limit to be raised to its cap")
    node.wait_log('"pool_hinted"')
    asked = node.metric("weir_cluster_store_requests_total", op="beat")
    wait_for(lambda: node.metric("weir_cluster_store_requests_total", op="beat") > asked + 2, "some seconds")
    assert node.pool("mock")["connections_total"] == node.metric("weir_connections_preopened_total") == 7
    advice.publish(pool_size=3)
    wait_for(lambda: node.pool("mock")["max_connections"] == 10, "the configured limit: a hint lowers none")


def test_an_endpoint_that_cannot_be_reached_is_tried_once(cluster, mock, advice):
    dead = f"http://127.0.0.1:{free_port()}"
    ends = {"mock": {"endpoints": [{"url": mock.url}, {"url": dead}]}}
    node = cluster.node(ends, analytics=ANALYTICS, http_client=client(keepalive_expiry=60))
    advice.publish(pool_size=60, peak=15, peak_high=24, peak_in=50)
    wait_for(lambda: node.pool("mock")["connections_idle"] == 24, "all of them to be opened to the other one")
    assert 1 <= node.metric("weir_connect_failures_total", endpoint=dead) <= 8


def test_nothing_is_opened_long_before_a_peak(cluster, mock, advice):
    node = cluster.node(mock, analytics=ANALYTICS, http_client=client())
    advice.publish(pool_size=60, peak_high=20, peak_in=500)
    wait_valid(node)
    asked = node.metric("weir_cluster_store_requests_total", op="beat")
    wait_for(lambda: node.metric("weir_cluster_store_requests_total", op="beat") > asked + 2, "some seconds")
    assert node.metric("weir_connections_preopened_total") == 0


# -- analytics --


def test_analytics_are_shown_as_published(cluster, mock, advice):
    node = cluster.node(mock, analytics=ANALYTICS)
    page = analytics(node)
    assert (page["valid"], page["patterns"], page["performance"]) == (False, [], [])
    published = {"schema": 1, "at_unix_ms": 5, "patterns": [{"provider": "mock", "reuse_percent": 90}], "performance": []}
    advice.put("{}", json.dumps(published))
    page = wait_analytics(node)
    assert page == {**published, "valid": True, "node": node.id}


# -- the whole way: nodes, a coordinator, and back --


def lead(stage, cluster, **analytics):
    """A coordinator with the analytics of its nodes."""
    return Coordinator(stage, cluster, "lead", top={"analytics": {**ANALYTICS, **analytics}})


def test_hints_of_a_coordinator_arrive(stage, cluster, mock):
    """From requests to the advice: seen by nodes, folded, forecast, published, fetched, shown."""
    a, b = cluster.nodes(2, mock, analytics={**ANALYTICS, "safe_concurrency": 4})
    lead(stage, cluster, safe_concurrency=4, scaling_prediction_window=60)
    for node in (a, b):
        wait_valid(node, nodes=2)
        assert hints(node)["leader"] == "lead" and hints(node)["window_s"] == 60
        assert hints(node)["cluster"]["safe_concurrency_per_node"] == 4
    with contextlib.ExitStack() as clients:
        for node in (a, b) * 8:
            client_of = clients.enter_context(node.client())
            client_of.ask("GET", "/echo", headers=[("x-mock-gate", "held")])
        wait_for(lambda: hints(a)["cluster"]["in_flight"]["now"] == 16, "sixteen requests in flight to be known")
        wait_for(lambda: hints(a)["cluster"]["action"] == "scale_up", "more nodes to be advised")
        assert a.metric("weir_hint_desired_nodes") >= 4
        # Of a node that was late with its slot the next hints do not know.
        seen = lambda: [(p["provider"], p["in_flight"]["now"]) for p in hints(a)["providers"]]  # noqa: E731
        wait_for(lambda: seen() == [("mock", 16)], "hints for the one provider, of both nodes")
        wait_for(lambda: told(b, "hint_action"), "the event")
        mock.steps("held", "all")
    wait_for(lambda: analytics(a)["performance"], "what was seen to be on the page")
    page = analytics(a)
    assert page["valid"] and page["performance"][0]["provider"] == page["patterns"][0]["provider"] == "mock"


@pytest.mark.parametrize("off", ["enabled", "collect_performance_metrics", "enable_predictive_scaling", "collect_connection_patterns"])
def test_what_a_coordinator_leaves_out(stage, cluster, mock, off):
    node = cluster.node(mock, analytics=ANALYTICS)
    lead(stage, cluster, **{off: False})
    if off == "collect_connection_patterns":
        wait_valid(node)
        page = wait_analytics(node)
        assert page["patterns"] == []
    elif off == "enable_predictive_scaling":
        wait_for(lambda: off in hints(node)["reason"], "the reason to be known")
        assert not hints(node)["valid"] and "hints_refused" not in node.log
    else:
        wait_for(lambda: len(records(cluster)) > 8, "a history that nobody reads")
        assert command(cluster.redis, "EXISTS", f"{BASE}:advice", f"{BASE}:series:0") == 0
        assert "none were published" in hints(node)["reason"]
