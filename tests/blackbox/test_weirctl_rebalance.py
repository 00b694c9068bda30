"""weirctl has shards moved, and says before what would be."""

import json
import subprocess

from cluster import Cluster
from ctl import normal, shown, weirctl
from harness import program, wait_for

HELD_BY_A = "weir-shard-map 1\nepoch 3\nleader k\nshards 4\nnodes 1\nnode a 1 0-3\n"
PARTS = "each node has its part of the shards"
EVEN = "each node has about its part of the shards, and no move would make loads more even"


def owners(node):
    """Of each shard, by the newest map that was published."""
    text = node.get("/api/cluster/map").json()["map"]
    found = {}
    for line in (text or "").splitlines():
        if line.startswith("node ") and not line.endswith(" -"):
            _, name, _, shards = line.split(" ")
            for first, _, last in (part.partition("-") for part in shards.split(",")):
                found.update(dict.fromkeys(range(int(first), int(last or first) + 1), name))
    return found


def moves(before, after):
    return {(shard, before.get(shard), node) for shard, node in after.items() if before.get(shard) != node}


def foretold(node):
    """The plan's moves, and why each is made; or why there is none."""
    plan = shown("rebalance", "--dry-run", node=node)
    assert plan["moves_left"] == 0 and (plan["why"] is None) == bool(plan["moves"])
    return {(m["shard"], m["from"], m["to"]) for m in plan["moves"]}, {m["reason"] for m in plan["moves"]}, plan["why"]


def told_in_flight(*nodes):
    """As the store has it: what a node's page says of the others. Of itself it knows more than it has told."""
    rows = [n for node in nodes for n in node.get("/api/cluster/nodes").json()["nodes"]]
    return [n["load"]["in_flight"] for n in rows if not n["self"]]


def test_a_round_does_what_was_foretold_for_loads(stage, mock):
    """Round after round, until one node holds a quarter less than its part, and nothing is left to do."""
    # A node that is slow is not lost: its shards stay where they are.
    cluster = Cluster(stage, shard_count=24, connection_affinity="sticky", failover_timeout=10, redis_timeout=2)
    a, b = cluster.nodes(2, {"mock": {"base_url": mock.url}})
    coordinator = cluster.coordinator()
    cluster.wait_map()
    assert foretold(a) == (set(), set(), EVEN)
    clients = [a.client() for _ in range(8)]
    for client in clients:
        client.ask("GET", "/echo", [("x-session-id", "one"), ("x-mock-gate", "g")])
    mock.wait_waiting("g", 8)
    wait_for(lambda: max(told_in_flight(a, b)) >= 8, "the store to know of the load")
    rounds = 0
    while (plan := foretold(b))[0]:
        before = owners(b)
        done = shown("rebalance", node=b)
        assert moves(before, owners(b)) == plan[0] and plan[1:] == ({"load"}, None)
        assert (done["moves"], done["why"], done["by"]) == (1, None, coordinator.name)
        rounds += 1
    assert rounds == 3 and plan[2] == EVEN
    before = owners(b)
    done = shown("rebalance", node=b)
    assert (done["moves"], done["why"], owners(b)) == (0, EVEN, before)
    assert f"nothing to move, says {coordinator.name}: {EVEN}" in weirctl("rebalance", node=b).stdout
    mock.steps("g", "all")
    for client in clients:
        client.close()


def test_the_next_map_is_what_was_foretold(stage, mock):
    """The first one, and one after a node was lost and another has come while no coordinator ran."""
    providers = {"mock": {"base_url": mock.url}}
    cluster = Cluster(stage, shard_count=24, connection_affinity="round_robin")
    a, b = cluster.nodes(2, providers)
    plan = foretold(a)
    assert plan[1:] == ({"unowned"}, None) and len(plan[0]) == 24
    coordinator = cluster.coordinator()
    cluster.wait_map()
    assert moves({}, owners(a)) == plan[0]
    assert foretold(a) == (set(), set(), PARTS)
    coordinator.finish()
    cluster.kill(b)
    c = cluster.node(providers, name="n3")
    nodes = lambda: {n["id"]: (n["state"], n["alive"]) for n in a.get("/api/cluster/nodes").json()["nodes"]}
    wait_for(lambda: nodes().get(c.id) == ("active", True) and nodes()[b.id][1] is False, "a to see one go and one come")
    before, plan = owners(a), foretold(a)
    assert plan[1] == {"lost"} and len(plan[0]) == 12
    asking = subprocess.Popen(
        [program("weirctl"), "rebalance", "-o", "json", "--node", f"http://127.0.0.1:{a.port}"],
        stdout=subprocess.PIPE,
    )
    cluster.coordinator()
    answer = json.loads(asking.communicate()[0])
    wait_for(lambda: owners(a) != before, "the next map")
    assert moves(before, owners(a)) == plan[0]
    assert answer["moves"] in (12, 0), "0: it was asked behind the round that it makes as it begins to lead"
    assert foretold(a) == (set(), set(), PARTS)


def test_rebalance(stage, mock):
    """The leader answers, whichever node is asked: nothing to move where all is even. Without a coordinator nobody does."""
    cluster = Cluster(stage, shard_count=24)
    a, _ = cluster.nodes(2, {"mock": {"base_url": mock.url}})
    done = weirctl("rebalance", node=a)
    assert done.returncode == 1 and "no coordinator has answered" in done.stderr and "Start weir-coordinator" in done.stderr
    coordinator = cluster.coordinator()
    cluster.wait_map()
    done = weirctl("rebalance", node=a)
    assert done.returncode == 0 and normal(done.stdout)[0].startswith(f"round  nothing to move, says {coordinator.name}: {EVEN}"), done
    value = shown("rebalance", node=a)
    assert value["moves"] == 0 and value["by"] == coordinator.name and value["epoch"] == int(a.metric("weir_cluster_map_epoch"))


def test_rebalance_moves_shards_now(stage, mock):
    """For a load that is too small to be told from chance, and of which the leader by itself takes no notice."""
    cluster = Cluster(stage, shard_count=24, connection_affinity="sticky")
    a, b = cluster.nodes(2, {"mock": {"base_url": mock.url}})
    cluster.coordinator()
    cluster.wait_map()
    clients = [a.client() for _ in range(8)]
    for client in clients:
        client.ask("GET", "/echo", [("x-session-id", "one"), ("x-mock-gate", "g")])
    mock.wait_waiting("g", 8)
    done = wait_for(lambda: (lambda d: d if "moved, by" in d.stdout else None)(weirctl("rebalance", node=a)), "a move")
    lines = normal(done.stdout)
    assert lines[0].startswith("round  1 shard moved, by c") and lines[2] == "NODE  SHARDS BEFORE  NOW"
    before, now = (sorted(int(line.split()[at]) for line in lines[3:]) for at in (1, 2))
    assert (before, now) == ([12, 12], [11, 13]), lines
    assert weirctl("rebalance", "--dry-run", node=b).returncode == 0
    mock.steps("g", "all")
    for client in clients:
        client.close()


def test_rebalance_needs_a_cluster(node):
    done = weirctl("rebalance", node=node)
    assert done.returncode == 1 and "in no cluster" in done.stderr


def test_a_plan(stage, mock):
    cluster = Cluster(stage, shard_count=24)
    cluster.nodes(2, {"mock": {"base_url": mock.url}})
    cluster.coordinator()
    cluster.wait_map()
    a, b = cluster.members
    done = weirctl("rebalance", "--dry-run", node=a)
    assert done.returncode == 0 and normal(done.stdout) == [f"plan  nothing to move: {EVEN}"]
    assert shown("rebalance", "--dry-run", node=a) == {"schema": 1, "shard_count": 24, "moves_left": 0, "why": EVEN, "moves": []}


def test_a_plan_with_moves(stage):
    pages = {
        "nodes": {"schema": 1, "nodes": [{"id": n, "state": "active", "alive": True, "weight": 1} for n in ("a", "b")]},
        "map": {"schema": 1, "cluster": "c", "shard_count": 4, "map": HELD_BY_A},
    }
    answers = []
    for page in ("nodes", "map"):
        body = json.dumps(pages[page]).encode()
        answers.append(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
    for form, wanted in (
        ("table", ["FROM  TO  SHARDS  WHY", "a  b  2  its owner holds more than its part"]),
        ("wide", ["SHARD  FROM  TO  WHY"]),
    ):
        upstream = stage.upstream(answers)
        done = weirctl("rebalance", "--dry-run", "-o", form, "--node", f"http://127.0.0.1:{upstream.port}")
        assert done.returncode == 0, done.stderr
        lines = [line.strip() for line in normal(done.stdout)]
        assert lines[:2] == ["plan  2 of 4 shards would move; 0 in a later round", ""] and lines[2 : 2 + len(wanted)] == wanted


def test_no_plan_without_a_cluster(node):
    done = weirctl("rebalance", "--dry-run", node=node)
    assert done.returncode == 1 and not done.stdout and "is in no cluster" in done.stderr
