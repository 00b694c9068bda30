"""Requests that one node of a cluster hands to another: whose they are, what passes through, and what happens when the
other does not take them."""

import json
import os
import signal

import harness
import pytest
from http1 import Closed
from http2 import Client2
from peering import ACK_S, OK, Cluster, wait_access


def freeze(node):
    node.tell(signal.SIGSTOP)
    harness.wait_for(lambda: b"\nState:\tT" in open(f"/proc/{node.pid}/status", "rb").read(), f"{node.name} to stand still")


def forwarded(node, direction="forwarded"):
    return node.metric("weir_peer_requests_total", direction=direction)


def fallbacks(node, reason):
    return node.metric("weir_peer_fallbacks_total", reason=reason)


# -- whose requests are --


def test_sticky_keys_are_served_by_one_node_wherever_they_enter(stage, mock):
    c = Cluster(stage, mock)
    owners, shards = {}, {}
    for key in (f"k{i}" for i in range(40)):
        for node in c.nodes:
            r = node.get("/v1/models", **{"x-session-id": key})
            owners.setdefault(key, set()).add(r.get("x-weir-node"))
            shards.setdefault(key, set()).add(r.get("x-weir-shard"))
    assert all(len(o) == 1 for o in owners.values()), owners
    assert all(len(s) == 1 for s in shards.values()), shards
    assert {o for s in owners.values() for o in s} == {"n0", "n1", "n2"}
    assert all(0 <= int(s) < 64 for found in shards.values() for s in found)
    assert sum(forwarded(n) for n in c.nodes) == sum(forwarded(n, "received") for n in c.nodes) == 80
    assert sum(n.metric("weir_peer_fallbacks_total") for n in c.nodes) == 0
    assert sum(n.metric("weir_peer_requests_active") for n in c.nodes) == 0


def test_both_nodes_log_the_hop(stage, mock):
    c = Cluster(stage, mock, count=2)
    key = c.key_of(c.nodes[1])
    c.served_by(c.nodes[0], key, **{"x-request-id": "hop-1"})
    [there] = c.nodes[1].wait_events("access", request_id="hop-1")
    [here] = c.nodes[0].wait_events("access", request_id="hop-1")
    assert (here["peer"], here["hop"], here["provider"]) == ("n1", "to", "mock")
    assert (there["peer"], there["hop"], there["client"]) == ("n0", "from", "127.0.0.1")


@pytest.mark.parametrize("source", ["json:user", "cookie:session", "api_key"])
def test_keys_from_elsewhere(stage, mock, source):
    c = Cluster(stage, mock, affinity={"keys": [source]})

    def ask(node, key):
        headers = {
            "json:user": [],
            "cookie:session": [("cookie", f"a=b; session={key}")],
            "api_key": [("authorization", f"Bearer {key}")],
        }
        body = json.dumps({"messages": [{"role": "user", "content": "x" * 3000}], "model": "m", "user": key}).encode()
        with node.client() as client:
            r = client.post("/v1/chat/completions", body, headers=[("content-type", "application/json"), *headers[source]])
        assert r.status == 200
        return r.get("x-weir-node")

    served = {key: {ask(node, key) for node in c.nodes} for key in (f"k{i}" for i in range(12))}
    assert all(len(s) == 1 for s in served.values()), served
    assert len({n for s in served.values() for n in s}) > 1


def test_a_key_in_a_body_that_comes_slowly_or_only_when_asked_for(stage, mock):
    c = Cluster(stage, mock, affinity={"keys": ["json:user", "header:x-session-id"]})
    body = b'{"model": "m", "user": "somebody", "messages": []}'
    whole = c.nodes[0].client().post("/v1/chat/completions", body, headers=[("content-type", "application/json")])
    for node in c.nodes:
        with node.client() as slow:
            head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\ncontent-length: {len(body)}\r\n"
            head += "content-type: application/json\r\n\r\n"
            slow.send(head.encode() + body[:20])
            slow.send(body[20:])
            assert slow.response().get("x-weir-node") == whole.get("x-weir-node")
        with node.client() as asking:
            asking.send(head.replace("\r\n\r\n", "\r\nexpect: 100-continue\r\n\r\n").encode())
            assert asking.head()[0].split()[1] == b"100"
            asking.send(body)
            assert asking.response().get("x-weir-node") == whole.get("x-weir-node")


def test_round_robin_does_not_hop(stage, mock):
    c = Cluster(stage, mock, count=2, connection_affinity="round_robin")
    for i in range(20):
        assert c.served_by(c.nodes[i % 2], f"k{i}") == f"n{i % 2}"
    assert [forwarded(n) for n in c.nodes] == [0, 0]


def test_without_pool_sharding_a_shard_has_an_endpoint_and_no_node(stage):
    ends = [stage.mock("--name", f"m{i}") for i in range(3)]
    c = Cluster(stage, {"mock": {"endpoints": [{"url": m.url} for m in ends]}}, count=2, pool_sharding=False)
    chosen = {}
    for key in (f"k{i}" for i in range(30)):
        for node in c.nodes:
            r = node.get("/v1/models", **{"x-session-id": key})
            assert r.get("x-weir-node") == node.name
            chosen.setdefault(key, set()).add(r.get("x-mock-name"))
    assert all(len(s) == 1 for s in chosen.values()), chosen
    assert len({m for s in chosen.values() for m in s}) == 3


def test_least_loaded_evens_a_skewed_load(stage, mock):
    c = Cluster(stage, mock, connection_affinity="least_loaded")
    n, clients = 60, []
    mock.plan(gate="g")
    try:
        for i in range(n):
            client = c.nodes[0].client()
            clients.append(client)
            client.ask("GET", "/v1/models")
            mock.wait_waiting("g", i + 1)
        mock.steps("g", "all")
        served = [client.response().get("x-weir-node") for client in clients]
    finally:
        for client in clients:
            client.close()
    assert max(served.count(f"n{i}") for i in range(3)) <= 1.25 * n / 3 + 1, served


# -- what passes through --


def test_the_client_stays_who_it_is(stage):
    upstream = stage.upstream(OK)
    c = Cluster(stage, upstream, count=2, server={"trusted_proxies": ["127.0.0.1"]})
    key = c.key_of(c.nodes[1])
    fields = {"x-session-id": key, "x-forwarded-for": "203.0.113.7", "x-request-id": "mine", "x-weir-peer": "forged"}
    assert c.nodes[0].get("/who", **fields).get("x-weir-node") == "n1"
    seen = upstream.requests[-1]
    assert seen.all("x-forwarded-for") == ["203.0.113.7, 127.0.0.1"]
    assert seen.all("x-request-id") == ["mine"]
    assert seen.all("x-weir-peer") == []
    assert seen.all("via") == ["1.1 weir"]
    assert seen.get("host") == upstream.url.removeprefix("http://")
    [line] = c.nodes[1].wait_events("access", request_id="mine")
    assert line["client"] == "203.0.113.7"


def test_heads_as_large_as_allowed(stage):
    """Fields cost more on a link than from clients and providers that speak HTTP/1.1: the nodes make up for that."""
    many = "".join(f"x-many-{i}: {'a' * 318}\r\n" for i in range(190))
    upstream = stage.upstream(f"HTTP/1.1 200 OK\r\n{many}content-length: 2\r\n\r\nok")
    c = Cluster(stage, upstream, count=2)
    fields = {f"x-many-{i}": "a" * 165 for i in range(85)}
    r = c.nodes[0].get("/", **{"x-session-id": c.key_of(c.nodes[1]), **fields})
    assert r.status == 200 and r.get("x-weir-node") == "n1"
    assert len(r.headers) > 190 and upstream.requests[-1].get("x-many-84") == fields["x-many-84"]


def test_a_field_of_peers_from_a_client_goes_nowhere(stage):
    upstream = stage.upstream(OK)
    c = Cluster(stage, upstream, count=2)
    own = c.key_of(c.nodes[0])
    r = c.nodes[0].get("/mine", **{"x-session-id": own, "x-weir-peer": "1;n1;0;10.0.0.1;11;-;0;00"})
    assert r.status == 200 and r.get("x-weir-node") == "n0"
    assert upstream.requests[-1].get("x-weir-peer") is None


def test_a_stream_comes_as_it_is_written(stage, mock):
    c = Cluster(stage, mock, count=2)
    key = c.key_of(c.nodes[1])
    body = json.dumps({"model": "m", "stream": True, "messages": []}).encode()
    headers = [("content-type", "application/json"), ("x-session-id", key), ("x-mock-gate", "g"), ("x-mock-tokens", "4")]
    with c.nodes[0].client() as client:
        client.ask("POST", "/v1/chat/completions", headers, body)
        mock.wait_waiting("g")
        mock.steps("g")
        assert client.response_head().get("x-weir-node") == "n1"
        for _ in range(3):
            mock.wait_waiting("g")
            mock.steps("g")
            assert client.event().startswith("data:")
        mock.steps("g", "all")


def test_interim_answers_and_trailers(stage, mock):
    c = Cluster(stage, mock, count=2)
    key = c.key_of(c.nodes[1])
    with Client2(c.nodes[0].port) as client:
        r = client.post(
            "/v1/chat/completions",
            b'{"model": "m", "stream": true, "messages": []}',
            [("content-type", "application/json"), ("x-session-id", key), ("x-mock-interim", "103"), ("x-mock-trailers", "1")],
        )
    assert r.status == 200 and [i.status for i in r.interim] == [103]
    assert r.trailers


@pytest.mark.parametrize("chunked", [False, True])
def test_a_large_body(stage, mock, chunked):
    c = Cluster(stage, mock, count=2)
    key = c.key_of(c.nodes[1])
    data = os.urandom(1 << 20) * 3
    with c.nodes[0].client() as client:
        if chunked:
            head = f"POST /echo/body HTTP/1.1\r\nhost: a\r\nx-session-id: {key}\r\ntransfer-encoding: chunked\r\n\r\n"
            client.send(head.encode())
            for at in range(0, len(data), 100000):
                piece = data[at : at + 100000]
                client.send(b"%x\r\n%s\r\n" % (len(piece), piece))
            client.send(b"0\r\n\r\n")
            r = client.response("POST")
        else:
            r = client.post("/echo/body", data, headers=[("x-session-id", key)])
    assert r.get("x-weir-node") == "n1"
    assert r.body == data


def test_a_client_that_goes_away_cancels_at_the_provider(stage, mock):
    c = Cluster(stage, mock, count=2)
    key = c.key_of(c.nodes[1])
    client = c.nodes[0].client()
    client.ask("GET", "/v1/models", [("x-session-id", key), ("x-mock-gate", "g")])
    mock.wait_waiting("g")
    client.close()
    harness.wait_for(lambda: mock.waiting("g") == 0, "the provider to hear of it")
    wait_access(c.nodes[1], close="client_closed", hop="from")
    assert c.nodes[0].metric("weir_peer_requests_active") == 0


def test_a_provider_that_breaks_off_cuts_the_client_off(stage, mock):
    c = Cluster(stage, mock, count=2)
    key = c.key_of(c.nodes[1])
    headers = [("content-type", "application/json"), ("x-session-id", key), ("x-mock-fault", "reset-mid-body")]
    with c.nodes[0].client() as client, pytest.raises(Closed):
        client.post("/v1/chat/completions", b'{"model": "m", "stream": true, "messages": []}', headers=headers)


def test_errors_of_the_owner_pass_as_they_are(stage):
    c = Cluster(stage, f"http://127.0.0.1:{harness.free_port()}", count=2)
    for i in range(20):
        r = c.nodes[0].get("/x", **{"x-session-id": f"k{i}"})
        assert (r.status, r.get("x-weir-error")) == (502, "connect_failed")
    assert forwarded(c.nodes[0]) > 0
    assert c.nodes[0].metric("weir_peer_fallbacks_total") == 0


def test_response_headers_can_be_left_out(stage, mock):
    c = Cluster(stage, mock, count=1, response_headers=False)
    r = c.nodes[0].get("/v1/models")
    assert r.status == 200 and r.get("x-weir-node") is None and r.get("x-weir-shard") is None


# -- when the peer does not take it --


def test_a_peer_that_is_gone_costs_nobody_a_request(stage, mock):
    c = Cluster(stage, mock, failover_timeout=60, peer_ack_timeout=10)  # that it is gone is no clock's to find out
    keys = [c.key_of(c.nodes[1]), c.key_of(c.nodes[2])]
    c.nodes[1].popen.kill()
    c.nodes[1].popen.wait()
    c.nodes[1].stopped = True
    for _ in range(5):
        assert c.served_by(c.nodes[0], keys[0]) in ("n0", "n2")
        assert c.served_by(c.nodes[0], keys[1]) == "n2"
    [told] = c.nodes[0].wait_only_events("peer_suspect")
    assert told["peer"] == "n1"
    assert fallbacks(c.nodes[0], "connect") + fallbacks(c.nodes[0], "stale") >= 1


@pytest.mark.parametrize("ack_s", [ACK_S, 10], ids=["acknowledgement", "ping"])
def test_a_peer_that_is_silent_is_served_around_and_dispatches_nothing_late(stage, mock, ack_s):
    """By the clock that runs out first: the acknowledgement's, or the link's, which asks with PING whether the peer is there."""
    c = Cluster(stage, mock, count=2, failover_timeout=60, peer_ack_timeout=ack_s)
    key = c.key_of(c.nodes[1])
    mock.reset_stats()
    freeze(c.nodes[1])
    try:
        assert c.served_by(c.nodes[0], key) == "n0"
        assert fallbacks(c.nodes[0], "ack_late") == 1
        assert c.served_by(c.nodes[0], key) == "n0"  # without asking it again
        assert fallbacks(c.nodes[0], "ack_late") == 1
    finally:
        c.nodes[1].tell(signal.SIGCONT)
    # It finds the request and its end in one read, and does nothing but take note.
    wait_access(c.nodes[1], hop="from", close="client_closed")
    assert mock.stats()["requests"]["total"] == 2


def test_a_body_beyond_the_replay_buffer_waits_for_the_acknowledgement(stage, mock):
    c = Cluster(stage, mock, count=2, failover_timeout=60)
    key = c.key_of(c.nodes[1])
    data = os.urandom(1 << 20)
    freeze(c.nodes[1])
    try:
        with c.nodes[0].client() as client:
            r = client.post("/echo/body", data, headers=[("x-session-id", key)])
    finally:
        c.nodes[1].tell(signal.SIGCONT)
    assert (r.status, r.get("x-weir-node")) == (200, "n0")
    assert r.body == data


def test_a_suspect_is_asked_again_after_a_while(stage, mock):
    c = Cluster(stage, mock, count=2, failover_timeout=1)
    key = c.key_of(c.nodes[1])
    freeze(c.nodes[1])
    assert c.served_by(c.nodes[0], key) == "n0"
    c.nodes[1].tell(signal.SIGCONT)
    harness.wait_for(lambda: c.served_by(c.nodes[0], key) == "n1", "the peer to be asked again")


def kill_while_it_waits(stage, c, mock, key, headers=(), steps=0):
    """A request that n1 has acknowledged is at the provider when n1 is killed; returns the client."""
    client = c.nodes[0].client()
    client.ask("GET", "/v1/models", [("x-session-id", key), ("x-mock-gate", "g"), *headers])
    mock.wait_waiting("g")
    c.nodes[1].popen.kill()
    c.nodes[1].popen.wait()
    c.nodes[1].stopped = True
    return client


def test_a_link_lost_after_the_acknowledgement_is_replayed_once(stage, mock):
    c = Cluster(stage, mock, count=2, failover_timeout=60)
    key = c.key_of(c.nodes[1])
    with kill_while_it_waits(stage, c, mock, key) as client:
        mock.wait_waiting("g", 1)
        mock.steps("g", "all")
        r = client.response()
    assert (r.status, r.get("x-weir-node")) == (200, "n0")
    assert fallbacks(c.nodes[0], "replayed") == 1


def test_a_link_that_carried_nothing_before_is_replayed_too(stage, mock):
    """That it was acknowledged shows that the link was well."""
    c = Cluster(stage, mock, count=2, failover_timeout=60)
    own = next(k for k in (f"key-{i}" for i in range(1000)) if c.served_by(c.nodes[1], k) == "n1")
    assert forwarded(c.nodes[0]) == 0
    with kill_while_it_waits(stage, c, mock, own) as client:
        mock.wait_waiting("g", 1)
        mock.steps("g", "all")
        r = client.response()
    assert (r.status, r.get("x-weir-node")) == (200, "n0")
    assert fallbacks(c.nodes[0], "replayed") == 1


def test_a_link_lost_in_the_answer_ends_it(stage, mock):
    c = Cluster(stage, mock, count=2, failover_timeout=60)
    key = c.key_of(c.nodes[1])
    body = b'{"model": "m", "stream": true, "messages": []}'
    headers = [("content-type", "application/json"), ("x-session-id", key), ("x-mock-gate", "g")]
    with c.nodes[0].client() as client:
        client.ask("POST", "/v1/chat/completions", headers, body)
        mock.wait_waiting("g")
        mock.steps("g", 2)
        assert client.response_head().status == 200
        client.event()
        c.nodes[1].popen.kill()
        c.nodes[1].popen.wait()
        c.nodes[1].stopped = True
        with pytest.raises(Closed):
            while True:
                client.event()
    wait_access(c.nodes[0], close="peer_lost", peer="n1")


def test_a_body_too_large_to_be_sent_again_is_not(stage, mock):
    c = Cluster(stage, mock, count=2, failover_timeout=60)
    key = c.key_of(c.nodes[1])
    with c.nodes[0].client() as client:
        received = c.nodes[0].metric("weir_downstream_received_bytes_total")
        client.ask("POST", "/upload", [("x-session-id", key), ("x-mock-gate", "g")], b"x" * 300000)
        mock.wait_waiting("g")
        # The provider is there at the head already: what has not come yet could be sent again.
        harness.wait_for(
            lambda: c.nodes[0].metric("weir_downstream_received_bytes_total") > received + 300000, "all of the body to be taken"
        )
        c.nodes[1].popen.kill()
        c.nodes[1].popen.wait()
        c.nodes[1].stopped = True
        r = client.response("POST")
    assert (r.status, r.get("x-weir-error")) == (502, "peer_lost")
