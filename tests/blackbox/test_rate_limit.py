"""A provider's rate limit: what it lets through, who waits, who is refused and what they are told."""

import threading
import time

import pytest

from harness import wait_for
from retrying import access

NOW = "weir_rate_limit_requests_total"


def limited(mock, per_minute, burst=1, **more):
    return {"mock": {"base_url": mock.url, "rate_limit": {"requests_per_minute": per_minute, "burst": burst, **more}}}


def waits(seconds, pending=1000):
    return {"pool_limits": {"pool_block_timeout": seconds, "max_pending": pending}, "timeout": {"pool": seconds}}


def outcomes(node, provider="mock"):
    return {r: node.metric(NOW, provider=provider, result=r) for r in ("admitted", "queued", "refused", "left")}


def wait_waiting(node, count, provider="mock"):
    wait_for(lambda: node.metric("weir_rate_limit_waiting", provider=provider) == count, f"{count} requests to wait")


def in_background(call):
    got = []
    thread = threading.Thread(target=lambda: got.append(call()))
    thread.start()
    return thread, got


@pytest.mark.parametrize("workers", [1, 2])
def test_no_more_than_the_limit_comes_through(stage, mock, workers):
    """Six thousand a minute, and clients that ask without a pause: by any moment no more has come than had been earned."""
    rate, burst, wanted = 100, 20, 250
    node = stage.node(limited(mock, rate * 60, burst), server={"workers": workers}, http_client=waits(0.2))
    begun = time.monotonic()  # the clock of the mock's times
    answered, refused = [], []

    def ask():
        with node.client() as c:
            while len(answered) < wanted:
                status = c.get("/echo").status
                (answered if status == 200 else refused).append(status)

    threads = [threading.Thread(target=ask) for _ in range(40)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert set(answered) == {200} and set(refused) == {429}
    came = mock.arrivals()
    assert len(came) == len(answered)
    for n, at in enumerate(came, 1):
        assert n <= burst + rate * (at - begun) + 1, f"request {n} came {at - begun:.3f} s after the start"
    seen = outcomes(node)
    assert seen["admitted"] + seen["queued"] == len(came)
    assert seen["refused"] == len(refused) and seen["left"] == 0 and seen["queued"] > 0
    assert node.metric("weir_rate_limit_wait_seconds_count", provider="mock") == seen["queued"]


def test_refused_at_once_and_told_when_to_come_back(stage, mock):
    node = stage.node(limited(mock, 6), http_client=waits(2))
    with node.client() as c:
        begun = time.monotonic()
        assert c.get("/echo").status == 200
        r = c.get("/echo")  # its token comes after ten seconds, it may wait for two
        assert (r.status, r.get("x-weir-error")) == (429, "rate_limited")
        (after,) = r.all("retry-after")
        assert 10 >= int(after) >= 10 - (time.monotonic() - begun)
        assert r.get("x-ratelimit-limit-requests") == "6"
        assert r.get("x-ratelimit-remaining-requests") == "0"
        assert r.get("x-ratelimit-reset-requests") == f"{after}s"
        error = r.json()["error"]
        assert (error["type"], error["code"]) == ("rate_limit_error", "rate_limited")
        assert "mock" in error["message"] and "127.0.0.1" not in error["message"]
        assert c.get("/echo").status == 429, "the connection goes on"
    assert mock.stats()["requests"]["total"] == 1
    assert outcomes(node) == {"admitted": 1, "queued": 0, "refused": 2, "left": 0}


def test_an_admitted_answer_is_the_providers_own(stage):
    upstream = stage.upstream(
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nx-ratelimit-limit-requests: 500\r\nx-ratelimit-reset-requests: 120ms\r\n\r\nok"
    )
    node = stage.node(limited(upstream, 600, 10))
    with node.client() as c:
        r = c.get("/")
    assert r.all("x-ratelimit-limit-requests") == ["500"] and r.all("x-ratelimit-reset-requests") == ["120ms"]
    assert r.get("x-ratelimit-remaining-requests") is None


def test_who_waits_is_served_when_its_token_comes(stage, mock):
    node = stage.node(limited(mock, 60), http_client=waits(30))
    clients = [node.client() for _ in range(4)]
    for c in clients:  # within a second, or none of them waits
        c.ask("POST", "/echo", body=b"x" * 20000)
    assert [c.response().status for c in clients] == [200] * 4
    for c in clients:
        c.close()
    seen = outcomes(node)
    assert seen["admitted"] + seen["queued"] == 4 and seen["queued"] >= 1
    access(node, 4)
    waited = [line for line in node.events("access") if "limit_ms" in line]
    assert len(waited) == seen["queued"]
    assert all(line["limit_ms"] <= line["total_ms"] for line in waited)


def test_a_client_that_leaves_while_it_waits(stage, mock):
    node = stage.node(limited(mock, 6), http_client=waits(60))
    with node.client() as c, node.client() as d:
        assert c.get("/echo").status == 200
        d.ask("GET", "/echo")
        wait_waiting(node, 1)
        d.reset()
        wait_waiting(node, 0)
    assert node.metric("weir_client_aborts_total", phase="queue") == 1
    assert outcomes(node) == {"admitted": 1, "queued": 0, "refused": 0, "left": 1}
    assert mock.stats()["requests"]["total"] == 1


def test_the_line_is_bounded_over_all_workers(stage, mock):
    node = stage.node(limited(mock, 6), server={"workers": 2}, http_client=waits(60, pending=1))
    clients = [node.client() for _ in range(4)]
    assert clients[0].get("/echo").status == 200
    clients[1].ask("GET", "/echo")
    wait_waiting(node, 1)
    for c in clients[2:]:
        assert c.get("/echo").status == 429
    for c in clients:
        c.close()


@pytest.mark.parametrize("new", [{"rate_limit": {"requests_per_minute": 60000}}, {}], ids=["raised", "removed"])
def test_a_reload_serves_who_waits(stage, mock, new):
    node = stage.node(limited(mock, 1), server={"workers": 2}, http_client=waits(120))
    with node.client() as c, node.client() as d:
        assert c.get("/echo").status == 200
        threads = [in_background(lambda w=w: w.get("/echo").status) for w in (c, d)]
        wait_waiting(node, 2)
        node.reload(stage.config(node.port, {"mock": {"base_url": mock.url, **new}}, server={"workers": 2}, http_client=waits(120)))
        for thread, got in threads:
            thread.join()
            assert got == [200]


def test_a_reload_forgets_nothing(stage, mock):
    node = stage.node(limited(mock, 6, 3), http_client=waits(1))
    with node.client() as c:
        assert [c.get("/echo").status for _ in range(4)] == [200, 200, 200, 429]
        node.reload(stage.config(node.port, limited(mock, 6, 4), http_client=waits(1)))
        node.wait_events("reload")
        assert [c.get("/echo").status for _ in range(2)] == [200, 429]


def test_a_reload_that_lowers_the_limit_refuses_who_cannot_wait_so_long(stage, mock):
    node = stage.node(limited(mock, 12), http_client=waits(6))
    with node.client() as c:
        assert c.get("/echo").status == 200
        c.ask("GET", "/echo")  # its token would come in five seconds
        wait_waiting(node, 1)
        node.reload(stage.config(node.port, limited(mock, 1), http_client=waits(6)))
        r = c.response()
    assert r.status == 429 and int(r.get("retry-after")) > 6
    assert outcomes(node) == {"admitted": 1, "queued": 0, "refused": 1, "left": 0}
    wait_waiting(node, 0)


def test_what_was_not_sent_costs_nothing(stage):
    dead = stage.upstream(b"")
    dead.close()
    node = stage.node(limited(dead, 1))
    with node.client() as c:
        assert [c.get("/").status for _ in range(3)] == [502] * 3
    assert node.metric("weir_rate_limit_tokens", provider="mock") == 1


def test_strict_starts_with_nothing(stage, mock):
    node = stage.node(limited(mock, 6, 6, strict=True), http_client=waits(1))
    with node.client() as c:
        assert c.get("/echo").status == 429
    assert node.metric("weir_rate_limit_tokens", provider="mock") == 0


def test_each_provider_has_its_own(stage, mock):
    node = stage.node({"slow": limited(mock, 1)["mock"], "free": mock}, http_client=waits(0.1))
    with node.client() as c:
        assert c.get("/slow/echo").status == 200
        assert c.get("/slow/echo").status == 429
        assert [c.get("/free/echo").status for _ in range(5)] == [200] * 5
    assert node.metric("weir_rate_limit_requests_per_minute", provider="slow") == 1
    text = node.get("/metrics/prometheus").text
    assert 'weir_rate_limit_tokens{provider="slow"}' in text and 'weir_rate_limit_tokens{provider="free"}' not in text
    assert outcomes(node, "free") == {"admitted": 0, "queued": 0, "refused": 0, "left": 0}


def test_a_node_by_itself_has_no_store_to_fail(stage, mock):
    """What is said of the cluster's store is taken, and changes nothing."""
    node = stage.node(limited(mock, 60, burst=2, strict=False, fail="closed", degraded_share=0.5))
    assert [node.get("/echo").status for _ in range(2)] == [200, 200]
    assert node.stop() == 0  # all of its log is written
    assert not node.events("config_warning")


def retrying(attempts=3):
    return {**waits(1), "retry": {"enabled": True, "attempts": attempts, "backoff_factor": 0.01, "retry_status_codes": [500]}}


def test_a_retry_costs_a_token_like_any_try(stage):
    mock = stage.mock("--status", "500")
    node = stage.node(limited(mock, 6, 3), http_client=retrying())
    with node.client() as c:
        r = c.get("/echo")
    # Three tokens, three tries; the fourth would have come too late, so the third answer is the last.
    assert (r.status, r.get("x-weir-error")) == (500, None)
    assert len(mock.arrivals()) == 3
    assert node.metric("weir_retries_refused_total", reason="rate_limit") == 1
    assert outcomes(node) == {"admitted": 3, "queued": 0, "refused": 0, "left": 0}


def test_a_retry_waits_for_its_token(stage):
    mock = stage.mock("--status", "500")
    node = stage.node(limited(mock, 60), http_client={**retrying(2), **waits(5)})
    with node.client() as c:
        assert c.get("/echo").status == 500
    assert len(mock.arrivals()) == 3
    seen = outcomes(node)  # a try that takes a second earns the next one's token meanwhile
    assert seen["admitted"] + seen["queued"] == 3 and seen["queued"] >= 1
    assert seen["refused"] == seen["left"] == 0


def test_a_stale_connection_is_replaced_for_free(stage):
    def script(wire, upstream):
        wire.request()
        wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        wire.request_head()
        wire.reset()  # it had been closed, as far as the node can tell

    upstream = stage.upstream(script)
    node = stage.node(limited(upstream, 1, 2))
    with node.client() as c:
        assert c.get("/").status == 200
        assert c.get("/").status == 200
    assert node.metric("weir_pool_stale_replacements_total") == 1
    assert outcomes(node)["admitted"] == 2
