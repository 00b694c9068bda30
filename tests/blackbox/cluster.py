"""A Redis and nodes around it, for tests of the cluster.

    cluster = Cluster(stage)                 # starts a Redis
    a, b, c = cluster.nodes(3, {"mock": {...}})
    cluster.wait_members(3)
"""

import json
import signal
import socket
import threading
import time
from pathlib import Path

from harness import Process, free_port, program, wait_for
from http1 import Client, end_listener

# Short, so that tests of what follows from a timeout need not wait long.
FAILOVER_S = 1.5


class Redis(Process):
    """redis-server without persistence, on a port of its own; before: what starts it elsewhere (ip netns exec ...)."""

    def __init__(self, scratch, name="redis", port=None, args=(), host="127.0.0.1", before=(), needs_password=False):
        hello = "-NOAUTH" if needs_password else "+PONG"
        self.host = host
        self.port = port or free_port()
        self.args = args
        argv = [*before, "redis-server", "--port", self.port, "--bind", host, "--save", "", "--appendonly", "no"]
        super().__init__(argv + ["--dir", scratch, *args], scratch, name)
        self.or_die(lambda: wait_for(lambda: self.ask("PING").startswith(hello), f"{name} to answer"))

    @property
    def url(self):
        return f"redis://{self.host}:{self.port}"

    def ask(self, *words):
        """The first line of the answer to a command."""
        with socket.create_connection((self.host, self.port), timeout=5) as s:
            s.sendall(" ".join(words).encode() + b"\r\n")
            return s.makefile().readline().rstrip("\r\n")

    def field(self, key, name):
        """A field of a hash, a text; empty where there is none."""
        with socket.create_connection((self.host, self.port), timeout=5) as s:
            s.sendall(f"HGET {key} {name}\r\n".encode())
            lines = s.makefile("rb")
            length = int(lines.readline()[1:])
            return lines.read(length).decode() if length > 0 else ""

    def section(self, name):
        """The lines of a section of INFO, as a dictionary of texts."""
        with socket.create_connection((self.host, self.port), timeout=5) as s:
            s.sendall(f"INFO {name}\r\n".encode())
            lines = s.makefile("rb")
            left = int(lines.readline()[1:])
            text = lines.read(left).decode()
        return dict(line.split(":", 1) for line in text.splitlines() if ":" in line)

    def info(self, section, key):
        return self.section(section)[key]

    def freeze(self):
        self.tell(signal.SIGSTOP)

    def thaw(self):
        self.tell(signal.SIGCONT)

    def kill(self):
        self.popen.kill()
        self.popen.wait()
        self.stopped = True

    def finish(self):
        if not self.stopped:
            self.thaw()
            self.kill()


class Wire(threading.Thread):
    """A TCP proxy before something, that can be slow or cut."""

    def __init__(self, port, delay_s=0.0):
        super().__init__(daemon=True)
        self.to = port
        self.delay_s = delay_s
        self.accepted = 0
        self.is_cut = False
        self.carried = 0  # bytes, both ways
        self.pairs = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.start()

    def run(self):
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            self.accepted += 1
            if self.is_cut:
                near.close()
                continue
            try:
                far = socket.create_connection(("127.0.0.1", self.to))
            except OSError:
                near.close()
                continue
            self.pairs.append((near, far))
            for a, b in ((near, far), (far, near)):
                threading.Thread(target=self._carry, args=(a, b), daemon=True).start()

    def _carry(self, a, b):
        """Every piece arrives delay_s after it was sent, however many are on the way."""
        late = []
        changed = threading.Condition()

        def deliver():
            while True:
                with changed:
                    while not late:
                        changed.wait()
                    due, piece = late.pop(0)
                time.sleep(max(0.0, due - time.monotonic()))
                try:
                    if not piece:
                        b.shutdown(socket.SHUT_WR)
                        return
                    b.sendall(piece)
                except OSError:
                    return

        threading.Thread(target=deliver, daemon=True).start()
        while True:
            try:
                piece = a.recv(65536)
            except OSError:
                piece = b""
            with changed:
                self.carried += len(piece)
                late.append((time.monotonic() + self.delay_s, piece))
                changed.notify()
            if not piece:
                return

    def cut(self):
        """Ends all that is open, and lets nobody in."""
        self.is_cut = True
        for pair in self.pairs:
            for s in pair:
                try:
                    s.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
                s.close()
        self.pairs.clear()

    def mend(self):
        self.is_cut = False

    def close(self):
        self.cut()
        end_listener(self.listener)


class Cluster:
    def __init__(self, stage, redis=True, redis_args=(), **pool):
        self.stage = stage
        self.members = []
        self.redis = self.start_redis(args=redis_args) if redis else None
        self.url = self.redis.url if self.redis else None
        self.pool = {"failover_timeout": FAILOVER_S, **pool}

    def start_redis(self, port=None, args=(), **where):
        name = f"redis{next(self.stage.number)}"
        redis = Redis(self.stage.scratch, name, port, args, **where)
        self.stage.running.append(redis.finish)
        return redis

    def wire(self):
        """A proxy before the Redis; nodes that are started afterwards go through it."""
        wire = Wire(self.redis.port)
        self.stage.running.append(wire.close)
        self.url = f"redis://127.0.0.1:{wire.port}"
        return wire

    def node(self, providers, name=None, ready=True, pool=None, **top):
        name = name or f"n{len(self.members) + 1}"
        distributed = {"redis_url": self.url, "node_id": name, **self.pool, **(pool or {})}
        node = self.stage.node(providers, name=name, ready=ready, distributed_pool=distributed, **top)
        node.id = distributed["node_id"]
        self.members.append(node)
        return node

    def nodes(self, count, providers, **options):
        """So many, and all of them know each other."""
        started = [self.node(providers, **options) for _ in range(count)]
        self.wait_members(len(self.members))
        return started

    def coordinator(self, lease=1.0, **top):
        """One more, on the same store; it leads, or stands by. top: further sections of its file."""
        name = f"c{next(self.stage.number)}"
        path = Path(self.stage.scratch) / f"{name}.yaml"
        distributed = {"redis_url": self.url, **self.pool}
        path.write_text(json.dumps({"distributed_pool": distributed, "coordinator": {"id": name, "lease": lease}, **top}))
        process = Process([program("weir-coordinator"), "-c", path], self.stage.scratch, name)
        self.stage.running.append(process.finish)
        return process

    def wait_map(self, nodes=None):
        """Until each of them goes by a published map, and they share its shards."""
        for n in nodes or self.members:
            wait_for(lambda n=n: n.metric("weir_cluster_map_epoch") > 0, f"{n.name} to take a published map")
        self.wait_all_owned(nodes)

    def wait_members(self, count, nodes=None):
        """Until each of them sees so many that live, and the store."""
        for n in nodes or self.members:
            wait_for(
                lambda n=n: n.metric("weir_cluster_nodes", state="alive") == count
                and n.metric("weir_cluster_store_contact") == 1,
                f"{n.name} to see {count} nodes that live",
            )

    def wait_contact(self, there, nodes=None):
        for n in nodes or self.members:
            wait_for(lambda n=n: n.metric("weir_cluster_store_contact") == there, f"contact of {n.name} to be {there}")

    def wait_silence(self, nodes=None):
        """Until each of them has not heard of the others for so long that it would take them for lost if it were sure."""
        for n in nodes or self.members:
            wait_for(
                lambda n=n: all(
                    p["self"] or p["age_ms"] > 1500 * self.pool["failover_timeout"]
                    for p in n.get("/api/cluster/nodes").json()["nodes"]
                ),
                f"{n.name} to have heard of nobody for a while",
            )

    def owned(self, nodes=None):
        """Of each node, how many shards it serves."""
        return [int(n.metric("weir_cluster_shards_owned")) for n in nodes or self.members]

    def wait_all_owned(self, nodes=None):
        """Until each shard is served by exactly one of them."""
        nodes = nodes or self.members
        shards = int(nodes[0].metric("weir_cluster_shards"))
        wait_for(lambda: sum(self.owned(nodes)) == shards, f"{shards} shards to be served by {len(nodes)} nodes")

    def kill(self, node):
        node.popen.kill()
        node.popen.wait()
        node.stopped = True
        self.members.remove(node)

    def leave(self, node):
        """An orderly end; its exit code."""
        self.members.remove(node)
        return node.stop()


def told(node, name=None):
    """The cluster's events as that node shows them, all or those of a name."""
    events = node.get("/api/cluster/events?n=1000", accept="application/json").json()["events"]
    return [e for e in events if name is None or e["event"] == name]


def ask(node, target="/echo", **options):
    with Client(node.port) as c:
        return c.get(target, **options)
