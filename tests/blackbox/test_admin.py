"""weir's own pages, who may see them, and the client's address as the node understands it."""

import base64
import re
import signal
import socket
import struct

import pytest
from harness import free_port, has_dashboard, refused, wait_for
from http1 import Client, Closed

GUIDE_POOL = [
    "max_keepalive_connections",
    "max_connections",
    "active_connections",
    "available_connections",
    "pending_requests",
    "total_requests",
    "error_count",
    "avg_response_time_ms",
    "connections_active",
    "connections_idle",
    "connections_total",
    "connections_pending",
    "connections_created_total",
    "connections_closed_total",
    "connection_errors_total",
    "connection_timeouts_total",
    "avg_connection_time_ms",
    "pool_utilization_percent",
    "connection_pool_utilization_percent",
    "connection_reuse_rate_percent",
    "error_rate",
]
TOKEN = [("Authorization", "Bearer admin-token")]
SECRET_PAGES = [
    "/metrics",
    "/metrics/prometheus",
    "/api/http-client/pool/stats",
    "/api/alerts",
    "/api/cluster/state",
    "/api/cluster/nodes",
    "/api/cluster/shards",
    "/api/cluster/map",
    "/api/cluster/breakers",
    "/api/cluster/limits",
    "/api/cluster/hints",
    "/api/cluster/analytics",
    "/api/cluster/overview",
    *(["/dashboard"] if has_dashboard() else []),
    "/debug/network/latency",
    "/debug/memory/pool",
    "/debug/memory/gc",
]
OPEN_PAGES = ["/health", "/health/live", "/health/ready", "/health/connections", "/health/providers", "/health/circuit-breaker"]


def test_health(node):
    r = node.get("/health")
    assert r.status == 200 and r.get("content-type").startswith("application/json")
    health = r.json()
    assert health["status"] in ("healthy", "degraded") and "memory" in health["checks"]
    assert node.get("/health/live").status == 200 and node.get("/health/ready").status == 200
    connections = node.get("/health/connections")
    assert connections.status == 200 and connections.json()["status"] == "healthy"


def test_health_shows_a_provider_that_is_away(stage):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        node = stage.node(f"http://127.0.0.1:{s.getsockname()[1]}")
        assert node.get("/x").status == 502
        assert node.get("/health/connections").json()["providers"]["mock"]["status"] == "unhealthy"
        assert node.get("/health/ready").status == 200


def test_metrics_have_the_guides_names(node):
    node.get("/echo")
    pool = node.get("/metrics").json()["connection_pool"]
    for name in GUIDE_POOL:
        assert isinstance(pool[name], (int, float)), name
        assert isinstance(pool["providers"]["mock"][name], (int, float)), name
    assert pool["total_requests"] == 1 and pool["connections_created_total"] == 1


def test_pool_stats_have_the_guides_names(node):
    node.get("/echo")
    stats = node.get("/api/http-client/pool/stats").json()
    provider = stats["providers"]["mock"]
    for name in GUIDE_POOL:
        assert isinstance(stats[name], (int, float)) and isinstance(provider[name], (int, float)), name
    (endpoint,) = provider["endpoints"].values()
    assert endpoint["connections_created_total"] == 1


def test_prometheus(mock, node):
    node.get("/echo")
    r = node.get("/metrics/prometheus")
    assert r.get("content-type").startswith("text/plain; version=0.0.4")
    names = set(re.findall(r"^([a-zA-Z_:][\w:]*)[ {]", r.text, re.M))
    assert set(GUIDE_POOL) <= names
    typed = set(re.findall(r"^# TYPE (\S+) (?:counter|gauge|histogram)$", r.text, re.M))
    base = {re.sub(r"_(bucket|sum|count)$", "", n) if re.sub(r"_(bucket|sum|count)$", "", n) in typed else n for n in names}
    assert base == typed
    for histogram in ("request", "first_byte", "connect", "queue"):
        assert any(histogram in n and n.endswith("_bucket") for n in names), histogram
    assert node.metric("total_requests", provider="mock", endpoint=mock.url) == 1
    seen = set()
    for line in r.text.splitlines():
        if line and not line.startswith("#"):
            series = line.rsplit(" ", 1)[0]
            assert series not in seen, f"{series} is there twice"
            seen.add(series)
            float(line.rsplit(" ", 1)[1])


def test_bytes_are_counted_while_they_move(stage, mock):
    """A stream that goes on for an hour shows in the counters meanwhile."""
    node = stage.node(mock, server={"workers": 2})
    with node.client() as c:
        c.ask("POST", "/v1/chat/completions", [("x-mock-gate", "g")], b'{"model":"m","stream":true,"messages":[]}')
        mock.steps("g")
        assert c.response_head().status == 200
        mock.steps("g")
        c.event()
        # What the questions themselves move is a multiple of this only after many of them.
        sent, received = node.metric("weir_upstream_sent_bytes_total"), node.metric("weir_upstream_received_bytes_total")
        assert sent > 100 and received > 100
        mock.steps("g")
        c.event()
        wait_for(lambda: node.metric("weir_upstream_received_bytes_total") > received, "more bytes")
        mock.steps("g", "all")


def test_pages_are_for_reading(node):
    for page in (*SECRET_PAGES, *OPEN_PAGES):
        takes = "GET, HEAD, POST" if page == "/debug/memory/gc" else "GET, HEAD"
        for method in ("POST", "DELETE") if "POST" not in takes else ("DELETE",):
            with node.client() as c:
                r = c.request(method, page, body=b"x")
                assert (r.status, r.get("x-weir-error"), r.get("allow")) == (405, "method_not_allowed", takes)
                assert r.json()["error"]["message"] == f"This page takes {takes}."
        with node.client() as c:
            r = c.request("HEAD", page)
            assert r.status == 200 and r.body == b""


def test_pages_win_over_upstream_paths(mock, node):
    node.get("/metrics")
    node.get("/health")
    assert mock.stats()["requests"]["total"] == 0
    assert node.get("/healthy").status == 404
    assert mock.stats()["requests"]["total"] == 1


def ask(node, page, headers=()):
    with node.client() as c:
        return c.get(page, headers)


def stranger(stage, mock, admin=None):
    """A node that hears from a trusted proxy that its client is somewhere else."""
    return stage.node(mock, server={"trusted_proxies": ["127.0.0.0/8"], **({"admin": admin} if admin else {})})


ELSEWHERE = [("X-Forwarded-For", "203.0.113.9")]


def assert_denied(r):
    assert r.status in (401, 403), r
    assert r.json()["error"]["code"] == r.get("x-weir-error")


@pytest.mark.parametrize("page", SECRET_PAGES)
def test_loopback_needs_no_token(stage, mock, page):
    node = stage.node(mock, server={"admin": {"token": "admin-token"}})
    assert ask(node, page).status == 200


@pytest.mark.parametrize("page", SECRET_PAGES)
def test_others_need_the_token(stage, mock, page):
    node = stranger(stage, mock, {"token": "admin-token"})
    assert_denied(ask(node, page, ELSEWHERE))
    for wrong in ("Bearer admin-toke", "Bearer admin-tokenx", "Bearer ", "Basic admin-token", "admin-token"):
        assert_denied(ask(node, page, [*ELSEWHERE, ("Authorization", wrong)]))
    assert ask(node, page, [*ELSEWHERE, *TOKEN]).status == 200
    for open_page in OPEN_PAGES:
        assert ask(node, open_page, ELSEWHERE).status == 200


def basic(user, password):
    return [("Authorization", "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode())]


def test_browsers_send_the_token_as_a_password(stage, mock):
    node = stranger(stage, mock, {"token": "admin-token"})
    asked = ask(node, "/dashboard", ELSEWHERE)
    assert asked.status == 401 and any(v.startswith("Basic ") for v in asked.all("www-authenticate"))
    assert not any(v.startswith("Basic ") for v in ask(node, "/metrics", ELSEWHERE).all("www-authenticate"))
    for page in SECRET_PAGES:
        assert ask(node, page, [*ELSEWHERE, *basic("me", "admin-token")]).status == 200
    assert ask(node, "/metrics", [*ELSEWHERE, *basic("", "admin-token")]).status == 200
    wrong = [basic("admin-token", ""), basic("me", "admin-toke"), basic("me", "admin-token:"), basic("me", "x" * 2000)]
    for fields in (*wrong, [("Authorization", "Basic !!!!")], [("Authorization", "Basic ")]):
        assert_denied(ask(node, "/metrics", [*ELSEWHERE, *fields]))


def test_a_password_is_good_for_reading_only(stage, mock):
    """A browser sends it whichever site makes it ask."""
    node = stranger(stage, mock, {"token": "admin-token"})
    for fields, status in ((basic("me", "admin-token"), 401), (TOKEN, 200)):
        with node.client() as c:
            assert c.request("POST", "/debug/memory/gc", [*ELSEWHERE, *fields]).status == status


def test_without_a_token_others_are_denied(stage, mock):
    node = stranger(stage, mock)
    assert_denied(ask(node, "/metrics", ELSEWHERE))
    assert_denied(ask(node, "/metrics", [*ELSEWHERE, ("Authorization", "Bearer ")]))


def test_allowed_networks(stage, mock):
    node = stranger(stage, mock, {"allow": ["203.0.113.0/24"]})
    assert ask(node, "/metrics", ELSEWHERE).status == 200
    assert_denied(ask(node, "/metrics", [("X-Forwarded-For", "198.51.100.1")]))
    assert_denied(ask(node, "/metrics"))


def test_token_from_a_file(stage, mock):
    path = stage.scratch / "token"
    path.write_text("admin-token\n")
    node = stranger(stage, mock, {"token_file": str(path)})
    assert_denied(ask(node, "/metrics", ELSEWHERE))
    assert ask(node, "/metrics", [*ELSEWHERE, *TOKEN]).status == 200


@pytest.mark.parametrize("field", ["X-Forwarded-For", "Forwarded"])
def test_forwarding_fields_of_a_stranger_end_the_trust(stage, mock, field):
    """Behind a proxy that nobody declared, everyone would seem to come from loopback."""
    node = stage.node(mock)
    assert ask(node, "/metrics").status == 200
    r = ask(node, "/metrics", [(field, "for=203.0.113.9" if field == "Forwarded" else "203.0.113.9")])
    assert_denied(r)
    assert_denied(ask(node, "/metrics", [(field, "127.0.0.1")]))


def test_chain_of_proxies(stage, mock):
    """The first address from the right that is not a trusted proxy's counts; what is left of it, anyone can write."""
    node = stage.node(mock, server={"trusted_proxies": ["127.0.0.0/8", "10.0.0.0/8"], "admin": {"allow": ["203.0.113.9/32"]}})

    def by(value):
        return ask(node, "/metrics", [("X-Forwarded-For", value)])

    assert by("203.0.113.9").status == 200
    assert by("203.0.113.9, 10.1.1.1").status == 200
    assert_denied(by("203.0.113.9, 198.51.100.1"))
    assert_denied(by("203.0.113.9, 198.51.100.1, 10.1.1.1"))
    assert_denied(by("nonsense"))
    with node.client() as c:
        headers = [("X-Forwarded-For", "198.51.100.1"), ("X-Forwarded-For", "203.0.113.9, 10.1.1.1")]
        assert c.get("/metrics", headers).status == 200


def test_port_of_its_own(stage, mock):
    admin = free_port()
    node = stage.node(mock, ready=False, server={"admin": {"listen": f"127.0.0.1:{admin}"}})

    def on_admin(page):
        with Client(admin) as c:
            return c.get(page)

    wait_for(lambda: on_admin("/health/ready").status == 200, "the admin port")
    for page in (*OPEN_PAGES, *SECRET_PAGES):
        assert on_admin(page).status == 200, page
    r = on_admin("/echo")
    assert (r.status, r.get("x-weir-error")) == (404, "not_found")
    assert mock.stats()["requests"]["total"] == 0
    assert node.get("/metrics").status == 404, "it is the upstream's answer"
    assert mock.stats()["requests"]["total"] == 1


def test_admin_port_outlives_the_clients_in_a_drain(stage, mock):
    admin = free_port()
    server = {"admin": {"listen": f"127.0.0.1:{admin}"}, "workers": 2, "drain_timeout": 600, "header_timeout": 600}
    node = stage.node(mock, ready=False, server=server)

    def on_admin(page):
        with Client(admin) as c:
            return c.get(page)

    wait_for(lambda: on_admin("/health/ready").status == 200, "the admin port")
    kept = Client(admin)
    assert kept.get("/health/live").status == 200
    kept.send(b"GET /metr")
    with node.client() as c:
        c.ask("GET", "/echo", [("x-mock-gate", "g")])
        mock.wait_waiting("g")
        node.tell(signal.SIGTERM)
        wait_for(lambda: refused(node.port), "the clients' port to close")
        ready = on_admin("/health/ready")
        assert (ready.status, ready.json()["status"]) == (503, "draining")
        assert re.search(r"^weir_draining 1$", on_admin("/metrics/prometheus").text, re.M)
        mock.steps("g")
        assert c.response().status == 200
    assert node.wait() == 0, "and a scraper that hangs does not keep it from ending"
    kept.close()


def test_a_drain_that_closes_idle_clients_leaves_the_admin_ports(stage, mock):
    admin = free_port()
    server = {"admin": {"listen": f"127.0.0.1:{admin}"}, "workers": 1, "drain_timeout": 600}
    node = stage.node(mock, ready=False, server=server)
    wait_for(lambda: not refused(admin), "the admin port")
    with node.client() as busy, node.client() as idle, Client(admin) as scraper:
        busy.ask("GET", "/echo", [("x-mock-gate", "g")])
        mock.wait_waiting("g")
        assert idle.get("/echo").status == 200
        node.tell(signal.SIGTERM)
        assert idle.at_end(), "the grace is over"
        assert scraper.get("/health/ready").json()["status"] == "draining"
        mock.steps("g")
        assert busy.response().status == 200
    assert node.wait() == 0


V1 = b"PROXY TCP4 203.0.113.9 192.0.2.1 5555 80\r\n"
V2_SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


def v2(command=0x21, family=0x11, body=None, extra=b""):
    if body is None:
        body = socket.inet_aton("203.0.113.9") + socket.inet_aton("192.0.2.1") + struct.pack("!HH", 5555, 80)
    return V2_SIGNATURE + struct.pack("!BBH", command, family, len(body) + len(extra)) + body + extra


V2_6 = v2(family=0x21, body=socket.inet_pton(socket.AF_INET6, "2001:db8::9") * 2 + struct.pack("!HH", 5555, 80))
SAID = {
    "v1": (V1, "203.0.113.9"),
    "v1-ipv6": (b"PROXY TCP6 2001:db8::9 2001:db8::1 5555 80\r\n", "2001:db8::9"),
    "v1-unknown": (b"PROXY UNKNOWN\r\n", "127.0.0.1"),
    "v1-unknown-with-text": (b"PROXY UNKNOWN ffff:f...f 1 2\r\n", "127.0.0.1"),
    "v2": (v2(), "203.0.113.9"),
    "v2-ipv6": (V2_6, "2001:db8::9"),
    "v2-local": (v2(command=0x20), "127.0.0.1"),
    "v2-local-empty": (v2(command=0x20, family=0, body=b""), "127.0.0.1"),
    "v2-with-tlv": (v2(extra=b"\x04\x00\x03abc"), "203.0.113.9"),
}


@pytest.fixture
def behind(stage, mock):
    port = free_port()
    config = stage.config(port, mock, server={"proxy_protocol": True})
    node = stage.node_of(config, port, ready=False)

    def is_ready():
        with node.client() as c:
            c.send(b"PROXY UNKNOWN\r\n")
            return c.get("/health/ready").status == 200

    wait_for(is_ready, "the node to be ready")
    return node


def address_seen(client):
    return dict(client.get("/echo").json()["headers"])["x-forwarded-for"]


@pytest.mark.parametrize(("header", "address"), SAID.values(), ids=SAID.keys())
@pytest.mark.parametrize("cut", ["whole", "bytes"])
def test_proxy_protocol(behind, header, address, cut):
    with behind.client() as c:
        for piece in [header] if cut == "whole" else [header[i : i + 1] for i in range(len(header))]:
            c.send(piece)
        assert address_seen(c) == address
        assert address_seen(c) == address


def test_proxy_protocol_with_the_request_behind_it(behind):
    with behind.client() as c:
        c.send(V1 + b"GET /echo HTTP/1.1\r\nHost: x\r\n\r\n")
        assert dict(c.response().json()["headers"])["x-forwarded-for"] == "203.0.113.9"


def test_proxy_protocol_decides_trust(behind):
    with behind.client() as c:
        c.send(V1)
        assert_denied(c.get("/metrics"))
    with behind.client() as c:
        c.send(b"PROXY UNKNOWN\r\n")
        assert c.get("/metrics").status == 200


NOT_SAID = {
    "none": b"GET /echo HTTP/1.1\r\nHost: x\r\n\r\n",
    "v1-bad-address": b"PROXY TCP4 203.0.113.999 192.0.2.1 5555 80\r\n",
    "v1-bad-port": b"PROXY TCP4 203.0.113.9 192.0.2.1 99999 80\r\n",
    "v1-bad-family": b"PROXY TCP5 203.0.113.9 192.0.2.1 5555 80\r\n",
    "v1-too-long": b"PROXY TCP4 " + b"1" * 200 + b"\r\n",
    "v1-bare-lf": b"PROXY TCP4 203.0.113.9 192.0.2.1 5555 80\n",
    "v2-bad-version": v2(command=0x31),
    "v2-bad-command": v2(command=0x2F),
    "v2-too-short": v2(body=b"1234"),
    "v2-too-long": V2_SIGNATURE + struct.pack("!BBH", 0x21, 0x11, 65535) + b"x" * 65535,
}


@pytest.mark.parametrize("header", NOT_SAID.values(), ids=NOT_SAID.keys())
def test_proxy_protocol_that_is_wrong(behind, mock, header):
    mock.reset_stats()
    with behind.client() as c:
        try:
            c.send(header + b"GET /echo HTTP/1.1\r\nHost: x\r\n\r\n")
            answer = c.to_end()
        except (Closed, ConnectionResetError, BrokenPipeError):
            answer = b""
    assert b"200 OK" not in answer
    assert mock.stats()["requests"]["total"] == 0


def test_proxy_protocol_by_listener(stage, mock):
    plain, behind = free_port(), free_port()
    listen = [f"127.0.0.1:{plain}", {"address": f"127.0.0.1:{behind}", "proxy_protocol": True}]
    config = stage.config(plain, mock, server={"listen": listen})
    stage.node_of(config, plain)
    with Client(plain) as c:
        assert address_seen(c) == "127.0.0.1"
    with Client(behind) as c:
        c.send(V1)
        assert address_seen(c) == "203.0.113.9"


def test_header_timeout_counts_from_the_connection(stage, mock):
    port = free_port()
    config = stage.config(port, mock, server={"proxy_protocol": True, "header_timeout": 0.2})
    node = stage.node_of(config, port, ready=False)
    wait_for(lambda: not Client(port).close(), "the port")
    with node.client() as c:
        c.send(b"PROXY TC")
        assert c.at_end()
