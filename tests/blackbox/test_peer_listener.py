"""The listener for peers: what it serves, and to whom."""

import hashlib
import hmac
import time

import harness
import pytest
from http1 import Client, Closed
from http2 import Client2
from peering import OK, SECRET, Cluster, wait_access


def sign(target, *, secret=SECRET, node="n9", at=0, client="203.0.113.9", how="11", shard="5", method="GET", rid="r1", epoch=0):
    text = f"1;{node};{at};{client};{how};{shard};{epoch}"
    signed = "\n".join([text, rid, method, "weir-test", target])
    mac = hmac.new(secret.encode(), signed.encode(), hashlib.sha256).hexdigest()
    return [("x-weir-peer", f"{text};{mac}"), ("x-request-id", rid)]


def store_ms(c):
    """By the store's clock, which is this machine's."""
    return int(time.time() * 1000)


def test_the_receiver_serves_whatever_is_handed_to_it(stage):
    upstream = stage.upstream(OK)
    c = Cluster(stage, upstream, count=2)
    foreign = c.key_of(c.nodes[1])
    with Client2(c.peer_ports[0]) as peer:
        r = peer.get("/x", [("x-session-id", foreign), *sign("/x", at=store_ms(c))])
    assert r.status == 200 and r.get("x-weir-node") == "n0" and r.get("x-weir-shard") == "5"
    [ack] = r.interim
    fields = dict(ack.headers)
    assert ack.status == 102 and int(fields["x-weir-load"]) >= 1 and "x-weir-epoch" in fields
    assert upstream.requests[-1].all("x-forwarded-for") == ["203.0.113.9"]
    wait_access(c.nodes[0], client="203.0.113.9", peer="n9", hop="from")
    assert upstream.requests[-1].get("x-weir-peer") is None


def test_who_hears_of_a_newer_map_asks_the_store_for_it(stage):
    c = Cluster(stage, stage.upstream(OK), count=2)

    def asked():
        return c.nodes[0].metric("weir_cluster_store_requests_total", op="map")

    before = asked()
    with Client2(c.peer_ports[0]) as peer:
        for _ in range(2):
            assert peer.get("/x", sign("/x", at=store_ms(c), node="n1", epoch=7)).status == 200
    harness.wait_for(lambda: asked() == before + 1, "the store to be asked for a map")


@pytest.mark.parametrize("wrong", ["none", "secret", "target", "method", "early", "late", "text"])
def test_only_peers_are_served_there(stage, mock, wrong):
    c = Cluster(stage, mock, count=1)
    mock.reset_stats()
    now = store_ms(c)
    headers = {
        "none": [],
        "secret": sign("/x", at=now, secret="another"),
        "target": sign("/y", at=now),
        "method": sign("/x", at=now, method="POST"),
        "early": sign("/x", at=now - 60000),
        "late": sign("/x", at=now + 60000),
        "text": [("x-weir-peer", "1;" + "x" * 300), ("x-request-id", "r1")],
    }[wrong]
    with Client2(c.peer_ports[0]) as peer:
        for _ in range(3):
            r = peer.get("/x", headers)
            assert (r.status, r.get("x-weir-error"), r.interim) == (403, "peer_refused", [])
    c.nodes[0].wait_only_events("peer_refused")
    assert c.nodes[0].metric("weir_peer_refused_total") == 3
    assert mock.stats()["requests"]["total"] == 0


def test_http_1_is_not_spoken_there(stage, mock):
    c = Cluster(stage, mock, count=1)
    with Client(c.peer_ports[0]) as client, pytest.raises((Closed, OSError)):
        client.get("/health/live")


def test_weirs_own_pages_are_not_there(stage, mock):
    c = Cluster(stage, mock, count=1)
    with Client2(c.peer_ports[0]) as peer:
        assert peer.get("/metrics").status == 403


def peer_tls(pki):
    files = {"ca_file": "ca.pem", "cert_file": "peer.pem", "key_file": "peer.key"}
    return {"server_name": "localhost", **{key: str(pki / name) for key, name in files.items()}}


def test_a_link_that_takes_longer_than_a_request_waits_serves_those_after_it(stage, mock, pki):
    """Or nodes that are far from each other, or busy, would never have one."""
    c = Cluster(stage, mock, count=2, failover_timeout=3, peer_tls=peer_tls(pki), peer_ack_timeout=10, delay_s=0.2)
    harness.wait_for(lambda: c.find_key_of(c.nodes[1]), "n1 to be handed a request")
    assert c.nodes[0].metric("weir_peer_fallbacks_total", reason="connect") > 0, "the first came too early"


def test_links_over_tls_in_both_directions(stage, mock, pki):
    c = Cluster(
        stage,
        mock,
        count=2,
        failover_timeout=3,  # how long a peer is left alone whose link failed
        peer_tls=peer_tls(pki),
    )
    # The first handshake may take longer than a node waits for a peer, where many tests share a machine.
    key = c.key_of(c.nodes[1])

    def handed_over():
        fallen_back = c.nodes[0].metric("weir_peer_fallbacks_total")
        return c.served_by(c.nodes[0], key) == "n1" and c.nodes[0].metric("weir_peer_fallbacks_total") == fallen_back

    harness.wait_for(handed_over, "a link that works")
    # Its expiry would part the cluster: so it is watched like those that clients see.
    assert c.nodes[0].metric("weir_tls_certificate_not_after_seconds", file=str(pki / "peer.pem")) > 0
    with Client(c.peer_ports[1]) as plain, pytest.raises((Closed, OSError)):
        plain.get("/x")
