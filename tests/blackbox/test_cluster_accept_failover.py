"""A cluster behind HAProxy that loses a node, or whose node is told to end, under load."""

import json
import signal
import threading
import time

import pytest
from balancer import balance
from cluster import Cluster, Wire, ask
from harness import free_port, refused, wait_for
from http1 import Closed
from tracked import Tracked

SHARDS = 24

pytestmark = pytest.mark.slow
STREAM = json.dumps({"model": "m", "stream": True, "messages": []}).encode()


def cluster_of(stage, mock, **options):
    cluster = Cluster(stage, shard_count=SHARDS, **options.pop("pool", {}))
    nodes = cluster.nodes(3, mock, **options)
    cluster.wait_all_owned()
    return cluster, nodes, balance(stage, nodes)


def owned_by(node, entry, start=0):
    """A key whose requests that node serves, wherever they enter."""
    for n in range(start, start + 1000):
        r = ask(entry, headers=[("x-session-id", f"own-{n}")])
        if r.get("x-weir-node") == node.id:
            return f"own-{n}"
    raise AssertionError(f"no key of {node.id}")


class Held:
    """A request that waits at the provider, entered at one node and owned by another."""

    def __init__(self, balancer, mock, entry, key, gate):
        self.client = balancer.client()
        self.client.ask("GET", "/echo", [("x-entry", entry.name), ("x-session-id", key), ("x-mock-gate", gate)])
        mock.wait_waiting(gate)

    def outcome(self):
        with self.client as c:
            try:
                return c.response().status
            except (Closed, OSError):
                return "closed"


def innocent(number, lost, others):
    """Whether that request entered at one of the others and never went to the lost node; their logs must be complete."""
    lines = [e for o in others for e in o.events("access") if e.get("request_id") == f"t{number}"]
    return any(e.get("peer") != lost.id for e in lines)


def test_a_killed_node_takes_only_its_own_requests_with_it(stage, mock):
    cluster, (a, b, c), balancer = cluster_of(stage, mock)
    cluster.coordinator()
    cluster.wait_map()
    of_a, of_c = owned_by(a, b), owned_by(c, b)
    owned_by(c, a)  # the link from a to c has been used: what is lost on it later is asked for once more
    load = Tracked(balancer, fields=lambda n: {"x-session-id": f"key-{n % 61}", "x-request-id": f"t{n}"})
    held = {
        "its own": Held(balancer, mock, c, of_c, "g1"),
        "handed to it": Held(balancer, mock, a, of_c, "g2"),
        "another's": Held(balancer, mock, a, of_a, "g3"),
        "entered there": Held(balancer, mock, c, of_a, "g4"),
    }
    load.more(100)
    epoch = a.metric("weir_cluster_map_epoch")
    cluster.kill(c)
    load.more(300)
    for gate in ("g1", "g2", "g3", "g4"):
        mock.steps(gate, "all")
    met = {what: h.outcome() for what, h in held.items()}
    assert met["its own"] in (502, "closed") and met["entered there"] in (502, "closed"), met
    assert met["another's"] == 200 and met["handed to it"] == 200, met
    cluster.wait_members(2)
    cluster.wait_all_owned()
    for n in (a, b):
        wait_for(lambda n=n: n.metric("weir_cluster_map_epoch") > epoch, f"a map without the lost node on {n.name}")
    load.more(100)
    load.end()
    for n in (a, b):
        cluster.leave(n)
    failed = load.failed()
    assert not [f for f in failed if innocent(f[0].rpartition("=")[2], c, (a, b))], failed


def test_successors_serve_a_lost_nodes_shards_before_anybody_has_judged(stage, mock):
    """With nobody to publish a map and a timeout that does not come."""
    cluster, (a, b, c), _ = cluster_of(stage, mock, pool={"failover_timeout": 60})
    keys = [owned_by(c, a, start) for start in (0, 200, 400)]
    cluster.kill(c)

    def served(key):
        return {ask(n, headers=[("x-session-id", key)]).get("x-weir-node") for n in (a, b)}

    for key in keys:
        # Who finds out serves what it has itself, and goes by the next one from then on.
        wait_for(lambda key=key: len(served(key)) == 1, "both to take the same successor")
        assert served(key) <= {a.id, b.id}
    assert a.metric("weir_cluster_nodes", state="alive") == 3
    assert not a.events("node_lost") and not b.events("node_lost")


def behind_a_wire(stage, cluster, mock):
    """A node whose peers reach it through a wire that can be cut."""
    port = free_port()
    wire = Wire(port)
    stage.running.append(wire.close)
    return cluster.node(mock, pool={"peer_listen": f"127.0.0.1:{port}", "advertise": f"127.0.0.1:{wire.port}"}), wire


def test_a_node_that_its_peers_cannot_reach_has_a_successor_for_as_long(stage, mock):
    """It lives, as the store says, so it is tried again each failover_timeout; its shards are one other node's meanwhile."""
    cluster = Cluster(stage, shard_count=SHARDS, failover_timeout=1)
    a, b = cluster.nodes(2, mock)
    c, wire = behind_a_wire(stage, cluster, mock)
    cluster.wait_members(3)
    cluster.wait_all_owned()
    key = owned_by(c, a)

    def served():
        return {ask(n, headers=[("x-session-id", key)]).get("x-weir-node") for n in (a, b)}

    def tried(n):
        return sum(n.metric("weir_peer_fallbacks_total", reason=r) for r in ("connect", "lost", "stale"))

    wire.cut()
    wait_for(lambda: served() <= {a.id, b.id} and min(tried(a), tried(b)) >= 4, "both to have tried it again and again")
    wait_for(lambda: all(len(served()) == 1 for _ in range(10)), "both to go by the same successor")
    assert not a.events("node_lost") and not b.events("node_lost")
    wire.mend()
    wait_for(lambda: served() == {c.id}, "it to have its shards again")


def test_a_probe_finds_out_before_a_request_does(stage, mock):
    cluster = Cluster(stage, shard_count=SHARDS, failover_timeout=60, health_check_interval=0.2)
    (a,) = cluster.nodes(1, mock)
    b, wire = behind_a_wire(stage, cluster, mock)
    cluster.wait_members(2)
    cluster.wait_all_owned()
    key = owned_by(b, a)
    assert not a.events("peer_suspect")
    handed = a.metric("weir_peer_requests_total", direction="forwarded")
    wire.close()
    told = a.wait_events("peer_suspect")[0]
    assert (told["peer"], told["reason"]) == (b.id, "probe")
    wait_for(lambda: int(a.metric("weir_cluster_shards_owned")) == SHARDS, "its shards to be the other's")
    assert ask(a, headers=[("x-session-id", key)]).get("x-weir-node") == a.id
    assert a.metric("weir_peer_requests_total", direction="forwarded") == handed


def test_a_node_that_is_told_to_end_fails_nothing(stage, mock):
    cluster, (a, b, c), balancer = cluster_of(stage, mock, server={"drain_delay": 1})
    cluster.coordinator()
    cluster.wait_map()
    load = Tracked(balancer)
    streams, gates = [], ("g1", "g2", "g3")
    for gate, entry, owner in zip(gates, (c, a, c), (c, c, a)):
        client = balancer.client()
        key = owned_by(owner, b)
        headers = [("x-entry", entry.name), ("x-session-id", key), ("x-mock-gate", gate), ("x-mock-tokens", "5")]
        client.ask("POST", "/v1/chat/completions", [("content-type", "application/json"), *headers], STREAM)
        streams.append(client)
        mock.wait_waiting(gate)
        mock.steps(gate, 2)
    for s in streams:
        assert s.response_head().status == 200
        assert s.event().startswith("data:")
    load.more(50)
    c.tell(signal.SIGTERM)
    a.wait_events("node_drains", node_id=c.id)
    wait_for(lambda: refused(c.port), "the node to take no connection any more")
    wait_for(lambda: sum(cluster.owned([a, b])) == SHARDS, "the others to have all shards")
    load.more(300)
    for gate in gates:
        assert mock.waiting(gate) == 1, "its streams are not over"
        mock.steps(gate, "all")
    for s in streams:
        with s:
            events = []
            while (event := s.event()) is not None:
                events.append(event)
            assert events[-1] == "data: [DONE]"
    cluster.members.remove(c)
    assert c.wait() == 0
    cluster.wait_members(2)
    cluster.wait_all_owned()
    load.more(100)
    load.end()
    assert not load.failed(), load.failed()[:5]
    assert not a.events("node_lost") and not b.events("node_lost")


def test_nodes_that_come_and_go_fail_nothing(stage, mock):
    """Each is replaced in turn, as an upgrade does it."""
    cluster, nodes, balancer = cluster_of(stage, mock, server={"drain_delay": 1})
    cluster.coordinator()
    cluster.wait_map()
    load = Tracked(balancer, clients=3)
    for old in list(nodes):
        config, port = json.loads(old.config_path.read_text()), old.port
        assert cluster.leave(old) == 0
        load.more(50)
        new = stage.node_of(config, port, name=f"{old.name}-again")
        new.id = old.id
        cluster.members.append(new)
        cluster.wait_members(3)
        cluster.wait_all_owned()
        load.more(50)
    load.end()
    assert not load.failed(), load.failed()[:5]


def test_a_coordinator_that_is_lost_is_replaced(stage, mock):
    cluster, (a, b, c), balancer = cluster_of(stage, mock)
    first = cluster.coordinator()
    cluster.wait_map()
    leader = a.get("/api/cluster/state").json()["leader"]
    assert leader == first.name
    standby = cluster.coordinator()
    load = Tracked(balancer, clients=2)
    first.popen.kill()
    first.popen.wait()
    first.stopped = True
    epochs = Epochs((a, b))
    cluster.kill(c)
    for n in (a, b):
        wait_for(lambda n=n: n.get("/api/cluster/state").json()["leader"] == standby.name, f"{n.name} to follow the other")
    cluster.wait_members(2)
    cluster.wait_all_owned()
    load.more(50)
    load.end()
    epochs.end()


class Epochs:
    """Looks, over and over, whether the epoch of the map that a node goes by is ever below what it was."""

    def __init__(self, nodes):
        self.nodes, self.ending, self.back = nodes, threading.Event(), []
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        highest = [0] * len(self.nodes)
        while not self.ending.is_set():
            time.sleep(0.02)
            for i, n in enumerate(self.nodes):
                epoch = n.metric("weir_cluster_map_epoch")
                if epoch < highest[i]:
                    self.back.append((n.name, highest[i], epoch))
                highest[i] = max(highest[i], epoch)

    def end(self):
        self.ending.set()
        self.thread.join()
        assert not self.back, self.back
        for n in self.nodes:
            taken = [e["epoch"] for e in n.events("map_taken")]
            assert taken and taken == sorted(taken), taken
