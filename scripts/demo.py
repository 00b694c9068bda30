"""Runs the demo that scripts/demo has built: two fake providers and a node, with deploy/demo.yaml."""

import argparse
import http.client
import os
import signal
import sys

from demo_check import check
from demo_processes import Failed, Process, free_port, holder_of, wait_until

PORT = 8000
# One token each 60 ms: slow enough to see a stream arrive.
MOCK_OPTIONS = ["--listen", "127.0.0.1:0", "--control", "127.0.0.1:0", "--tokens", "24", "--token-interval-ms", "60"]

TRY = """
weir-node is on http://localhost:{port}, in front of two fake providers ({mocks}).
Configuration: {config}. Logs: {folder}/*.log. Things to try, from another terminal:

1. A chat:
   curl -s http://localhost:{port}/v1/chat/completions -H 'Content-Type: application/json' \\
     -d '{{"model":"gpt-4o-mini","messages":[{{"role":"user","content":"hello"}}]}}' | jq .

2. The same as a stream; the tokens arrive one by one:
   curl -N http://localhost:{port}/v1/chat/completions -H 'Content-Type: application/json' \\
     -d '{{"model":"gpt-4o-mini","stream":true,"messages":[{{"role":"user","content":"hello"}}]}}'

3. The pool, in numbers and for Prometheus:
   curl -s http://localhost:{port}/metrics | jq '.connection_pool'
   curl -s http://localhost:{port}/metrics/prometheus | grep connection

4. The pool of each provider and endpoint, and its health:
   curl -s http://localhost:{port}/api/http-client/pool/stats | jq .
   curl -s http://localhost:{port}/health/connections | jq .
   curl -s http://localhost:{port}/health/providers | jq .

5. Circuits, latencies, alerts, and what the memory is used for:
   curl -s http://localhost:{port}/health/circuit-breaker | jq .
   curl -s http://localhost:{port}/debug/network/latency | jq .
   curl -s http://localhost:{port}/api/alerts | jq .
   curl -s http://localhost:{port}/debug/memory/pool | jq .

6. A sick endpoint: one of the two behind the chats answers 500 from now on. Chats go on; after five failures its
   circuit opens, and five seconds later one request at a time sees whether it is well:
   curl -s -X POST 'http://{control}/plan?status=500'
   for i in $(seq 20); do curl -s -o /dev/null -w '%{{http_code}} ' http://localhost:{port}/v1/models; done
   curl -s http://localhost:{port}/health/circuit-breaker | jq '.providers.openai'
   curl -s -X POST 'http://{control}/plan'     # well again

7. OpenAI's and Anthropic's own clients, pointed here by base URL alone:
   import OpenAI from "openai";
   const openai = new OpenAI({{ baseURL: "http://localhost:{port}/v1", apiKey: "any" }});
   const stream = await openai.chat.completions.create({{
     model: "gpt-4o-mini", stream: true, messages: [{{ role: "user", content: "hello" }}] }});
   for await (const chunk of stream) process.stdout.write(chunk.choices[0]?.delta?.content ?? "");

Ctrl-C stops it all.
"""


def status_of(port, path):
    """The status of a GET; None while nobody answers."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except OSError:
        return None
    finally:
        connection.close()


class Demo:
    def __init__(self, root, folder, port):
        self.root, self.folder, self.port = root, folder, port
        self.processes, self.mocks, self.controls = [], [], []

    def launch(self, name, argv):
        process = Process(name, argv, os.path.join(self.folder, name + ".log"))
        self.processes.append(process)
        return process

    def start(self):
        binaries = os.path.join(self.root, "build/bin")
        for name in ("one", "two"):
            mock = self.launch("mock-" + name, [f"{binaries}/weir-mock-provider", "--name", name, *MOCK_OPTIONS])
            self.mocks.append(mock.wait_for(r"listening on (\S+:\d+)"))
            self.controls.append(mock.wait_for(r"control on (\S+:\d+)"))
        node = self.launch("node", [f"{binaries}/weir-node", "-c", self.write_config()])

        def ready():
            node.check_alive()
            return status_of(self.port, "/health/ready") == 200

        wait_until(ready, "the node to be ready")

    def write_config(self):
        """deploy/demo.yaml with the addresses that are in use here."""
        with open(os.path.join(self.root, "deploy/demo.yaml"), encoding="utf-8") as file:
            text = file.read()
        wanted = {"127.0.0.1:8000": f"127.0.0.1:{self.port}", "127.0.0.1:9001": self.mocks[0], "127.0.0.1:9002": self.mocks[1]}
        for written, used in wanted.items():
            text = text.replace(f'{written}"', f'{used}"')
        path = os.path.join(self.folder, "demo.yaml")
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def stop(self):
        """Stops everything, the node first; the exit status of each by name."""
        return {process.name: process.stop() for process in reversed(self.processes)}

    def describe(self):
        print(TRY.format(port=self.port, mocks=", ".join(self.mocks), control=self.controls[0],
                         config=os.path.join(self.folder, "demo.yaml"), folder=self.folder), flush=True)

    def wait(self):
        """Until a signal comes or a process ends by itself."""
        names = {process.child.pid: process for process in self.processes}
        info = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT)
        if info.si_pid in names:
            names[info.si_pid].check_alive()


def interrupt(*_):
    raise KeyboardInterrupt


def on_signals(handler):
    """Set even where they were ignored: a shell that starts a job in the background has SIGINT ignored in it."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, handler)


def run(demo, checking):
    """How many checks passed, if that is what it was for."""
    demo.start()
    if checking:
        return check(demo)
    demo.describe()
    demo.wait()
    return 0


def main():
    parser = argparse.ArgumentParser(prog="scripts/demo")
    parser.add_argument("--port", type=int, default=PORT, help="port of the node on 127.0.0.1")
    parser.add_argument("--check", action="store_true", help="send requests, verify the answers, stop")
    options = parser.parse_args()
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    folder = os.path.join(root, "build", "demo-check" if options.check else "demo")
    os.makedirs(folder, exist_ok=True)
    port = free_port() if options.check else options.port
    holder = holder_of(port)
    if holder:
        print(f"demo: port {port} is taken by {holder}. Stop that, or choose another port: scripts/demo --port N", file=sys.stderr)
        return 1
    on_signals(interrupt)
    demo = Demo(root, folder, port)
    status = passed = 0
    try:
        passed = run(demo, options.check)
    except KeyboardInterrupt:
        print("\ndemo: stopping")
        status = 1 if options.check else 0
    except (Failed, OSError, http.client.HTTPException) as problem:
        print(f"demo: {problem}", file=sys.stderr)
        status = 1
    finally:
        on_signals(signal.SIG_IGN)  # stopping has its own bound
        ended = demo.stop()
    bad = {name: code for name, code in ended.items() if code != 0}
    if bad and status == 0:
        print("demo: did not end well: " + ", ".join(f"{name} with {code}" for name, code in bad.items()), file=sys.stderr)
        status = 1
    if options.check:
        print(f"demo: {passed} checks passed, everything stopped" if status == 0 else "demo: FAILED, logs are in " + folder)
    return status


sys.exit(main())
