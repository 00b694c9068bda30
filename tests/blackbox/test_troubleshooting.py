"""docs/troubleshooting.md shows what weirctl doctor says of each trouble: here each is provoked, and the page is held to it."""

import contextlib
import json
import re
import time

import pytest
from harness import ROOT, Process, program, sanitized, wait_for
from jams import Jammed

PAGE = ROOT / "docs" / "troubleshooting.md"
# What is held is to be there still when the doctor comes, however slow the machine is.
PATIENT = {"pool": 120, "read": 120, "total": 120}


def general(text):
    """Without what is another one each time: addresses, times and numbers."""
    text = re.sub(r"(127\.0\.0\.1|localhost):\d+", "ADDRESS", text)
    text = re.sub(r"\d{4}-\d\d-\d\dT[\d:.]+Z", "TIME", text)
    return re.sub(r"\d+(\.\d+)?", "N", text).strip()


def shown_for(trouble):
    """The block of the page below the line that names the trouble's output."""
    found = re.search(rf"^<!-- doctor: {trouble} -->\n+((?:    .*\n|\n(?=    ))+)", PAGE.read_text(), re.M)
    assert found, f"{PAGE.name} has no output of {trouble}"
    return re.sub(r"^    ", "", found[1], flags=re.M)


def says_while(stage, node, act):
    """The doctor's words on a node that is used meanwhile."""
    where = f"http://127.0.0.1:{node.port}"
    doctor = Process([program("weirctl"), "doctor", "--over", "2", "--node", where], stage.scratch, "doctor")
    stage.running.append(doctor.finish)
    while doctor.alive():
        act()
    doctor.stopped = True
    assert doctor.popen.returncode == 1, doctor.log
    return doctor.out


def finding(text, kind):
    (found,) = [f for f in text.split("\n\n") if f.startswith(kind)]
    return found


def idle():
    time.sleep(0.05)


@contextlib.contextmanager
def held(mock, node, count, body=b""):
    """So many requests, which the provider does not answer until the end."""
    mock.plan(gate="g")
    clients = [node.client() for _ in range(count)]
    for client in clients:
        client.ask("POST", "/v1/chat/completions", [("Content-Length", str(len(body)))])
        client.send(body)
    try:
        yield
    finally:
        mock.steps("g", "all")
        for client in clients:
            client.close()


def exhausted(stage, mock):
    pool = {"max_connections": 20, "max_keepalive_connections": 10, "pool_block_timeout": 120}
    node = stage.node({"openai": {"base_url": mock.url, "connection_pool": pool, "timeout": PATIENT}})
    with held(mock, node, 34):
        wait_for(lambda: node.pool("openai")["pending_requests"] == 14, "some to wait")
        yield node, idle


def timeouts(stage, mock):
    http = {"timeout": {"connect": 0.1, "read": 1, "total": 1}, "retry": {"enabled": False}, "circuit_breaker": {"enabled": False}}
    with Jammed() as far:
        node = stage.node({"openai": {"base_url": far.url}}, http_client=http)
        yield node, lambda: node.get("/v1/models")


def errors(stage, mock):
    http = {"circuit_breaker": {"enabled": False}, "retry": {"enabled": False}}
    node = stage.node({"openai": {"base_url": mock.url}}, http_client=http)
    mock.plan(status=500)
    yield node, lambda: (node.get("/v1/models"), idle())


def memory(stage, mock):
    if sanitized():
        pytest.skip("a sanitizer's memory is not the node's")
    pool = {"max_connections": 200, "max_keepalive_connections": 50}
    http = {"pool_limits": pool, "retry": {"replay_buffer": "1MB"}, "timeout": PATIENT}
    node = stage.node({"openai": {"base_url": mock.url}}, http_client=http)
    config = json.loads(node.config_path.read_text())
    config.setdefault("server", {})["memory_limit"] = size = node.resident_bytes() + (8 << 20)
    node.reload(config)
    wait_for(lambda: node.get("/health").json()["checks"]["memory"]["limit_bytes"] == size, "the limit")
    with held(mock, node, 120, b"x" * 200000):
        mock.wait_waiting("g", 120)
        yield node, idle


def by_hand(stage, mock):
    node = stage.node({"openai": {"base_url": mock.url}}, http_client={"circuit_breaker": {"enabled": True, "recovery_timeout": 60}})
    with node.client() as c:
        assert c.request("POST", f"/api/breaker/open?endpoint={mock.url}").status == 200
    yield node, idle


TROUBLES = {
    "pool exhaustion": exhausted,
    "connection timeouts": timeouts,
    "high error rate": errors,
    "memory": memory,
    "circuit opened by hand": by_hand,
}


@pytest.mark.parametrize("trouble", TROUBLES)
def test_the_page_shows_what_the_doctor_says(stage, trouble):
    with contextlib.contextmanager(TROUBLES[trouble])(stage, stage.mock()) as (node, act):
        said = finding(says_while(stage, node, act), trouble)
    print(said)
    assert general(shown_for(trouble)) == general(said)


def test_the_page_has_all_of_them():
    assert set(re.findall(r"^<!-- doctor: (.*) -->$", PAGE.read_text(), re.M)) == set(TROUBLES)
