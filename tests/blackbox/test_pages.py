"""The pages that the guide sends an operator to: providers, circuits, latencies, memory. Alerts: test_alerts.py."""

import pytest
from harness import free_port, sanitized, wait_for
from test_admin import OPEN_PAGES, SECRET_PAGES

BREAKER = {"enabled": True, "failure_threshold": 2, "recovery_timeout": 1}


def endpoints(node, page, provider="mock"):
    return node.get(page).json()["providers"][provider]["endpoints"]


def of(*urls):
    return {"endpoints": [{"url": u} for u in urls]}


def test_pages_are_weirs_own(mock, node):
    for page in (*OPEN_PAGES, *SECRET_PAGES):
        assert node.get(page).status == 200, page
        assert node.get(page + "/").status == 200, page
    assert mock.stats()["requests"]["total"] == 0


def test_providers(stage, mock):
    node = stage.node({"mock": mock, "other": mock})
    assert node.get("/mock/echo").status == 200
    r = node.get("/health/providers")
    page = r.json()
    assert (r.status, page["status"]) == (200, "healthy") and set(page["providers"]) == {"mock", "other"}
    assert page["providers"]["mock"]["status"] == "healthy" and page["providers"]["mock"]["avg_response_time_ms"] > 0
    assert page["providers"]["other"]["first_byte_p50_ms"] is None, "nothing was asked of it"
    e = page["providers"]["mock"]["endpoints"][mock.url]
    assert (e["status"], e["ejected"], e["circuit"]["state"], e["addresses"]) == ("healthy", False, "closed", 1)
    assert (e["requests_total"], e["errors_total"], e["connections_idle"], e["last_check"]) == (1, 0, 1, None)


def test_one_endpoint_away_degrades_and_all_away_is_a_503(stage, mock):
    dead = f"http://127.0.0.1:{free_port()}"
    health = {"enabled": True, "check_interval": 0.1, "unhealthy_threshold": 2}
    node = stage.node({"half": of(mock.url, dead), "gone": of(dead)}, http_client={"health": health})
    wait_for(lambda: node.get("/health/providers").json()["providers"]["half"]["endpoints"][dead]["checks_failed"], "failed checks")
    page = wait_for(lambda: (lambda r: r.status == 503 and r.json())(node.get("/health/providers")), "the status")
    assert page["status"] == "degraded"
    assert {n: p["status"] for n, p in page["providers"].items()} == {"half": "degraded", "gone": "unhealthy"}
    half = page["providers"]["half"]["endpoints"]
    assert half[dead]["status"] == "unhealthy" and half[dead]["ejected"]
    assert not half[dead]["last_check"]["passed"] and "refused" in half[dead]["last_check"]["error"]
    assert half[dead]["last_check"]["at"].endswith("Z")
    passed = wait_for(lambda: endpoints(node, "/health/providers", "half")[mock.url]["last_check"], "a check that passed")
    assert passed["passed"] and passed["error"] is None
    health = node.get("/health").json()
    assert health["checks"]["providers"]["status"] == "degraded"


def test_circuit(stage, mock):
    node = stage.node(mock, http_client={"circuit_breaker": BREAKER})
    page = node.get("/health/circuit-breaker").json()
    assert (page["status"], page["open"]) == ("closed", 0)
    closed = page["providers"]["mock"]["endpoints"][mock.url]
    assert (closed["state"], closed["enabled"], closed["opened_total"], closed["retry_in_seconds"]) == ("closed", True, 0, 0)
    mock.plan(status=500)
    assert node.get("/echo").status == 500
    assert wait_for(lambda: endpoints(node, "/health/circuit-breaker")[mock.url]["failures_in_a_row"], "a failure") == 1
    assert node.get("/echo").status == 500
    page = wait_for(lambda: (lambda p: p["open"] == 1 and p)(node.get("/health/circuit-breaker").json()), "the circuit to open")
    assert page["status"] == "open"
    open_ = page["providers"]["mock"]["endpoints"][mock.url]
    assert open_["state"] == "open" and open_["opened_total"] == 1 and 0 <= open_["retry_in_seconds"] <= 1
    assert node.metric("weir_circuit_state", provider="mock", endpoint=mock.url) == 2
    assert node.metric("weir_circuit_transitions_total", to="open") == 1
    assert node.get("/health/providers").status == 503
    checks = node.get("/health").json()["checks"]["circuit_breaker"]
    assert (checks["status"], checks["open"]) == ("degraded", 1)
    mock.plan()
    wait_for(lambda: node.get("/echo").status == 200, "a probe that succeeds")
    wait_for(lambda: endpoints(node, "/health/circuit-breaker")[mock.url]["state"] == "closed", "the circuit to close")
    assert node.metric("weir_circuit_state") == 0


def test_a_circuit_that_is_off_says_so(stage, mock):
    node = stage.node(mock)
    assert endpoints(node, "/health/circuit-breaker")[mock.url]["enabled"] is False


def test_latency(mock, node):
    before = endpoints(node, "/debug/network/latency")[mock.url]
    assert before == {"dns": None, "connect": None, "tls": None, "first_byte": None}
    for _ in range(3):
        node.get("/echo")
    after = endpoints(node, "/debug/network/latency")[mock.url]
    assert after["dns"] is None and after["tls"] is None, "an address, and no TLS"
    assert after["connect"]["count"] == 1
    for stage in ("connect", "first_byte"):
        ms = after[stage]
        assert 0 < ms["last_ms"] and 0 < ms["p50_ms"] <= ms["p99_ms"] and ms["mean_ms"] > 0, stage


def test_memory_of_the_pool(mock, node):
    assert node.get("/debug/memory/pool").json()["objects"]["upstream_connections"]["count"] == 0
    node.get("/echo")
    page = node.get("/debug/memory/pool").json()
    objects = page["objects"]
    assert objects["upstream_connections"]["count"] == 1 and objects["upstream_connections"]["bytes"] > 500
    assert objects["client_connections"]["count"] >= 1 and objects["requests"]["count"] >= 1, "this one"
    assert objects["providers"]["count"] == 1 and objects["endpoints"]["count"] == 1
    for name in ("view_arenas", "configuration_arenas", "log_rings", "read_buffers", "workers"):
        assert objects[name]["bytes"] > 0, name
    assert page["objects_bytes"] == sum(o["bytes"] for o in objects.values())
    assert page["providers"]["mock"]["connections_idle"] == 1
    assert page["process"]["resident_bytes"] > 1_000_000


def test_memory_of_the_allocator(node):
    page = node.get("/debug/memory/gc").json()
    assert page["collector"] is None and "trim" not in page and page["process"]["resident_bytes"] > 1_000_000
    if not sanitized():  # which has an allocator of its own
        a = page["allocator"]
        assert a["arenas"] >= 1 and a["in_use_bytes"] > 0 and a["heap_bytes"] >= a["in_use_bytes"]


def test_a_trim(node):
    with node.client() as c:
        r = c.post("/debug/memory/gc", b"")
        assert r.status == 200
        trim = r.json()["trim"]
        assert trim["resident_bytes_before"] > 0 and trim["freed_bytes"] >= 0
        assert c.get("/echo").status == 200, "the connection goes on"


@pytest.mark.parametrize("page", ["/health/providers", "/health/circuit-breaker", "/api/alerts", "/debug/network/latency"])
def test_without_providers(stage, page):
    port = free_port()
    node = stage.node_of({"server": {"listen": f"127.0.0.1:{port}"}}, port)
    r = node.get(page)
    assert r.status == 200 and r.json()["version"]
