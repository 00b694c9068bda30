"""Sends real requests through a running demo and verifies the answers. No check depends on how long something takes."""

import http.client
import json
import os
import re
import signal
import subprocess

from demo_processes import Failed, wait_until
from demo_try import STEPS, lines_of
from guide_lines import type_all

CHAT = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hello"}]}
MESSAGE = {"model": "claude-3-5-haiku-latest", "max_tokens": 64, "messages": [{"role": "user", "content": "hello"}]}
FAST = {"x-mock-token-interval-ms": "0", "x-mock-tokens": "5"}
REUSE_ROUNDS = 20

# The guide's lists of pool metrics, both.
POOL_METRICS = (
    "max_keepalive_connections", "max_connections", "active_connections", "available_connections", "pending_requests",
    "total_requests", "error_count", "avg_response_time_ms", "connections_active", "connections_idle", "connections_total",
    "connections_pending", "connections_created_total", "connections_closed_total", "connection_errors_total",
    "connection_timeouts_total", "avg_connection_time_ms", "pool_utilization_percent")

# Command lines an operator types besides the guide's; each must succeed and print something. PORT stands for the demo's.
COMMANDS = (
    "curl -fsS -X POST http://localhost:PORT/debug/memory/gc | jq -e '.trim.freed_bytes >= 0'",
    "curl -fsS http://localhost:PORT/health/providers | jq -e '.providers.openai.status'",
    "curl -fsS http://localhost:PORT/health/circuit-breaker | jq -e '.providers.openai.endpoints[].state'",
    "curl -fsS http://localhost:PORT/debug/network/latency | jq -e '.providers.openai.endpoints[].first_byte.p99_ms'",
    "curl -fsS http://localhost:PORT/api/alerts | jq -e '.alerts[] | select(.provider == null) | .name'",
    "curl -fsS http://localhost:PORT/metrics/prometheus | grep weir_circuit_state",
)


def require(condition, what):
    if not condition:
        raise Failed(what)


def send(address, method, path, body=None, headers=None):
    """(connection, response) with the head read. The caller closes the connection."""
    host, port = address.rsplit(":", 1)
    connection = http.client.HTTPConnection(host, int(port), timeout=20)
    fields = {"Content-Type": "application/json", **(headers or {})}
    connection.request(method, path, json.dumps(body) if body is not None else None, fields)
    return connection, connection.getresponse()


def fetch(address, method, path, body=None, headers=None, status=200):
    """The body of an answer that must have that status."""
    connection, response = send(address, method, path, body, headers)
    try:
        content = response.read()
    finally:
        connection.close()
    require(response.status == status, f"{method} {path}: {response.status} instead of {status}: {content[:300]!r}")
    return content


class Checks:
    def __init__(self, demo):
        self.demo = demo
        self.node = f"127.0.0.1:{demo.port}"  # whichever HAProxy chooses
        self.nodes = [f"127.0.0.1:{port}" for port in demo.node_ports.values()]

    def pool(self):
        """The pool's numbers, added up over the nodes."""
        pools = [json.loads(fetch(node, "GET", "/metrics"))["connection_pool"] for node in self.nodes]
        return {name: sum(pool[name] for pool in pools) for name in POOL_METRICS}

    def health(self):
        for path in ("/health", "/health/live", "/health/ready", "/health/connections", "/health/providers", "/health/circuit-breaker"):
            json.loads(fetch(self.node, "GET", path))

    def chat(self):
        answer = json.loads(fetch(self.node, "POST", "/v1/chat/completions", CHAT, FAST))
        require(answer["choices"][0]["message"]["content"], f"no content in {answer}")

    def message(self):
        answer = json.loads(fetch(self.node, "POST", "/v1/messages", MESSAGE, FAST))
        require(answer["content"][0]["text"], f"no text in {answer}")

    def open_gate(self, name, steps):
        for control in self.demo.controls:
            fetch(control, "POST", f"/gate/{name}?steps={steps}", {})

    def open_stream(self, gate):
        """A stream whose provider waits at a gate before its head and before each token; the head is let through."""
        self.open_gate(gate, 1)
        return send(self.node, "POST", "/v1/chat/completions", {**CHAT, "stream": True}, {**FAST, "x-mock-gate": gate})

    @staticmethod
    def next_event(response):
        """The data of the next server-sent event; None at the end."""
        while True:
            line = response.readline()
            if not line:
                return None
            if line.startswith(b"data:"):
                return line[len(b"data:"):].strip().decode()

    def stream(self):
        """Each token must arrive while the provider still waits to send the next one."""
        connection, response = self.open_stream("stream")
        try:
            require(response.status == 200, f"stream: {response.status}")
            require(response.headers["Content-Type"].startswith("text/event-stream"), "stream: not an event stream")
            texts, event = [], ""
            for _ in range(int(FAST["x-mock-tokens"])):
                self.open_gate("stream", 1)
                while True:
                    event = self.next_event(response)
                    require(event is not None, "stream: ended early")
                    delta = json.loads(event)["choices"][0]["delta"].get("content")
                    if delta:
                        texts.append(delta)
                        break
            for control in self.demo.controls:
                fetch(control, "POST", "/gate/stream?steps=1000", {})
            while event not in (None, "[DONE]"):
                event = self.next_event(response)
            require(event == "[DONE]", "stream: no [DONE] at its end")
            require(len(texts) == int(FAST["x-mock-tokens"]), f"stream: tokens {texts}")
        finally:
            connection.close()

    def aborted(self):
        return sum(json.loads(fetch(control, "GET", "/stats"))["aborted"]["total"] for control in self.demo.controls)

    def abort(self):
        """A client that goes away in mid-stream takes its upstream connection with it."""
        before = self.aborted()
        connection, _ = self.open_stream("abort")
        connection.close()
        wait_until(lambda: self.aborted() == before + 1, "the provider to see that the client went away")

    def reuse(self):
        before = self.pool()
        for _ in range(REUSE_ROUNDS):
            self.chat()
        after = self.pool()
        made = after["connections_created_total"] - before["connections_created_total"]
        require(after["total_requests"] - before["total_requests"] == REUSE_ROUNDS, f"total_requests: {before} {after}")
        require(made <= 2, f"{made} new connections for {REUSE_ROUNDS} requests, one after another")

    def metrics(self):
        pool = json.loads(fetch(self.node, "GET", "/metrics"))["connection_pool"]
        missing = [name for name in POOL_METRICS if name not in pool]
        require(not missing, f"/metrics lacks {missing}")
        for provider in ("openai", "anthropic"):
            missing = [name for name in POOL_METRICS if name not in pool["providers"][provider]]
            require(not missing, f"/metrics lacks {missing} of {provider}")
        text = fetch(self.node, "GET", "/metrics/prometheus").decode()
        for name in ("connections_active", "connections_created_total", "pool_utilization_percent"):
            require(f"\n{name}{{" in text or f"\n{name} " in text, f"/metrics/prometheus lacks {name}")
        json.loads(fetch(self.node, "GET", "/api/http-client/pool/stats"))

    def errors(self):
        """A provider's error passes unchanged; an impossible request gets weir's own."""
        fetch(self.node, "POST", "/v1/chat/completions", CHAT, {**FAST, "x-mock-status": "401"}, status=401)

    def circuits(self):
        """The states of the circuits of the two endpoints behind the chats; None while the nodes differ."""
        seen = []
        for node in self.nodes:
            page = json.loads(fetch(node, "GET", "/health/circuit-breaker"))
            seen.append(sorted(endpoint["state"] for endpoint in page["providers"]["openai"]["endpoints"].values()))
        return seen[0] if seen.count(seen[0]) == len(seen) else None

    def sick(self):
        """One of two endpoints fails: no client sees it, its circuit opens, and closes once it is well."""
        fetch(self.demo.controls[0], "POST", "/plan?status=500")

        def chat_until(states):
            def reached():
                for session in range(8):  # to every node, and to both endpoints
                    fetch(self.node, "POST", "/v1/chat/completions", CHAT, {**FAST, "x-session-id": str(session)})
                return self.circuits() == states
            return reached

        wait_until(chat_until(["closed", "open"]), "the sick endpoint's circuit to open")
        fetch(self.demo.controls[0], "POST", "/plan")
        wait_until(chat_until(["closed", "closed"]), "its circuit to close")

    def things_to_try(self):
        """Each line that the demo shows, with what it must show in turn."""
        for step in STEPS:
            for line, pattern in lines_of(step, self.demo.names()):
                wait_until(lambda line=line, pattern=pattern: self.line_shows(line, pattern), f"{line}\nto show {pattern}")
            if "{victim}" in str(step):
                self.await_all()

    def await_all(self):
        """What was killed is started again, and the cluster is whole."""
        status = self.demo.names()["weirctl"] + " status"

        def whole():
            self.demo.tend()
            self.chat()
            return not self.demo.due and not self.demo.returning and self.line_shows(status, r"in contact(.|\n)*3 of 3 alive")

        wait_until(whole, "what was killed to be back")

    def killed(self):
        """A provider and the store at once: chats go on, both come back, and nothing else goes with them."""
        victims = ("mock-one", "redis")
        before = {name: process.child.pid for name, process in self.demo.processes.items()}
        for name in victims:
            os.kill(before[name], signal.SIGKILL)
            self.demo.processes[name].child.wait()
        for session in range(8):
            fetch(self.node, "POST", "/v1/chat/completions", CHAT, {**FAST, "x-session-id": str(session)})
        self.await_all()
        fetch(self.demo.controls[0], "GET", "/stats")
        changed = [name for name, process in self.demo.processes.items() if process.child.pid != before[name]]
        require(sorted(changed) == sorted(victims), f"started again: {changed}")

    def line_shows(self, line, pattern):
        done = subprocess.run(["bash", "-o", "pipefail", "-c", line], capture_output=True, text=True, timeout=60,
                              cwd=self.demo.root, check=False)
        if pattern is None:
            require(done.returncode == 0, f"{line}: exit {done.returncode}: {done.stderr}{done.stdout}")
            return True
        return re.search(pattern, done.stdout, re.M) is not None

    def guide(self):
        problems = type_all(self.demo.port)
        require(not problems, "\n".join(problems))

    def commands(self):
        for command in COMMANDS:
            line = command.replace("PORT", str(self.demo.port))
            done = subprocess.run(["bash", "-o", "pipefail", "-c", line], capture_output=True, text=True, timeout=30, check=False)
            require(done.returncode == 0 and done.stdout, f"{line}: exit {done.returncode}: {done.stderr}{done.stdout}")


def check(demo):
    """Raises Failed at the first answer that is wrong; returns how many checks passed."""
    checks = Checks(demo)
    done = 0
    for name in ("health", "chat", "message", "stream", "abort", "reuse", "errors", "sick", "metrics", "guide", "commands",
                 "things_to_try", "killed"):
        getattr(checks, name)()
        print(f"demo: ok: {name}", flush=True)
        done += 1
    return done
