"""TLS towards providers: whom a node believes and whom not, and why; sessions, client certificates, reloads."""

import ssl

import pytest
from harness import wait_for
from http2 import Upstream2

ANSWER = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def context(pki, name="good", version=None, client_ca=None, lax=False):
    """A server's side. lax: OpenSSL itself would not touch what weir is to refuse."""
    c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    if lax:
        c.set_ciphers("DEFAULT:@SECLEVEL=0")
    # mbedTLS 3.6 does not take RSA-PSS in TLS 1.2, which OpenSSL would choose by its own order, but not by the client's.
    c.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE
    c.load_cert_chain(pki / f"{name}.pem", pki / f"{name}.key")
    if version is not None:
        c.minimum_version = c.maximum_version = version
    if client_ca is not None:
        c.verify_mode = ssl.CERT_REQUIRED
        c.load_verify_locations(pki / f"{client_ca}.pem")
    return c


def node_for(stage, pki, upstream, host="localhost", **tls):
    provider = {"base_url": f"https://{host}:{upstream.port}", "tls": {"ca_file": str(pki / "ca.pem"), **tls}}
    return stage.node({"mock": provider}, http_client={"timeout": {"connect": 5}})


def handshakes(node, result):
    return node.metric("weir_upstream_tls_handshakes_total", result=result)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])
@pytest.mark.parametrize("name", ["good", "rsa"])
def test_https(stage, pki, version, name):
    upstream = stage.upstream(ANSWER, tls=context(pki, name, version))
    node = node_for(stage, pki, upstream)
    with node.client() as c:
        for _ in range(5):
            assert c.post("/v1/x", body=b"hello").text == "ok"
    assert upstream.connections == 1 and handshakes(node, "full") == 1
    assert [r.body for r in upstream.requests] == [b"hello"] * 5
    assert upstream.requests[0].get("host") == f"localhost:{upstream.port}"


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])
def test_the_next_connection_resumes(stage, pki, version):
    closing = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"
    upstream = stage.upstream(closing, tls=context(pki, version=version))
    node = node_for(stage, pki, upstream)
    with node.client() as c:
        for _ in range(3):
            assert c.get("/").text == "ok"
    assert upstream.connections == 3
    assert handshakes(node, "full") == 1 and handshakes(node, "resumed") == 2


def test_the_name_in_the_handshake(stage, pki):
    names = []
    tls = context(pki, "second")
    tls.sni_callback = lambda sock, name, ctx: names.append(name)
    upstream = stage.upstream(ANSWER, tls=tls)
    node = node_for(stage, pki, upstream, server_name="second.test")
    assert node.get("/").text == "ok" and names == ["second.test"]


def test_an_address_is_proved_as_such(stage, pki):
    names = []
    tls = context(pki)
    tls.sni_callback = lambda sock, name, ctx: names.append(name)
    upstream = stage.upstream(ANSWER, tls=tls)
    assert node_for(stage, pki, upstream, host="127.0.0.1").get("/").text == "ok"
    assert names in ([], [None])  # RFC 6066 section 3: an address is no host name


# What is wrong with the peer's certificate: (file, the metric's word).
REFUSED = {
    "expired": "expired",
    "future": "not_yet_valid",
    "self-signed": "self_signed",
    "unknown": "untrusted",
    "wrong-chain": "untrusted",
    "wrong-host": "wrong_host",
    "wrong-use": "key_usage",
    "weak": "weak",
    "sha1": "weak",
}


@pytest.mark.parametrize("name", REFUSED)
def test_who_is_not_believed(stage, pki, name):
    upstream = stage.upstream(ANSWER, tls=context(pki, name, lax=True))
    node = node_for(stage, pki, upstream)
    with node.client() as c:
        r = c.get("/")
    assert r.status == 502 and r.get("x-weir-error") == "connect_failed"
    assert handshakes(node, REFUSED[name]) == 1 and handshakes(node, "full") == 0
    told = node.wait_only_events("tls_failed", check=REFUSED[name])
    assert "localhost" in told[0]["reason"] and not upstream.requests
    assert node.metric("weir_connect_failures_total", reason="tls") == 1


@pytest.mark.parametrize("name", ["expired", "self-signed", "unknown", "wrong-host"])
def test_without_a_check_anybody_is_believed(stage, pki, name):
    upstream = stage.upstream(ANSWER, tls=context(pki, name))
    node = node_for(stage, pki, upstream, verify=False)
    assert node.get("/").text == "ok"
    node.wait_events("config_warning")
    assert "tls.verify is false" in node.log
    assert node.metric("weir_tls_unverified_endpoints") == 1


def test_an_old_peer_is_refused(stage, pki):
    upstream = stage.upstream(ANSWER, tls=context(pki, version=ssl.TLSVersion.TLSv1_1, lax=True))
    node = node_for(stage, pki, upstream)
    assert node.get("/").status == 502
    assert handshakes(node, "version") + handshakes(node, "alert") == 1 and upstream.refusals


def test_the_lowest_version_holds(stage, pki):
    upstream = stage.upstream(ANSWER, tls=context(pki, version=ssl.TLSVersion.TLSv1_2))
    node = node_for(stage, pki, upstream, min_version="1.3")
    assert node.get("/").status == 502
    assert handshakes(node, "version") + handshakes(node, "alert") == 1


def test_a_peer_that_does_not_speak_tls(stage, pki):
    upstream = stage.upstream(lambda wire, _: wire.send("SSH-2.0-x\r\n" * 4))
    node = node_for(stage, pki, upstream)
    assert node.get("/").status == 502
    assert handshakes(node, "not_tls") == 1


def test_a_peer_that_never_shakes_hands(stage, pki):
    upstream = stage.upstream(lambda wire, _: wire.hold())
    provider = {"base_url": f"https://localhost:{upstream.port}", "tls": {"ca_file": str(pki / "ca.pem")}}
    node = stage.node({"mock": provider}, http_client={"timeout": {"connect": 0.3}})
    r = node.get("/")
    assert r.status == 504 and r.get("x-weir-error") == "timeout_connect"
    assert node.metric("connection_timeouts_total") == 1


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])
def test_a_client_certificate_is_shown(stage, pki, version):
    upstream = stage.upstream(ANSWER, tls=context(pki, version=version, client_ca="ca"))
    own = {"cert_file": str(pki / "client.pem"), "key_file": str(pki / "client.key")}
    assert node_for(stage, pki, upstream, **own).get("/").text == "ok"
    node = node_for(stage, pki, upstream)
    assert node.get("/").status == 502
    wait_for(lambda: upstream.refusals, "the upstream to have refused who shows none")
    # TLS 1.3: the handshake has ended well for us by then.
    late = version == ssl.TLSVersion.TLSv1_3
    told = node.wait_only_events("tls_failed", check="alert" if late else "nothing_in_common")
    assert "localhost" in told[0]["reason"] and "the peer refused" in told[0]["reason"]
    assert not late or "certificate required" in told[0]["reason"]
    assert node.get("/").status == 502
    assert len(node.events("tls_failed")) == 1 and not node.events("tls_works")


def test_a_cut_answer_is_not_taken_for_a_whole_one(stage, pki):
    """Delimited by the connection's end alone, and the end is not the peer's word (RFC 9112 section 9.8)."""

    def script(wire, upstream):
        wire.request()
        wire.send("HTTP/1.1 200 OK\r\n\r\nhalf")
        if len(upstream.requests) > 1:
            wire.sock = wire.sock.unwrap()

    upstream = stage.upstream(script, tls=context(pki))
    node = node_for(stage, pki, upstream)
    with node.client() as c:
        with pytest.raises(Exception):
            c.get("/")
    with node.client() as c:
        assert c.get("/").text == "half"


def test_a_reload_brings_other_authorities(stage, pki):
    closing = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"
    upstream = stage.upstream(closing, tls=context(pki))
    node = node_for(stage, pki, upstream)
    assert node.get("/").text == "ok"
    config = node.config_path.read_text()
    node.reload(config.replace("ca.pem", "other-ca.pem"))
    node.wait_events("reload")
    assert node.get("/").status == 502 and handshakes(node, "untrusted") == 1
    node.reload(config.replace("ca.pem", "none.pem"))
    failed = node.wait_events("reload_failed")
    assert "none.pem" in failed[0]["reason"]
    node.reload(config)
    node.wait_events("reload", 2)
    assert node.get("/").text == "ok"
    # What was made under other authorities is not resumed.
    assert handshakes(node, "full") == 2 and handshakes(node, "resumed") == 0


def test_checks_shake_hands(stage, pki):
    good = stage.upstream(ANSWER, tls=context(pki))
    bad = stage.upstream(ANSWER, tls=context(pki, "expired"))
    provider = {
        "endpoints": [{"url": f"https://localhost:{u.port}"} for u in (good, bad)],
        "tls": {"ca_file": str(pki / "ca.pem")},
        "health": {"enabled": True, "path": "/health", "check_interval": 0.1},
    }
    node = stage.node({"mock": provider})
    wait_for(lambda: node.metric("weir_endpoints_ejected") == 1, "the endpoint with the old certificate to be passed over")
    for _ in range(4):
        assert node.get("/").text == "ok"
    assert "expired" in node.wait_events("endpoint_unhealthy")[0]["reason"]


@pytest.mark.parametrize("version", ["http/1.1", "h2"])
def test_a_reload_leaves_no_connection_of_other_settings(stage, pki, version):
    """What was opened without a check, or under other authorities, serves nobody who wants another one."""
    if version == "h2":
        upstream = Upstream2(lambda s: s.answer(), tls=context(pki))
        stage.running.append(upstream.close)
    else:
        upstream = stage.upstream(ANSWER, tls=context(pki))
    node = node_for(stage, pki, upstream)
    assert node.get("/").text == "ok"
    config = node.config_path.read_text()
    node.reload(config + "\n# nothing new\n")
    node.wait_events("reload")
    assert node.get("/").text == "ok"
    assert handshakes(node, "full") + handshakes(node, "resumed") == 1
    node.reload(config.replace("ca.pem", "other-ca.pem"))
    node.wait_events("reload", 2)
    assert node.get("/").status == 502 and handshakes(node, "untrusted") >= 1


def test_a_certificate_that_several_show_is_told_once(stage, pki):
    own = {"cert_file": str(pki / "client.pem"), "key_file": str(pki / "client.key")}
    node = stage.node({name: {"base_url": "https://127.0.0.1:1", "tls": own} for name in ("a", "b")})
    lines = node.get("/metrics/prometheus").text.splitlines()
    assert sum(line.startswith("weir_tls_certificate_not_after_seconds{") for line in lines) == 1
