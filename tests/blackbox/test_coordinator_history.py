"""The coordinator's load history and hints over a real Redis, from the load of real nodes; and what is left of both when
the leader is killed, stands still, or is cut off from the store."""

import signal
import threading
from pathlib import Path

import pytest
from cluster import Cluster
from coordinator import Coordinator
from harness import wait_for
from redis_words import command

SCRIPTS = Path(__file__).parents[2] / "common/store/lua"
BASE = "weir:{default}"
ANALYTICS = {"sample_interval": 1, "scaling_prediction_window": 60, "scaling_cooldown_period": 1, "safe_concurrency": 4}
TOP = {"analytics": ANALYTICS}


@pytest.fixture
def cluster(stage):
    # A loaded machine is no slow store.
    return Cluster(stage, pool_sharding=False, connection_affinity="round_robin", shard_count=24, redis_timeout=1)


def hints(node):
    return node.get("/api/cluster/hints").json()


def valid_hints(node):
    """While there are any."""
    page = hints(node)
    assert page["valid"], page
    return page


def performance(node):
    return node.get("/api/cluster/analytics").json().get("performance", [])


def run_script(redis, name, keys, *args):
    """Carries a request out on the store as a coordinator would; the answer's word."""
    text = (SCRIPTS / "prelude.lua").read_text() + (SCRIPTS / f"{name}.lua").read_text()
    keys = [f"{BASE}:{key}" for key in ("meta", *keys)]
    return command(redis, "EVAL", text, len(keys), *keys, 1, "", *args)[0]


class Held:
    """So many requests that are in flight until the end, spread over the nodes."""

    def __init__(self, mock, nodes, count):
        self.mock = mock
        self.clients = [nodes[i % len(nodes)].client() for i in range(count)]
        for c in self.clients:
            c.ask("GET", "/echo", headers=[("x-mock-gate", "held")])

    def end(self):
        self.mock.steps("held", "all")
        for c in self.clients:
            assert c.response().status == 200
            c.close()


class Epochs(threading.Thread):
    """Looks at what epoch each node goes by, all the time."""

    def __init__(self, nodes):
        super().__init__(daemon=True)
        self.nodes = nodes
        self.seen = {n.id: [] for n in nodes}
        self.over = threading.Event()
        self.start()

    def run(self):
        while not self.over.wait(0.02):
            for n in self.nodes:
                self.seen[n.id].append(n.metric("weir_cluster_map_epoch"))

    def end(self):
        self.over.set()
        self.join()
        for epochs in self.seen.values():
            assert epochs and epochs == sorted(epochs)


def test_hints_follow_the_load(stage, cluster, mock):
    nodes = cluster.nodes(2, mock, http_client={"timeout": {"read": 600, "total": 600}}, **TOP)  # requests are held
    one = Coordinator(stage, cluster, "one", top=TOP)
    one.wait_leads()
    wait_for(lambda: all(hints(n)["valid"] for n in nodes), "hints on each node")
    assert hints(nodes[0])["leader"] == "one"
    wait_for(lambda: one.metric("weir_coordinator_forecast_steps_seen") >= 12, "a history to forecast from")
    wait_for(lambda: valid_hints(nodes[0])["cluster"]["action"] == "hold", "nothing to be advised")
    held = Held(mock, nodes, 14)
    wait_for(lambda: valid_hints(nodes[1])["cluster"]["in_flight"]["now"] == 14, "the hints to know of them")

    def advises():
        """And knows of all at once; of a slot that a node has told late, it knows a part."""
        page = valid_hints(nodes[1])
        assert page["cluster"]["action"] == "scale_up"
        assert page["cluster"]["desired_nodes"] >= 4 and page["cluster"]["nodes"] == 2
        assert page["series"]["in_flight"]["past"][-1][1] == 14
        return page

    page = wait_for(advises, "more nodes to be advised")
    assert page["cluster"]["in_flight"]["peak_high"] >= page["cluster"]["in_flight"]["peak"] > 0
    assert page["cluster"]["safe_concurrency_per_node"] == 4
    (provider,) = page["providers"]
    assert provider["provider"] == "mock" and provider["timeouts"]["connect_s"] == 5
    assert len(page["series"]["in_flight"]["ahead"]) == 60
    wait_for(lambda: any(e["action"] == "scale_up" for e in one.events("advice_changed")), "the log to say so")
    assert one.metric('weir_coordinator_advice_action{action="scale_up"}') == 1
    assert one.metric("weir_coordinator_advice_nodes") >= 4
    held.end()
    wait_for(lambda: valid_hints(nodes[0])["cluster"]["in_flight"]["now"] == 0, "the load to be over")
    wait_for(lambda: valid_hints(nodes[0])["providers"][0]["pool_size"] >= 10, "a size for the pool")
    wait_for(lambda: any(row["exchange_ms"] for row in performance(nodes[0])), "the analytics to know of them")
    (row,) = performance(nodes[0])
    assert row["provider"] == "mock" and row["first_byte_p99_ms"] > 0
    assert one.metric('weir_coordinator_load_records_total{result="unreadable"}') == 0


def test_no_hints_where_they_are_off(stage, cluster, mock):
    node = cluster.node(mock, **TOP)
    off = {"analytics": {**ANALYTICS, "enable_predictive_scaling": False}}
    one = Coordinator(stage, cluster, "one", top=off)
    wait_for(lambda: performance(node), "the analytics")
    assert hints(node)["valid"] is False
    assert one.metric("weir_coordinator_load_records_total{result=\"taken\"}") > 0 and not one.events("advice_changed")


def test_no_history_where_it_is_off(stage, cluster, mock):
    node = cluster.node(mock, **TOP)
    one = Coordinator(stage, cluster, "one", top={"analytics": {**ANALYTICS, "enabled": False}})
    one.wait_leads()
    wait_for(lambda: node.metric("weir_cluster_store_requests_total", op="append") > 5, "some slots to be told")
    assert one.metric("weir_coordinator_history_ready") == 0
    assert command(cluster.redis, "EXISTS", f"{BASE}:series:0", f"{BASE}:advice") == 0


@pytest.mark.parametrize("how", ["killed", "frozen", "cut off"])
def test_the_leader_is_lost(stage, cluster, mock, how):
    direct = cluster.url
    nodes = cluster.nodes(3, mock, **TOP)
    wire = cluster.wire()
    one = Coordinator(stage, cluster, "one", top=TOP)
    one.wait_leads()
    epochs = Epochs(nodes)
    wait_for(lambda: one.metric("weir_coordinator_forecast_steps_seen") >= 5, "a history")
    wait_for(lambda: all(n.metric("weir_cluster_map_epoch") > 0 for n in nodes), "a map")
    wait_for(lambda: all(hints(n).get("leader") == "one" for n in nodes), "its hints")
    two = Coordinator(stage, cluster, "two", url=direct, top=TOP)  # not before: a loaded machine might let it lead at once
    wait_for(lambda: two.ready()["leader"] == "one", "the standby to know who leads")
    token = command(cluster.redis, "HGET", f"{BASE}:lead", "token")
    points = command(cluster.redis, "XLEN", f"{BASE}:series:0")

    if how == "cut off":
        wire.cut()
    else:
        one.tell({"killed": signal.SIGKILL, "frozen": signal.SIGSTOP}[how])
    two.wait_leads()
    wait_for(lambda: all(hints(n).get("leader") == "two" for n in nodes), "the hints of the one that leads now")
    wait_for(lambda: all(n.metric("weir_cluster_map_epoch") > 1 for n in nodes), "its map")
    wait_for(lambda: command(cluster.redis, "XLEN", f"{BASE}:series:0") > points + 3, "the history to go on")

    def knows_what_was_before():
        """It has seen more than has come since."""
        seen = two.metric("weir_coordinator_forecast_steps_seen")
        return seen > command(cluster.redis, "XLEN", f"{BASE}:series:0") - points

    wait_for(knows_what_was_before, "the one that leads now to go on from the history")

    # What the old one might still send, a moment or half a minute later, is refused.
    epoch = int(command(cluster.redis, "HGET", f"{BASE}:map", "epoch")) + 100
    stale = ["weir", "one", token]
    assert run_script(cluster.redis, "publish", ("lead", "map", "load"), *stale, epoch, "map") == "STALE"
    assert run_script(cluster.redis, "advise", ("lead", "advice"), *stale, "{}", "") == "STALE"
    assert run_script(cluster.redis, "fold", ("lead", "series:0"), "one", token, 1000, 1, 360, "weir-load 1") == "STALE"
    if how == "frozen":
        one.tell(signal.SIGCONT)
    elif how == "cut off":
        wire.mend()
    if how != "killed":
        wait_for(lambda: one.events("coordinator_follows"), "the old one to know that it does not lead")
        wait_for(lambda: one.ready()["leads"] is not two.ready()["leads"], "one of them to lead")
    else:
        one.popen.wait()
        one.stopped = True
    told = {n.id: n.metric("weir_cluster_map_epoch") for n in nodes}
    assert all(epoch > 1 for epoch in told.values())
    epochs.end()
