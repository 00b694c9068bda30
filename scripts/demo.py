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
# One token each 60 ms: slow enough to see a stream arrive.
MOCK_OPTIONS = ["--listen", "127.0.0.1:0", "--control", "127.0.0.1:0", "--tokens", "24", "--token-interval-ms", "60"]
# A node that was killed is started again after this: long enough to see the others take its shards.
AGAIN_SECONDS = 20

INTRODUCTION = """
A weir cluster is on {url}: HAProxy, in front of {nodes}, which share a Redis at {store},
in front of two fake providers ({mocks}). Configuration: {config}. Logs: {folder}/*.log.
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


class Demo:
    def __init__(self, root, folder, port):
        self.root, self.folder, self.port = root, folder, port
        self.binaries = os.path.join(root, "build/bin")
        self.processes, self.mocks, self.controls = {}, [], []
        self.node_ports = {name: free_port() for name in NODES}
        self.redis_port = free_port()

    def launch(self, name, argv, env=None):
        process = Process(name, argv, os.path.join(self.folder, name + ".log"), env)
        self.processes[name] = process
        return process

    def start(self):
        redis = shutil.which("redis-server") or "/usr/bin/redis-server"
        self.launch("redis", [redis, "--port", str(self.redis_port), "--bind", "127.0.0.1", "--save", "",
                              "--appendonly", "no", "--dir", self.folder]).wait_for(r"(Ready to accept connections)")
        for name in ("one", "two"):
            mock = self.launch("mock-" + name, [f"{self.binaries}/weir-mock-provider", "--name", name, *MOCK_OPTIONS])
            self.mocks.append(mock.wait_for(r"listening on (\S+:\d+)"))
            self.controls.append(mock.wait_for(r"control on (\S+:\d+)"))
        self.config = self.write_config()
        self.launch("coordinator", [f"{self.binaries}/weir-coordinator", "-c", self.config],
                    {"WEIR_LISTEN": "127.0.0.1:1", "WEIR_NODE_ID": "none"}).wait_for(r"event=(coordinator_leads)")
        for name in NODES:
            self.start_node(name)
        haproxy = shutil.which("haproxy") or "/usr/sbin/haproxy"
        front = self.launch("haproxy", [haproxy, "-db", "-f", self.write_front()])

        def ready():
            front.check_alive()
            return status_of(self.port, "/health/ready") == 200

        wait_until(ready, "HAProxy to find a node ready")
        wait_until(lambda: all(self.find_map(name) for name in NODES), "the coordinator's map to be everywhere")

    def find_map(self, name):
        return self.processes[name].find(r"event=map_taken .*(epoch=\d+)")

    def start_node(self, name):
        port = self.node_ports[name]
        node = self.launch(name, [f"{self.binaries}/weir-node", "-c", self.config],
                           {"WEIR_LISTEN": f"127.0.0.1:{port}", "WEIR_NODE_ID": name})

        def ready():
            node.check_alive()
            return status_of(port, "/health/ready") == 200

        wait_until(ready, f"{name} to be ready")

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
                                  config=self.config, folder=self.folder, **self.names()))
        print(describe(self.names()) + "\n\nCtrl-C stops it all.\n", flush=True)

    def revive(self, name):
        """Starts a node again that has ended."""
        self.processes[name].stop()
        self.start_node(name)

    def wait(self):
        """Until a signal comes. A node that ends is started again; anything else that ends by itself ends the demo."""
        while True:
            names = {process.child.pid: process.name for process in self.processes.values()}
            info = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT)
            name = names.get(info.si_pid)
            if name in NODES:
                print(f"demo: {name} has ended. It is started again in {AGAIN_SECONDS} s", flush=True)
                time.sleep(AGAIN_SECONDS)
                self.revive(name)
                print(f"demo: {name} is back: process {self.processes[name].child.pid}", flush=True)
            elif name:
                self.processes[name].check_alive()

    def stop(self):
        """Stops everything, front first, the store last; the exit status of each by name, but for nodes that somebody
        has killed as the demo proposes."""
        if "redis" in self.processes:
            self.processes["redis"].go_on()
        killed = {name for name in NODES if name in self.processes and self.processes[name].child.poll() == -signal.SIGKILL}
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
    bad = ended_badly(ended)
    if bad and status == 0:
        print("demo: did not end well: " + ", ".join(f"{name} with {code}" for name, code in bad.items()), file=sys.stderr)
        status = 1
    if options.check:
        print(f"demo: {passed} checks passed, everything stopped" if status == 0 else "demo: FAILED, logs are in " + folder)
    return status


sys.exit(main())
