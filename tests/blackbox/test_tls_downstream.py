"""TLS towards clients: certificates by name, versions, tickets, client certificates, reloads, and peers that misbehave."""

import datetime
import json
import signal
import socket
import ssl
import subprocess
import threading

import pytest
from harness import program, wait_for
from http1 import Client, Closed


def trusting(pki, version=None, cert=None, **options):
    """A client's side."""
    c = ssl.create_default_context(cafile=pki / "ca.pem")
    if version is not None:
        c.minimum_version = c.maximum_version = version
    if cert is not None:
        c.set_ciphers("DEFAULT:@SECLEVEL=0")
        c.load_cert_chain(pki / f"{cert}.pem", pki / f"{cert}.key")
    for name, value in options.items():
        setattr(c, name, value)
    return c


def files(pki, *names):
    return [{"cert_file": str(pki / f"{n}.pem"), "key_file": str(pki / f"{n}.key")} for n in names]


def node_for(stage, pki, upstream, names=("good",), tls=None, client=None, **server):
    section = {"certificates": files(pki, *names), **(tls or {})}
    return stage.node(upstream, server={"tls": section, **server}, tls=client or trusting(pki))


def handshakes(node, result):
    return node.metric("weir_downstream_tls_handshakes_total", result=result)


ANSWER = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])
@pytest.mark.parametrize("name", ["good", "rsa"])
def test_https(stage, pki, version, name):
    upstream = stage.upstream(ANSWER)
    node = node_for(stage, pki, upstream, [name], client=trusting(pki, version))
    with node.client() as c:
        assert c.sock.version() == {ssl.TLSVersion.TLSv1_2: "TLSv1.2"}.get(version, "TLSv1.3")
        for _ in range(5):
            assert c.post("/v1/x", body=b"hello").text == "ok"
    assert upstream.requests[0].get("x-forwarded-proto") == "https"


def test_what_comes_before_is_not_believed(stage, pki):
    upstream = stage.upstream(ANSWER)
    node = stage.node(upstream)
    with node.client() as c:
        c.get("/", headers=[("X-Forwarded-Proto", "https")])
    assert upstream.requests[0].get("x-forwarded-proto") == "http"


def test_certificates_by_name(stage, pki):
    node = node_for(stage, pki, stage.upstream(ANSWER), ["good", "second", "wild"])
    for name in ["localhost", "good.test", "second.test", "a.wild.test"]:
        with node.client(name=name) as c:
            assert c.get("/").text == "ok"
    with pytest.raises(ssl.SSLCertVerificationError):
        node.client(name="a.b.wild.test")
    # A name that none is for is served by the first.
    lax = trusting(pki, check_hostname=False)
    with node.client(name="nobody.test", tls=lax) as c:
        assert ("DNS", "good.test") in c.sock.getpeercert()["subjectAltName"]


def test_alpn(stage, pki):
    node = node_for(stage, pki, stage.upstream(ANSWER))
    client = trusting(pki)
    client.set_alpn_protocols(["http/1.1"])
    with node.client(tls=client) as c:
        assert c.sock.selected_alpn_protocol() == "http/1.1" and c.get("/").text == "ok"
    client.set_alpn_protocols(["spdy/1"])
    with pytest.raises(ssl.SSLError):
        node.client(tls=client)
    assert handshakes(node, "alpn") == 1


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])
def test_tickets_resume(stage, pki, version):
    client = trusting(pki, version)
    node = node_for(stage, pki, stage.upstream(ANSWER), client=client)
    with node.client() as c:
        c.get("/")
        session = c.sock.session
    before = handshakes(node, "resumed")
    sock = client.wrap_socket(socket.create_connection(("127.0.0.1", node.port)), server_hostname="localhost", session=session)
    assert sock.session_reused
    sock.close()
    wait_for(lambda: handshakes(node, "resumed") == before + 1, "the resumption to be counted")


def test_a_client_that_trusts_nobody(stage, pki):
    """OpenSSL's says so in plain text where TLS 1.3 has begun to encrypt: the log tells what that is likely to be."""
    node = node_for(stage, pki, stage.upstream(ANSWER))
    with pytest.raises(ssl.SSLCertVerificationError):
        node.client(tls=ssl.create_default_context())
    (event,) = node.wait_events("client_tls_failed", check="protocol")
    assert "(curl) that refuses the certificate" in event["reason"]


def test_an_old_client_is_refused(stage, pki):
    node = node_for(stage, pki, stage.upstream(ANSWER))
    old = trusting(pki, ssl.TLSVersion.TLSv1_1)
    old.set_ciphers("DEFAULT:@SECLEVEL=0")
    with pytest.raises(ssl.SSLError, match="(?i)version"):
        node.client(tls=old)
    assert handshakes(node, "version") == 1
    node.wait_events("client_tls_failed", check="version")


def test_the_lowest_version_holds(stage, pki):
    node = node_for(stage, pki, stage.upstream(ANSWER), tls={"min_version": "1.3"})
    with pytest.raises(ssl.SSLError):
        node.client(tls=trusting(pki, ssl.TLSVersion.TLSv1_2))
    with node.client() as c:
        assert c.sock.version() == "TLSv1.3" and c.get("/").text == "ok"


def test_plain_http_on_the_port(stage, pki):
    node = node_for(stage, pki, stage.upstream(ANSWER))
    with node.client(tls=None) as c:
        c.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        try:
            c.to_end()
        except OSError:
            pass
    wait_for(lambda: handshakes(node, "not_tls") == 1, "it to be counted")


def test_silence_in_the_handshake_is_ended(stage, pki):
    node = node_for(stage, pki, stage.upstream(ANSWER), header_timeout=0.3)
    with node.client(tls=None) as c:
        c.send(b"\x16\x03\x01")
        with pytest.raises((Closed, ConnectionError)):
            c.exactly(1)


REFUSED = {
    "expired-client": "expired",
    "future-client": "not_yet_valid",
    "self-signed-client": "self_signed",
    "unknown-client": "untrusted",
    "wrong-chain-client": "untrusted",
    "wrong-use-client": "key_usage",
    "weak-client": "weak",
    "sha1-client": "weak",
}


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])
@pytest.mark.parametrize("name", REFUSED)
def test_client_certificates_that_are_refused(stage, pki, name, version):
    asks = {"client_ca_file": str(pki / "ca.pem"), "client_certificates": "optional"}
    node = node_for(stage, pki, stage.upstream(ANSWER), tls=asks)
    with pytest.raises((ssl.SSLError, Closed, ConnectionError)):
        with node.client(tls=trusting(pki, version, name)) as c:
            c.get("/")
    wait_for(lambda: handshakes(node, REFUSED[name]) == 1, f"it to be counted as {REFUSED[name]}")
    node.wait_events("client_tls_failed", check=REFUSED[name])


def test_client_certificates(stage, pki):
    asks = {"client_ca_file": str(pki / "ca.pem"), "client_certificates": "required"}
    node = node_for(stage, pki, stage.upstream(ANSWER), tls=asks, client=trusting(pki, cert="client"))
    with node.client() as c:
        assert c.get("/").text == "ok"
    with pytest.raises((ssl.SSLError, Closed, ConnectionError)):
        with node.client(tls=trusting(pki)) as c:
            c.get("/")
    wait_for(lambda: handshakes(node, "no_certificate") == 1, "it to be counted")


def test_a_proxy_header_comes_first(stage, pki):
    upstream = stage.upstream(ANSWER)
    server = {"tls": {"certificates": files(pki, "good")}, "proxy_protocol": True}
    node = stage.node(upstream, server=server, ready=False)
    first = b"PROXY TCP4 192.0.2.7 192.0.2.1 1234 443\r\n"

    def answered():
        with Client(node.port, tls=trusting(pki), first=first) as c:
            return c.get("/").text == "ok"

    wait_for(answered, "an answer")
    assert upstream.requests[-1].get("x-forwarded-for") == "192.0.2.7"


def test_new_certificates_on_a_reload(stage, pki, tmp_path):
    """Connections that are open go on; new ones see the new certificate; a bad file changes nothing."""
    for end in ["pem", "key"]:
        (tmp_path / f"now.{end}").write_bytes((pki / f"good.{end}").read_bytes())
    pair = {"cert_file": str(tmp_path / "now.pem"), "key_file": str(tmp_path / "now.key")}
    node = stage.node(stage.upstream(ANSWER), server={"tls": {"certificates": [pair]}}, tls=trusting(pki))
    failed, stop = [], threading.Event()

    def load():
        while not stop.is_set():
            try:
                with node.client() as c:
                    for _ in range(3):
                        assert c.get("/").text == "ok"
            except Exception as e:  # noqa: BLE001 - shown below
                failed.append(e)

    threads = [threading.Thread(target=load) for _ in range(3)]
    with node.client() as old:
        assert old.get("/").text == "ok"
        for t in threads:
            t.start()
        for end in ["pem", "key"]:
            (tmp_path / f"now.{end}").write_bytes((pki / f"rsa.{end}").read_bytes())
        node.tell(signal.SIGHUP)
        node.wait_events("reload")
        with node.client() as c:
            assert c.sock.getpeercert()["subject"] == ((("commonName", "rsa"),),)
        assert old.get("/").text == "ok"
        (tmp_path / "now.key").write_bytes((pki / "good.key").read_bytes())
        node.tell(signal.SIGHUP)
        assert "now.key" in node.wait_events("reload_failed")[0]["reason"]
        with node.client() as c:
            assert c.sock.getpeercert()["subject"] == ((("commonName", "rsa"),),)
        assert old.get("/").text == "ok"
    stop.set()
    for t in threads:
        t.join()
    assert not failed, failed[:3]


def test_expiry_is_told(stage, pki, tmp_path):
    soon = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=10)
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "10"]
        + ["-subj", "/CN=soon", "-addext", "subjectAltName=DNS:localhost", "-keyout", "soon.key", "-out", "soon.pem"],
        cwd=tmp_path,
        check=True,
        capture_output=True,
    )
    pair = {"cert_file": str(tmp_path / "soon.pem"), "key_file": str(tmp_path / "soon.key")}
    node = stage.node(
        stage.upstream(ANSWER),
        server={"tls": {"certificates": [pair, *files(pki, "good")]}},
        tls=ssl.create_default_context(cafile=tmp_path / "soon.pem"),
    )
    told = node.wait_only_events("certificate_expires")
    assert told[0]["file"] == pair["cert_file"] and told[0]["days_left"] in (9, 10)
    at = node.metric("weir_tls_certificate_not_after_seconds", file=pair["cert_file"])
    assert abs(at - soon.timestamp()) < 600
    assert node.metric("weir_tls_certificates_expiring") == 1


def test_a_node_without_its_certificate_does_not_start(stage, pki):
    node = stage.node("http://127.0.0.1:1", server={"tls": {"certificates": files(pki, "none")}}, ready=False)
    assert node.wait() != 0
    assert "none.pem" in node.log


@pytest.mark.parametrize(("cert", "key", "sentence"), [("none", "good", "none.pem: No such file"), ("good", "rsa", "not the key of")])
def test_check_reads_certificates(pki, tmp_path, cert, key, sentence):
    pair = {"cert_file": str(pki / f"{cert}.pem"), "key_file": str(pki / f"{key}.key")}
    model = {"server": {"tls": {"certificates": [pair]}}, "providers": {"a": {"base_url": "http://127.0.0.1:1"}}}
    (tmp_path / "w.yaml").write_text(json.dumps(model))
    run = subprocess.run([program("weir-node"), "--check", "-c", tmp_path / "w.yaml"], capture_output=True, text=True, check=False)
    assert run.returncode == 2 and sentence in run.stderr and run.stdout == ""


def test_a_stream_and_its_end_when_draining(stage, pki, mock):
    node = node_for(stage, pki, mock)
    with node.client() as c:
        fields = [("Content-Type", "application/json"), ("x-mock-tokens", "3"), ("x-mock-gate", "g")]
        c.ask("POST", "/v1/chat/completions", fields, b'{"model": "m", "stream": true, "messages": []}')
        mock.wait_waiting("g")
        mock.steps("g", 1)
        assert c.response_head().status == 200
        node.tell(signal.SIGTERM)
        node.wait_events("drain")
        mock.steps("g", "all")
        assert b"[DONE]" in c.to_end()
    assert node.wait() == 0
