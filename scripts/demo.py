"""Runs the demo that scripts/demo has built: a cluster of three nodes with deploy/demo.yaml, on a Redis of its own, with a
coordinator, behind HAProxy (deploy/haproxy/haproxy.cfg), in front of two fake providers."""

import argparse
import http.client
import os
import shutil
import signal
import sys
import time

from demo_check import check
from demo_processes import Failed, Process, free_port, holder_of, wait_until
from demo_try import describe

PORT = 8000
NODES = ("node-1", "node-2", "node-3")
MOCKS = ("mock-one", "mock-two")
# What each prints once it serves; a node and HAProxy are asked.
READY_LINES = {"redis": "(Ready to accept connections)", "coordinator": "event=(coordinator_leads)",
               **dict.fromkeys(MOCKS, r"control on (\S+:\d+)")}
# One token each 60 ms: slow enough to see a stream arrive.
MOCK_OPTIONS = ["--tokens", "24", "--token-interval-ms", "60"]
# What was killed is started again after this: long enough to see the others take a node's shards. A check need not see that.
AGAIN_SECONDS = 20
AGAIN_SECONDS_CHECKING = 1
LOOK_SECONDS = 0.2

INTRODUCTION = """
A weir cluster is on {url}: HAProxy, in front of {nodes}, which share a Redis at {store},
in front of two fake providers ({mocks}). Configuration: {config}. Logs: {folder}/*.log.
Kill any of these processes: it is started again {again} s later.
Things to try, from another terminal, in {root}:
"""


def status_of(port, path):
    """The status of a GET; None while nobody answers."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def ending(code):
    return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"


class Demo:
    def __init__(self, root, folder, port, again_seconds):
        self.root, self.folder, self.port, self.again_seconds = root, folder, port, again_seconds
        self.binaries = os.path.join(root, "build/bin")
        self.processes = {}
        self.due, self.returning = {}, set()  # what has ended, and when it is started again; what is not ready yet
        self.node_ports = {name: free_port() for name in NODES}
        self.redis_port = free_port()
        self.mocks, self.controls = ([f"127.0.0.1:{free_port()}" for _ in MOCKS] for _ in range(2))

    def start(self):
        self.config, self.front = self.write_config(), self.write_front()
        for name in ("redis", *MOCKS, "coordinator", *NODES, "haproxy"):
            self.launch(name)
            wait_until(lambda name=name: self.is_ready(name), f"{name} to be ready")
        wait_until(lambda: all(self.find_map(name) for name in NODES), "the coordinator's map to be everywhere")

    def launch(self, name):
        argv, env = self.command_of(name)
        self.processes[name] = Process(name, argv, os.path.join(self.folder, name + ".log"), env)

    def command_of(self, name):
        """(argv, what its environment has besides the demo's own)"""
        if name == "redis":
            redis = shutil.which("redis-server") or "/usr/bin/redis-server"
            return [redis, "--port", str(self.redis_port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no",
                    "--dir", self.folder], {}
        if name in MOCKS:
            at = MOCKS.index(name)
            return [f"{self.binaries}/weir-mock-provider", "--name", name.removeprefix("mock-"), "--listen", self.mocks[at],
                    "--control", self.controls[at], *MOCK_OPTIONS], {}
        if name == "coordinator":
            return [f"{self.binaries}/weir-coordinator", "-c", self.config], {"WEIR_LISTEN": "127.0.0.1:1", "WEIR_NODE_ID": "none"}
        if name == "haproxy":
            return [shutil.which("haproxy") or "/usr/sbin/haproxy", "-db", "-f", self.front], {}
        return [f"{self.binaries}/weir-node", "-c", self.config], {
            "WEIR_LISTEN": f"127.0.0.1:{self.node_ports[name]}", "WEIR_NODE_ID": name}

    def is_ready(self, name):
        """Raises Failed if it has ended instead."""
        process = self.processes[name]
        if name in READY_LINES:
            return process.find(READY_LINES[name])
        process.check_alive()
        return status_of(self.node_ports.get(name, self.port), "/health/ready") == 200

    def find_map(self, name):
        return self.processes[name].find(r"event=map_taken .*(epoch=\d+)")

    def write(self, name, source, wanted):
        """A file of deploy/ with the addresses that are in use here."""
        with open(os.path.join(self.root, "deploy", source), encoding="utf-8") as file:
            text = file.read()
        for written, used in wanted.items():
            if written not in text:
                raise Failed(f"deploy/{source} does not hold {written}")
            text = text.replace(written, used)
        path = os.path.join(self.folder, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def write_config(self):
        return self.write("demo.yaml", "demo.yaml", {
            '127.0.0.1:9001"': self.mocks[0] + '"', '127.0.0.1:9002"': self.mocks[1] + '"',
            '127.0.0.1:6379"': f'127.0.0.1:{self.redis_port}"'})

    def write_front(self):
        wanted = {f"{name}:8000": f"127.0.0.1:{port}" for name, port in self.node_ports.items()}
        return self.write("haproxy.cfg", "haproxy/haproxy.cfg", {**wanted, "bind :8000": f"bind 127.0.0.1:{self.port}"})

    def names(self):
        """What the lines to try are filled in with."""
        url = f"http://localhost:{self.port}"
        return {"url": url, "weirctl": f"build/bin/weirctl --node {url}", "control": self.controls[0], "root": self.root,
                "victim": self.processes["node-3"].child.pid, "redis": self.processes["redis"].child.pid}

    def describe(self):
        nodes = ", ".join(f"{name} on {port}" for name, port in self.node_ports.items())
        print(INTRODUCTION.format(nodes=nodes, store=f"127.0.0.1:{self.redis_port}", mocks=", ".join(self.mocks),
                                  config=self.config, folder=self.folder, again=self.again_seconds, **self.names()))
        print(describe(self.names()) + "\n\nCtrl-C stops it all.\n", flush=True)

    def tend(self):
        """Notices what has ended, starts it again when that is due, and says once that it is back."""
        now = time.monotonic()
        for name, process in self.processes.items():
            if name not in self.due and process.child.poll() is not None:
                self.due[name] = now + self.again_seconds
                print(f"demo: {name} has ended ({ending(process.child.returncode)}). It is started again in "
                      f"{self.again_seconds} s", flush=True)
        for name in [name for name, when in self.due.items() if when <= now]:
            self.processes[name].stop()
            self.launch(name)
            del self.due[name]
            self.returning.add(name)
        for name in sorted(self.returning - set(self.due)):
            if self.processes[name].child.poll() is None and self.is_ready(name):
                self.returning.remove(name)
                print(f"demo: {name} is back: process {self.processes[name].child.pid}", flush=True)

    def wait(self):
        """Until a signal comes."""
        while True:
            self.tend()
            time.sleep(LOOK_SECONDS)

    def stop(self):
        """Stops everything, front first, the store last; the exit status of each by name, but for those that
        somebody has killed as the demo proposes."""
        if "redis" in self.processes:
            self.processes["redis"].go_on()
        killed = {name for name, process in self.processes.items() if process.child.poll() == -signal.SIGKILL}
        ended = {name: process.stop() for name, process in reversed(self.processes.items())}
        return {name: status for name, status in ended.items() if name not in killed}


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


def ended_badly(ended):
    """HAProxy ends by the signal itself."""
    fine = {"haproxy": (0, -signal.SIGTERM, 128 + signal.SIGTERM)}
    return {name: code for name, code in ended.items() if code not in fine.get(name, (0,))}


def main():
    parser = argparse.ArgumentParser(prog="scripts/demo")
    parser.add_argument("--port", type=int, default=PORT, help="port of the cluster on 127.0.0.1")
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
    demo = Demo(root, folder, port, AGAIN_SECONDS_CHECKING if options.check else AGAIN_SECONDS)
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
    bad = ended_badly(ended)
    if bad and status == 0:
        print("demo: did not end well: " + ", ".join(f"{name} with {code}" for name, code in bad.items()), file=sys.stderr)
        status = 1
    if options.check:
        print(f"demo: {passed} checks passed, everything stopped" if status == 0 else "demo: FAILED, logs are in " + folder)
    return status


sys.exit(main())
