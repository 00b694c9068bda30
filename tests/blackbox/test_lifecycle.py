"""Start, reload, drain, end."""

import json
import os
import signal
import socket
import subprocess
import threading

import pytest
from harness import free_port, program, refused, wait_for
from http1 import Closed, answering
from load import Load

STREAM = json.dumps({"model": "m", "stream": True, "messages": [], "max_tokens": 3}).encode()


def open_stream(node, mock, gate):
    c = node.client()
    c.ask("POST", "/v1/chat/completions", [("x-mock-gate", gate), ("x-mock-tokens", "3")], STREAM)
    mock.wait_waiting(gate)
    mock.steps(gate)
    assert c.response_head().status == 200
    c.event()
    return c


def rest_of(stream):
    events = []
    while (event := stream.event()) is not None:
        events.append(event)
    return events


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_drain_finishes_streams(mock, node, number):
    streams = [open_stream(node, mock, f"g{i}") for i in range(20)]
    idle = node.client()
    assert idle.get("/echo").status == 200
    node.tell(number)
    wait_for(lambda: refused(node.port), "the listener to close")
    assert node.alive()
    for i, s in enumerate(streams):
        mock.steps(f"g{i}", "all")
        assert rest_of(s)[-1] == "data: [DONE]"
    assert node.wait() == 0
    assert idle.at_end()
    assert mock.stats()["aborted"]["total"] == 0
    for s in [*streams, idle]:
        s.close()


def test_drain_under_load_loses_nothing(stage, mock):
    """Every request whose connection was accepted gets its whole answer; later ones are refused, not cut off."""
    node = stage.node(mock, server={"workers": 2})
    complete, lost, started = [], [], threading.Semaphore(0)

    def run():
        while True:
            try:
                c = node.client()
            except ConnectionRefusedError:
                return
            try:
                c.ask("POST", "/v1/chat/completions", [("x-mock-tokens", "30"), ("x-mock-token-interval-ms", "4")], STREAM)
                assert c.response_head().status == 200
                assert rest_of(c)[-1] == "data: [DONE]"
                complete.append(1)
            except (Closed, OSError, AssertionError) as e:
                lost.append(repr(e))
                return
            finally:
                c.close()
            started.release()

    threads = [threading.Thread(target=run) for _ in range(16)]
    for t in threads:
        t.start()
    for _ in range(30):
        assert started.acquire(timeout=60)
    node.tell(signal.SIGTERM)
    for t in threads:
        t.join()
    assert node.wait() == 0
    assert not lost, lost
    assert len(complete) >= 30


def test_ready_turns_503_while_others_are_told(stage, mock):
    node = stage.node(mock, server={"drain_delay": 600, "drain_timeout": 600})
    with node.client() as c:
        assert c.get("/health/ready").status == 200
    node.tell(signal.SIGTERM)
    wait_for(lambda: node.get("/health/ready").status == 503, "readiness to end")
    assert node.get("/health/live").status == 200
    assert node.get("/echo").status == 200, "until the listener closes, requests are served"
    node.tell(signal.SIGTERM)
    node.wait()


def test_drain_tells_keep_alive_clients(stage, mock):
    node = stage.node(mock, server={"drain_timeout": 600})
    c = node.client()
    c.ask("GET", "/echo", [("x-mock-gate", "g")])
    mock.wait_waiting("g")
    node.tell(signal.SIGTERM)
    wait_for(lambda: refused(node.port), "the listener to close")
    mock.steps("g")
    r = c.response()
    assert r.status == 200 and r.get("connection") == "close" and c.at_end()
    c.close()
    assert node.wait() == 0


def test_drain_has_an_end(stage, mock):
    node = stage.node(mock, server={"drain_timeout": 0.3})
    c = open_stream(node, mock, "g")
    node.tell(signal.SIGTERM)
    assert node.wait() == 0
    with pytest.raises((Closed, ConnectionResetError)):
        rest_of(c)
    c.close()
    (line,) = node.events("access", target="/v1/chat/completions")
    assert (line["close"], line["error"]) == ("drain_timeout", "drain_timeout"), "it was not the client who left"


def test_second_signal_ends_at_once(stage, mock):
    node = stage.node(mock, server={"drain_timeout": 600})
    c = open_stream(node, mock, "g")
    node.tell(signal.SIGTERM)
    wait_for(lambda: refused(node.port), "the listener to close")
    node.tell(signal.SIGTERM)
    node.wait()
    with pytest.raises((Closed, ConnectionResetError)):
        rest_of(c)
    c.close()


def test_end_closes_upstream_connections(stage, mock):
    node = stage.node(mock)
    node.get("/echo")
    assert mock.stats()["connections"]["open"] == 1
    assert node.stop() == 0
    mock.wait_stats(lambda s: s["connections"]["open"] == 0, "the pool to be closed")


def test_restart_on_the_same_port(stage, mock):
    first = stage.node(mock)
    first.get("/echo")
    assert first.stop() == 0
    again = stage.node_of(stage.config(first.port, mock), first.port)
    assert again.get("/echo").status == 200


@pytest.mark.parametrize("workers", [1, 2])
def test_reload_under_load(stage, workers):
    red, blue = stage.mock("--name", "red"), stage.mock("--name", "blue")
    node = stage.node({"p": red}, server={"workers": workers})
    streams = [open_stream(node, red, f"g{i}") for i in range(4)]
    load = Load(node, 6)
    load.wait(lambda: len(load.answers) > 50, "the load to begin")
    for turn in range(6):
        now, name = (blue, "blue") if turn % 2 == 0 else (red, "red")
        node.reload(stage.config(node.port, {"p": now}, server={"workers": workers}))
        load.wait(lambda n=name: load.answers[-30:] == [n] * 30, f"all answers to come from {name}")
    load.end()
    for i, s in enumerate(streams):
        red.steps(f"g{i}", "all")
        assert rest_of(s)[-1] == "data: [DONE]", "a stream outlives its configuration"
        s.close()
    changed = node.events("config_changed")
    assert any(red.url in json.dumps(e) and blue.url in json.dumps(e) for e in changed), "each changed key is logged"
    assert node.metric("weir_reloads_total", result="ok") == 6


def test_reload_lets_go_of_what_is_gone(stage):
    red, blue = stage.mock("--name", "red"), stage.mock("--name", "blue")
    node = stage.node({"p": red})
    node.get("/echo")
    node.reload(stage.config(node.port, {"p": blue}))
    wait_for(lambda: node.get("/echo").get("x-mock-name") == "blue", "the new provider")
    red.wait_stats(lambda s: s["connections"]["open"] == 0, "the old provider's connections to be closed")


def test_reload_keeps_what_stays(stage, mock):
    other = stage.mock()
    node = stage.node({"mock": mock})
    node.get("/echo")
    config = stage.config(node.port, {"mock": mock, "other": other}, routes=[{"provider": "mock"}])
    node.reload(config)
    wait_for(lambda: "other" in node.pool()["providers"], "the new provider")
    assert node.get("/echo").get("x-mock-connection") == "1", "the endpoint is the same, and so is its connection"
    assert node.pool("mock")["total_requests"] == 2


def test_reload_of_a_limit(stage, mock):
    node = stage.node(mock, http_client={"pool_limits": {"max_connections": 1}})
    node.reload(stage.config(node.port, mock, http_client={"pool_limits": {"max_connections": 7}}))
    wait_for(lambda: node.pool("mock")["max_connections"] == 7, "the new limit")


BROKEN = {
    "syntax": ("server: {listen: 127.0.0.1:1\nproviders:\n  a: ]\n", 3),
    "unknown-key": ("server:\n  listen: 127.0.0.1:1\nproviders:\n  a:\n    base_ur: http://127.0.0.1:1\n", 5),
    "wrong-type": ("server:\n  listen: 127.0.0.1:1\n  workers: many\n", 3),
    "gone": (None, None),
    "empty": ("", None),
    "half-written": ("server:\n  workers: 1\nproviders:\n", None),
}


@pytest.mark.parametrize(("text", "line"), BROKEN.values(), ids=BROKEN.keys())
def test_reload_of_a_broken_file_changes_nothing(stage, text, line):
    mock = stage.mock("--name", "red")
    node = stage.node(mock)
    before = node.config_path.read_text()
    load = Load(node, 2)
    if text is None:
        os.remove(node.config_path)
        node.tell(signal.SIGHUP)
    else:
        node.reload(text)
    wait_for(lambda: node.metric("weir_reloads_total", result="failed") == 1, "the reload to fail")
    answers = load.end()
    assert set(answers) <= {"red"}
    node.wait_log(node.config_path.name)
    if line:
        wait_for(lambda: f":{line}" in node.log or f'"line":{line}' in node.log, f"line {line} in the log")
    node.config_path.write_text(before)
    node.tell(signal.SIGHUP)
    wait_for(lambda: node.metric("weir_reloads_total", result="ok") == 1, "the repaired file to be taken")


def run_to_end(stage, config, port, **options):
    node = stage.node_of(config, port, ready=False, **options)
    return node.wait(), node.log


def test_port_in_use(stage, mock):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()
        port = s.getsockname()[1]
        code, log = run_to_end(stage, stage.config(port, mock), port)
    assert code == 1 and f"127.0.0.1:{port}" in log, log


def test_two_nodes_on_one_port(stage, mock):
    first = stage.node(mock, server={"workers": 2})
    code, log = run_to_end(stage, stage.config(first.port, mock, server={"workers": 2}), first.port)
    assert code == 1 and f"127.0.0.1:{first.port}" in log, log
    assert first.get("/echo").status == 200


def test_address_that_is_not_ours(stage, mock):
    code, log = run_to_end(stage, stage.config(0, mock, server={"listen": "192.0.2.1:8000"}), 8000)
    assert code == 1 and "192.0.2.1:8000" in log, log


def test_wrong_usage_and_wrong_configuration(stage, mock):
    import subprocess

    def run(*args):
        return subprocess.run([program("weir-node"), *map(str, args)], capture_output=True, text=True, check=False)

    good = stage.scratch / "good.yaml"
    good.write_text(json.dumps(stage.config(8000, mock)))
    bad = stage.scratch / "bad.yaml"
    bad.write_text("server:\n  lisen: 127.0.0.1:1\n")
    assert run("--check", "-c", good).returncode == 0
    check = run("--check", "-c", bad)
    assert check.returncode == 2 and f"{bad}:2" in check.stderr and "listen" in check.stderr
    assert run("-c", bad).returncode == 2
    assert run("-c", stage.scratch / "nowhere.yaml").returncode == 2
    assert run("-c", stage.scratch).returncode == 2, "a directory"
    assert run("--nonsense").returncode == 2
    assert run("--version").returncode == 0 and run("--help").returncode == 0


def test_descriptor_limit_is_raised_and_reported(stage, mock):
    node = stage.node(mock, nofile=(64, 256), http_client={"pool_limits": {"max_connections": 5000}})
    with open(f"/proc/{node.pid}/limits") as f:
        line = next(text for text in f if text.startswith("Max open files"))
    assert line.split()[3] == "256", line
    node.wait_events("descriptors", limit=256)
    assert node.get("/echo").status == 200


def test_out_of_descriptors_does_not_stop_it(stage, mock):
    """Connections beyond what the process may open wait; the ones that are there go on."""
    node = stage.node(mock, nofile=(64, 64))
    clients = []
    for _ in range(80):
        clients.append(node.client())
    served = clients[0].get("/health/live")
    assert served.status == 200
    for c in clients:
        c.close()
    wait_for(lambda: node.get("/echo").status == 200, "descriptors to be free again")


def test_access_log(stage, mock):
    node = stage.node(mock, logging={"format": "json"})
    with node.client() as c:
        c.post("/upload?key=secret", b"hello", [("X-Request-Id", "id-1"), ("Authorization", "Bearer sk-secret")])
        c.get("/echo", [("X-Request-Id", "id-2")])
        c.get("/echo", [("X-Request-Id", "id-3"), ("x-mock-fault", "close-before-head")])

    def line(request_id):
        return next((e for e in node.log_lines() if e.get("request_id") == request_id), None)

    lines = [wait_for(lambda i=i: line(f"id-{i}"), f"the line of request {i}") for i in (1, 2, 3)]
    assert [e["status"] for e in lines] == [200, 200, 502]
    assert lines[0]["method"] == "POST" and lines[0]["provider"] == "mock"
    assert mock.url in json.dumps(lines[0])
    assert "secret" not in node.log
    # The third began on the reused one, which died without an answer, and was replaced: the line tells of the last.
    assert [e["connection"] for e in lines] == ["new", "reused", "new"]
    assert lines[2]["error"] and lines[2]["attempts"] == 1


def test_access_log_off(stage, mock):
    node = stage.node(mock, logging={"access": False})
    with node.client() as c:
        c.get("/echo", [("X-Request-Id", "not-to-be-seen")])
    node.stop()
    assert "not-to-be-seen" not in node.log


def test_logfmt(stage, mock):
    node = stage.node(mock, logging={"format": "logfmt"})
    with node.client() as c:
        c.get("/echo", [("X-Request-Id", "id-1")])
    node.wait_log("request_id=id-1")


def test_secrets_are_not_logged(stage):
    upstream = stage.upstream(answering(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"))
    config = {"mock": {"base_url": upstream.url, "api_key": "sk-very-secret"}}
    node = stage.node(config, logging={"level": "debug"}, server={"admin": {"token": "admin-very-secret"}})
    node.get("/x")
    node.reload(stage.config(node.port, {"mock": {"base_url": upstream.url, "api_key": "sk-other-secret"}}))
    wait_for(lambda: node.metric("weir_reloads_total", result="ok") == 1, "the reload")
    node.stop()
    assert "secret" not in node.log.replace(str(node.config_path), "")


def test_key_from_the_environment(stage):
    upstream = stage.upstream(answering(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"))
    port = free_port()
    config = stage.config(port, {"mock": {"base_url": upstream.url, "api_key": "${WEIR_TEST_KEY}"}})
    node = stage.node_of(config, port, env={"WEIR_TEST_KEY": "sk-env"})
    node.get("/x")
    assert upstream.requests[0].get("authorization") == "Bearer sk-env"


@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGUSR2])
def test_a_stray_signal_ends_nothing(stage, node, number):
    node.tell(number)
    with node.client() as c:
        assert c.get("/echo").status == 200
    assert node.stop() == 0


def test_the_first_line_says_what_starts(stage, mock):
    node = stage.node(mock)
    assert node.stop() == 0
    first = node.log_lines()[0]
    assert (first["event"], first["config"]) == ("start", str(node.config_path))
    version = subprocess.run([program("weir-node"), "--version"], capture_output=True, text=True, check=True).stdout
    assert version == f"weir-node {first['version']}\n"
