"""Nodes that hand requests to each other, on peer ports that the test knows, with a secret that it knows, too."""

import harness
from cluster import Redis, Wire

SECRET = "the secret of the tests"
ACK_S = 1  # a loaded machine is no slow peer
STORE_S = 1  # nor is its store one
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


class Cluster:
    """Nodes n0, n1, ... on a Redis of their own, each seeing all the others alive. With delay_s, they reach each other over
    wires."""

    def __init__(self, stage, providers, count=3, nodes=None, server=None, http_client=None, delay_s=None, **pool):
        self.stage = stage
        redis = Redis(stage.scratch)
        stage.running.append(redis.finish)
        self.peer_ports = [harness.free_port() for _ in range(count)]
        self.wires = [Wire(port, delay_s) for port in self.peer_ports] if delay_s is not None else []
        stage.running.extend(w.close for w in self.wires)
        reached = [{"advertise": f"127.0.0.1:{w.port}"} for w in self.wires] or [{}] * count
        self.nodes = [
            stage.node(
                providers,
                name=f"n{i}",
                server=server or {},
                http_client=http_client or {},
                distributed_pool={
                    "enabled": True,
                    "redis_url": redis.url,
                    "node_id": f"n{i}",
                    "peer_listen": f"127.0.0.1:{port}",
                    "peer_secret": SECRET,
                    "shard_count": 64,
                    "peer_ack_timeout": ACK_S,
                    "redis_timeout": STORE_S,
                    **reached[i],
                    **pool,
                },
            )
            for i, port in enumerate(self.peer_ports)
        ]
        for node in self.nodes:
            harness.wait_for(lambda node=node: self.seen_by(node) == count, f"{node.name} to see {count} nodes")
        harness.wait_for(lambda: self.agreed(), "all nodes to see the same owners")

    def seen_by(self, node):
        return node.get("/api/cluster/state").json()["nodes"]["alive"]

    def agreed(self):
        owners = [node.get("/api/cluster/shards").json()["owners"] for node in self.nodes]
        return all(o == owners[0] for o in owners) and len(owners[0]) == len(self.nodes)

    def served_by(self, node, key, **fields):
        r = node.get("/v1/models", **{"x-session-id": key, **fields})
        assert r.status == 200, r
        return r.get("x-weir-node")

    def find_key_of(self, owner, start=0):
        """A key that is handed to that node; None: of all these keys none is."""
        keys = (f"key-{start + i}" for i in range(1000))
        return next((k for k in keys if self.served_by(self.nodes[0], k) == owner.name), None)

    def key_of(self, owner, start=0):
        """A key whose owner that node is. The first requests may find the link still being made, and are served at once."""
        return harness.wait_for(lambda: self.find_key_of(owner, start), f"{owner.name} to be handed a request")

    def named(self, name):
        return next(n for n in self.nodes if n.name == name)


def wait_access(node, **fields):
    """A line of the access log with these fields, of which others have none."""

    def found():
        lines = (e for e in node.log_lines() if e["event"] == "access")
        return next((e for e in lines if all(e.get(k) == v for k, v in fields.items())), None)

    return harness.wait_for(found, f"{fields} in the access log of {node.name}")
