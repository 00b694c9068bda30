"""Connections to the provider: kept, shared, bounded, queued for, replaced."""

import re
import shutil
import subprocess
import threading

import pytest
from harness import sanitized, wait_for
from http1 import answering

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
PATIENT = {"timeout": {"pool": 60, "total": 600, "read": 600}}


def pool(**limits):
    """http_client with these limits and clocks that no test runs into."""
    return {**PATIENT, "pool_limits": {"pool_block_timeout": 60, "keepalive_expiry": 600, **limits}}


def ask_gated(node, mock, gate, target="/echo"):
    c = node.client()
    c.ask("GET", target, [("x-mock-gate", gate)])
    mock.wait_waiting(gate)
    return c


def answer(mock, gate, client):
    mock.steps(gate)
    r = client.response()
    assert r.status == 200, r
    return r.get("x-mock-connection")


def wait_pending(node, count):
    wait_for(lambda: node.pool("mock")["pending_requests"] == count, f"{count} requests in the queue")


def test_a_connection_is_used_again(mock, node):
    for _ in range(3):
        with node.client() as c:
            for _ in range(10):
                assert c.get("/echo").status == 200
    assert mock.stats()["connections"]["accepted"] == 1
    p = node.pool("mock")
    assert p["connections_created_total"] == 1 and p["total_requests"] == 30
    assert p["connection_reuse_rate_percent"] == pytest.approx(100 * 29 / 30)
    assert p["connections_idle"] == 1 and p["connections_active"] == 0 and p["connections_total"] == 1


def test_reuse_can_be_turned_off(stage, mock):
    for off in ({"enabled": False}, {"features": {"connection_reuse": False}}):
        mock.reset_stats()
        node = stage.node(mock, http_client=off)
        with node.client() as c:
            for _ in range(3):
                assert c.get("/echo").status == 200
        mock.wait_stats(lambda s: s["connections"]["open"] == 0, "the connections to close")
        assert mock.stats()["connections"]["accepted"] == 3


def test_the_last_one_used_goes_out_first(stage, mock):
    node = stage.node(mock, http_client=pool())
    clients = {g: ask_gated(node, mock, g) for g in "abc"}
    used = [answer(mock, g, clients[g]) for g in "bca"]
    assert len(set(used)) == 3
    with node.client() as c:
        assert [c.get("/echo").get("x-mock-connection") for _ in range(4)] == [used[-1]] * 4
    first, second = (ask_gated(node, mock, g) for g in "xy")
    assert answer(mock, "x", first) == used[-1]
    assert answer(mock, "y", second) == used[-2]
    for c in [*clients.values(), first, second]:
        c.close()


def test_idle_connections_expire(stage, mock):
    node = stage.node(mock, http_client=pool(keepalive_expiry=0.2))
    with node.client() as c:
        c.get("/echo")
        mock.wait_stats(lambda s: s["connections"]["closed_by_client"] == 1, "the idle connection to be closed")
        c.get("/echo")
    assert mock.stats()["connections"]["accepted"] == 2
    assert node.pool("mock")["connections_closed_total"] >= 1


def test_the_rest_ages_out_while_one_is_used(stage, mock):
    """A stack: what is not needed is not kept alive by being passed round."""
    node = stage.node(mock, http_client=pool(keepalive_expiry=0.5))
    clients = {g: ask_gated(node, mock, g) for g in "abcd"}
    for g, c in clients.items():
        answer(mock, g, c)
    with node.client() as c:

        def others_are_gone():
            assert c.get("/echo").status == 200
            return mock.stats()["connections"]["open"] == 1

        wait_for(others_are_gone, "all but the used connection to expire")
    for c in clients.values():
        c.close()


def test_the_peers_own_limit_is_heeded(stage):
    upstream = stage.upstream(answering(b"HTTP/1.1 200 OK\r\nKeep-Alive: timeout=2\r\nContent-Length: 2\r\n\r\nok"))
    node = stage.node(upstream, http_client=pool())
    with node.client() as c:
        c.get("/")
        wait_for(lambda: node.pool("mock")["connections_idle"] == 0, "the connection to be closed before the peer would")


def test_surplus_idle_connections_are_closed(stage, mock):
    node = stage.node(mock, http_client=pool(max_keepalive_connections=1))
    clients = {g: ask_gated(node, mock, g) for g in "abc"}
    for g, c in clients.items():
        answer(mock, g, c)
    mock.wait_stats(lambda s: s["connections"]["open"] == 1, "the surplus to be closed")
    assert node.pool("mock")["connections_idle"] == 1
    for c in clients.values():
        c.close()


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_limit_is_exact(stage, mock, workers):
    """Never one connection more than max_connections, whoever asks, and all of them in use while requests wait."""
    node = stage.node(mock, http_client=pool(max_connections=5), server={"workers": workers})
    clients = [node.client() for _ in range(40)]
    for c in clients:
        c.ask("GET", "/echo", [("x-mock-gate", "g")])
    mock.wait_waiting("g", 5)
    wait_pending(node, 35)
    p = node.pool("mock")
    assert p["connections_active"] == 5 and p["available_connections"] == 0
    assert p["pool_utilization_percent"] == 100 and p["connection_pool_utilization_percent"] == 100
    mock.steps("g", "all")
    assert [c.response().status for c in clients] == [200] * 40
    s = mock.stats()
    assert s["connections"]["open_max"] == 5 and s["requests"]["open_max"] == 5
    for c in clients:
        c.close()


def test_limit_is_exact_under_churn(stage):
    """Connections that end all the time: a slot is free again only when its connection is gone."""
    mock = stage.mock()
    node = stage.node(mock, http_client=pool(max_connections=4), server={"workers": 2})
    failures = []

    def run(k):
        with node.client() as c:
            for i in range(40):
                r = c.get("/echo", [("x-mock-close", "1")] if (i + k) % 3 == 0 else [])
                if r.status != 200:
                    failures.append(r)

    threads = [threading.Thread(target=run, args=(k,)) for k in range(12)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not failures
    # The mock counts a connection out when it sees its end, which may be after the node's next connect.
    assert mock.stats()["requests"]["open_max"] <= 4


def test_queue_is_served_in_order(stage):
    mock = stage.mock()
    seen = []
    node = stage.node(mock, http_client=pool(max_connections=1))
    first = ask_gated(node, mock, "g", "/echo/0")
    waiting = []
    for i in range(1, 6):
        c = node.client()
        c.ask("GET", f"/echo/{i}", [("x-mock-gate", f"g{i}")])
        waiting.append(c)
        wait_pending(node, i)
    answer(mock, "g", first)
    for i, c in enumerate(waiting, 1):
        mock.wait_waiting(f"g{i}")
        seen.append(i)
        answer(mock, f"g{i}", c)
    assert seen == [1, 2, 3, 4, 5]
    assert mock.stats()["connections"]["accepted"] == 1
    for c in [first, *waiting]:
        c.close()


def assert_busy(r, code):
    assert r.status == 503, r
    assert r.get("x-weir-error") == r.json()["error"]["code"] == code
    assert int(r.get("retry-after")) >= 1


@pytest.mark.parametrize("clock", [{"pool_limits": {"pool_block_timeout": 0.2}}, {"timeout": {"pool": 0.2}}])
def test_waiting_has_an_end(stage, mock, clock):
    limits = {"max_connections": 1, **clock.get("pool_limits", {})}
    node = stage.node(mock, http_client={"pool_limits": limits, "timeout": clock.get("timeout", {})})
    first = ask_gated(node, mock, "g")
    with node.client() as c:
        assert_busy(c.get("/echo"), "pool_timeout")
        assert node.pool("mock")["pending_requests"] == 0
        answer(mock, "g", first)
        assert c.get("/echo").status == 200
    first.close()
    assert node.metric("weir_pool_queue_timeouts_total") == 1


def test_queue_is_bounded(stage, mock):
    node = stage.node(mock, http_client=pool(max_connections=1, max_pending=2))
    first = ask_gated(node, mock, "g")
    queued = []
    for i in range(2):
        c = node.client()
        c.ask("GET", "/echo")
        queued.append(c)
        wait_pending(node, i + 1)
    with node.client() as c:
        assert_busy(c.get("/echo"), "pool_full")
    answer(mock, "g", first)
    assert [c.response().status for c in queued] == [200, 200]
    assert node.metric("weir_pool_queue_full_total") == 1
    for c in [first, *queued]:
        c.close()


def test_providers_have_queues_of_their_own(stage):
    full, free = stage.mock(), stage.mock()
    node = stage.node({"full": full, "free": free}, http_client=pool(max_connections=1))
    first = ask_gated(node, full, "g", "/full/echo")
    with node.client() as c, node.client() as waiting:
        waiting.ask("GET", "/full/echo")
        wait_for(lambda: node.pool("full")["pending_requests"] == 1, "the queue of the full one")
        assert c.get("/free/echo").status == 200
        answer(full, "g", first)
        assert waiting.response().status == 200
    first.close()


def endpoints(*mocks, weights=None):
    weights = weights or [1] * len(mocks)
    return {"mock": {"endpoints": [{"url": m.url, "weight": w} for m, w in zip(mocks, weights)]}}


def test_weights(stage):
    a, b = stage.mock("--name", "a"), stage.mock("--name", "b")
    node = stage.node(endpoints(a, b, weights=[3, 1]))
    with node.client() as c:
        names = [c.get("/echo").get("x-mock-name") for _ in range(40)]
    assert names.count("a") == 30 and names.count("b") == 10
    assert "aaaa" not in "".join(names).replace("b", "-"), "smooth: never four in a row"


@pytest.mark.parametrize("on", [True, False])
def test_keepalive_probes(stage, mock, on):
    """The kernel runs a timer for a connection that is probed."""
    node = stage.node(mock, http_client={**pool(), "features": {"tcp_keepalive": on}})
    assert node.get("/echo").status == 200

    def timers():
        with open("/proc/net/tcp", encoding="ascii") as table:
            rows = [line.split() for line in table]
        return [row[5][:2] for row in rows if row[2].endswith(f":{mock.port:04X}") and row[3] == "01"]

    wait_for(lambda: timers() == ["02" if on else "00"], "one connection, with a timer or without")


def test_a_new_endpoint_starts_slowly(stage):
    a, b = stage.mock("--name", "a"), stage.mock("--name", "b")
    node = stage.node(endpoints(a), http_client={"slow_start": 3600})

    def given():
        """Of 110 requests those that the new one was sent."""
        with node.client() as c:
            return [c.get("/echo").get("x-mock-name") for _ in range(110)].count("b")

    def reload(seconds):
        before = len(node.events("reload"))
        node.reload(stage.config(node.port, endpoints(a, b), http_client={"slow_start": seconds}))
        node.wait_events("reload", before + 1)

    assert given() == 0
    reload(3600)
    assert 0 < given() < 20, "about a tenth of the other's share"
    reload(0)
    assert given() > 50, "the same share as the other's"


def test_eviction_makes_room_for_another_endpoint(stage):
    a, b = stage.mock("--name", "a"), stage.mock("--name", "b")
    node = stage.node(endpoints(a, b), http_client=pool(max_connections=1))
    with node.client() as c:
        names = [c.get("/echo").get("x-mock-name") for _ in range(6)]
    assert sorted(names) == ["a"] * 3 + ["b"] * 3
    assert node.metric("weir_pool_evictions_total") == 5
    assert node.pool("mock")["connections_total"] == 1


def test_connection_that_the_peer_closed_is_not_used(stage, mock):
    node = stage.node(mock, http_client=pool())
    with node.client() as c:
        for i in range(10):
            assert c.get("/echo", [("x-mock-silent-close", "1")]).status == 200
            wait_for(lambda: node.pool("mock")["connections_idle"] == 0, "the end to be noticed")
    assert mock.stats()["connections"]["accepted"] == 10
    assert node.pool("mock")["error_count"] == 0


def test_connection_that_says_something_unasked_is_not_used(stage):
    def script(wire, _):
        wire.request()
        wire.send(OK)
        wire.send(b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        wire.to_end()

    upstream = stage.upstream(script)
    node = stage.node(upstream, http_client=pool())
    with node.client() as c:
        for i in range(5):
            assert c.get("/").body == b"ok"
            wait_for(lambda: node.pool("mock")["connections_idle"] == 0, "the connection to be dropped")


def stale_script(first_answers):
    """Answers some requests on each connection; then takes one more and closes without a word."""

    def script(wire, up):
        for _ in range(first_answers):
            wire.request()
            wire.send(OK)
        wire.request_head()
        with up.lock:
            up.dropped = getattr(up, "dropped", 0) + 1

    return script


@pytest.mark.parametrize("end", ["close", "reset"])
def test_stale_connection_is_replaced_once(stage, end):
    def script(wire, up):
        wire.request()
        wire.send(OK)
        wire.request_head()
        if end == "reset":
            wire.reset()

    upstream = stage.upstream(script)
    node = stage.node(upstream, http_client=pool())
    with node.client() as c:
        for _ in range(6):
            assert c.get("/").body == b"ok"
    assert len(upstream.requests) == 6 and upstream.connections == 6
    assert node.metric("weir_pool_stale_replacements_total") == 5
    p = node.pool("mock")
    assert p["total_requests"] == 6, "a free replacement is no try of its own"


def test_stale_connection_is_replaced_with_the_whole_body(stage):
    body = bytes(range(256)) * 100
    upstream = stage.upstream(stale_script(1))
    node = stage.node(upstream, http_client=pool())
    with node.client() as c:
        for _ in range(4):
            assert c.post("/", body).body == b"ok"
    assert [r.body for r in upstream.requests] == [body] * 4


def test_body_that_is_too_large_to_be_kept_goes_out_on_a_new_connection(stage):
    body = b"x" * 300000
    upstream = stage.upstream(stale_script(1))
    node = stage.node(upstream, http_client=pool())
    with node.client() as c:
        for _ in range(4):
            assert c.post("/", body).body == b"ok"
    assert [len(r.body) for r in upstream.requests] == [len(body)] * 4
    assert getattr(upstream, "dropped", 0) == 0


def test_new_connection_that_dies_is_not_replaced(stage):
    upstream = stage.upstream(stale_script(0))
    node = stage.node(upstream, http_client=pool())
    with node.client() as c:
        r = c.get("/")
        assert (r.status, r.get("x-weir-error")) == (502, "upstream_closed")
    assert upstream.dropped == 1 and node.metric("weir_pool_stale_replacements_total") == 0


def test_answer_that_had_begun_is_not_asked_for_again(stage):
    def script(wire, _):
        wire.request()
        wire.send(OK)
        wire.request()
        wire.send(b"HTTP/1.1 200 OK\r\nContent-")

    upstream = stage.upstream(script)
    node = stage.node(upstream, http_client=pool())
    with node.client() as c:
        assert c.get("/a").status == 200
        assert c.get("/b").status == 502
    assert [r.target for r in upstream.requests] == ["/a", "/b"]


def test_upstream_that_closes_at_random(stage):
    """Requests with bodies, from several clients, over two workers: none of them notices."""
    mock = stage.mock("--close-idle-random", "0.3", "--close-idle-window", "5")
    node = stage.node(mock, http_client=pool(), server={"workers": 2})
    failures = []

    def run(k):
        with node.client() as c:
            for i in range(300):
                r = c.post("/upload", b"x" * (1 + (i * 97) % 5000))
                if r.status != 200 or r.json()["bytes"] != 1 + (i * 97) % 5000:
                    failures.append(r)

    threads = [threading.Thread(target=run, args=(k,)) for k in range(6)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not failures, failures[:3]
    assert mock.stats()["connections"]["closed_idle"] > 100


@pytest.mark.slow
def test_200000_requests_through_an_upstream_that_closes_at_random(stage):
    if shutil.which("h2load") is None:
        pytest.skip("no h2load (nghttp2-client) here")
    total = 20000 if sanitized() else 200000
    mock = stage.mock("--close-idle-random", "0.02")
    node = stage.node(mock, http_client=pool(), server={"workers": 2}, logging={"access": False})
    command = ["h2load", "--h1", "-n", str(total), "-c", "32", "-t", "1", f"http://127.0.0.1:{node.port}/bench?bytes=100"]
    out = subprocess.run(command, capture_output=True, text=True, timeout=800, check=True).stdout
    done = re.search(r"requests: (\d+) total, \d+ started, (\d+) done, (\d+) succeeded, (\d+) failed, (\d+) errored", out)
    assert [int(n) for n in done.groups()] == [total, total, total, 0, 0], out
    assert re.search(rf"status codes: {total} 2xx, 0 3xx, 0 4xx, 0 5xx", out), out
    closed = mock.stats()["connections"]["closed_idle"]
    replaced = node.metric("weir_pool_stale_replacements_total")
    noticed = node.metric("weir_pool_connections_closed_total", reason="idle_peer")
    print(f"{closed} connections closed by the upstream, {noticed:.0f} noticed in time, {replaced:.0f} replaced")
    assert closed > total / 200 and replaced > 0


def test_idle_connection_is_handed_to_another_worker(stage, mock):
    """One connection, many workers: it goes to whichever has a request, and nobody waits for ever."""
    node = stage.node(mock, http_client=pool(max_connections=1), server={"workers": 4})
    failures = []

    def run(k):
        for _ in range(15):
            with node.client() as c:
                if c.get("/echo").status != 200:
                    failures.append(k)

    threads = [threading.Thread(target=run, args=(k,)) for k in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not failures
    assert mock.stats()["connections"]["open_max"] == 1
    assert node.pool("mock")["pending_requests"] == 0


def test_lifetime_is_bounded(stage, mock):
    node = stage.node(mock, http_client=pool(max_lifetime=0.2))
    with node.client() as c:

        def is_renewed():
            return c.get("/echo").get("x-mock-connection") != "1"

        wait_for(is_renewed, "the connection to be replaced")


def test_numbers_agree(stage, mock):
    node = stage.node(mock, http_client=pool(max_connections=10, max_keepalive_connections=4))
    held = [ask_gated(node, mock, g) for g in "ab"]
    p = node.pool("mock")
    assert p["max_connections"] == 10 and p["max_keepalive_connections"] == 4
    assert p["connections_active"] == p["active_connections"] == 2
    assert p["connections_total"] == p["connections_created_total"] - p["connections_closed_total"] == 2
    assert p["available_connections"] == p["connections_idle"] + 10 - p["connections_total"] == 8
    assert p["pool_utilization_percent"] == p["connection_pool_utilization_percent"] == 20
    overall = node.pool()
    assert {k: overall[k] for k in p if k in overall} == {k: p[k] for k in p if k in overall}
    for g, c in zip("ab", held):
        answer(mock, g, c)
        c.close()
