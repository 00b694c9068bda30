"""Everything at once, by a seed: faults, rude clients, reloads; then calm, in which all must come to rest.

WEIR_CHAOS_S=60 for longer, WEIR_SEED=N to see one again (threads and network decide the rest)."""

import os
import random
import signal
import threading
import time

import pytest
from chaos import Actor
from harness import WAIT_S, free_port, sanitized, wait_for

SECONDS = float(os.environ.get("WEIR_CHAOS_S", "6"))
ACTORS = 8 if sanitized() else 16
SERVER = {"workers": 3, "idle_timeout": 3, "header_timeout": 3, "write_timeout": 3, "drain_timeout": 5}
CLOCKS = {"connect": 20, "read": 3, "write": 20, "total": 60, "pool": 20}


def roll():
    seed = int(os.environ.get("WEIR_SEED", random.randrange(1 << 32)))
    print(f"WEIR_SEED={seed}")
    return seed


def settled(read):
    """What it comes to once it has been the same for a while: the node lets go of a client after the client has gone."""
    seen = []

    def the_same():
        seen.append(read())
        return len(seen) > 8 and len(set(seen[-8:])) == 1

    wait_for(the_same, "a number to settle")
    return seen[-1]


class World:
    """Two mocks, a node, and the configurations between which it is reloaded."""

    def __init__(self, stage, seed):
        flags = ("--close-idle-random", "0.05", "--seed", str(seed % 1000))
        self.stage = stage
        self.random = random.Random(seed)
        self.mocks = [stage.mock(*flags, name=f"mock{i}") for i in range(2)]
        self.dead = f"http://127.0.0.1:{free_port()}"  # nobody listens there
        self.node = stage.node(self.providers("a", 2), routes=self.routes("a"), http_client=self.limits(10, 10, 60),
                               server=SERVER)
        self.base = settled(self.own_descriptors)

    def own_descriptors(self):
        """How many it has without clients: who asks takes one, and sees whether nobody else does."""

        def alone():
            with self.node.client() as c:
                m = series(c.get("/metrics/prometheus").text)
                accepted, closed = (m[f"weir_downstream_connections_{what}_total"] for what in ("accepted", "closed"))
                assert accepted == closed + 1, m
                return self.node.descriptors() - 1

        return wait_for(alone, "the clients before to be gone")

    def providers(self, name, endpoints):
        urls = [{"url": m.url, "weight": w} for m, w in zip(self.mocks, (2, 1))][:endpoints]
        return {name: {"endpoints": urls}, "dead": self.dead}

    def routes(self, name):
        return [{"path_prefix": "/dead/", "provider": "dead"}, {"provider": name}]

    def limits(self, connections, kept, expiry):
        return {"timeout": CLOCKS, "pool_limits": {"max_connections": connections, "max_keepalive_connections": kept,
                                                   "keepalive_expiry": expiry, "max_pending": 30, "pool_block_timeout": 20}}

    def config(self):
        dice = self.random
        limits = self.limits(dice.randint(1, 20), dice.randint(0, 20), dice.choice([0.02, 0.5, 60]))
        name = dice.choice("aaab")
        providers = self.providers(name, dice.randint(1, 2))
        return self.stage.config(self.node.port, providers, routes=self.routes(name), http_client=limits, server=SERVER)

    def reload_for(self, seconds, actors, enough=lambda: True):
        """And on until it is enough: how much comes to pass in that time is the machine's."""
        end = time.monotonic() + seconds
        while not any(a.wrong for a in actors):
            if time.monotonic() > end and (enough() or time.monotonic() > end + WAIT_S):
                return
            self.node.reload(self.config())
            time.sleep(self.random.random() * 0.3)

    def calm(self):
        """One last configuration, whose connections stay."""
        before = self.node.metric("weir_reloads_total", result="ok")
        providers = {"calm": self.providers("calm", 2)["calm"]}
        self.node.reload(self.stage.config(self.node.port, providers, http_client=self.limits(10, 10, 600), server=SERVER))
        wait_for(lambda: self.node.metric("weir_reloads_total", result="ok") > before, "the last reload")
        wait_for(lambda: list(self.node.pool()["providers"]) == ["calm"], "the last configuration")


def series(text):
    """All of one moment."""
    lines = (line.rpartition(" ") for line in text.splitlines() if line and line[0] != "#")
    return {name: float(value) for name, _, value in lines}


def check_rest(world):
    """Nothing is open, counted or waiting that should not be. The question itself is one request on one connection."""
    node = world.node

    def at_rest():
        m = series(node.get("/metrics/prometheus").text)
        assert m["weir_requests_active"] == 1, m
        assert m['weir_downstream_connections{state="idle"}'] == 0, m
        assert m['weir_downstream_connections{state="active"}'] == 1, m
        accepted, closed = (m[f"weir_downstream_connections_{what}_total"] for what in ("accepted", "closed"))
        assert accepted == closed + 1, m
        p = node.pool("calm")
        assert p["pending_requests"] == 0 and p["connections_active"] == 0
        assert p["connections_total"] == p["connections_created_total"] - p["connections_closed_total"]
        stats = [m.stats() for m in world.mocks]
        assert sum(s["requests"]["open"] for s in stats) == 0
        assert sum(s["connections"]["open"] for s in stats) == p["connections_total"]
        assert node.descriptors() == world.base + p["connections_total"], (world.base, node.descriptors(), p)
        opening = node.get("/api/http-client/pool/stats").text
        assert '"connections_opening":0' in opening.replace(" ", ""), opening
        return True

    wait_for(at_rest, "the node to come to rest")


def act(world, seed, during):
    ending = threading.Event()
    actors = [Actor(world.node.port, seed, i, ending) for i in range(ACTORS)]
    for a in actors:
        a.start()
    try:
        during(actors)
    finally:
        ending.set()
    for a in actors:
        a.join(60)
        assert not a.is_alive(), f"client {a.number} hangs"
    wrong = [w for a in actors for w in a.wrong]
    done = {}
    for a in actors:
        for name, n in a.done.items():
            done[name] = done.get(name, 0) + n
    print(f"{sum(done.values())} scenarios: {done}")
    told = [f"{what}\n  {[e for e in world.node.log_lines() if e.get('request_id') == name]}" for name, what in wrong[:10]]
    assert not wrong, f"WEIR_SEED={seed}:\n" + "\n".join(told)
    return done


def test_chaos_then_rest(stage):
    seed = roll()
    world = World(stage, seed)
    scenarios = len(Actor(0, 0, 0, None).scenarios)

    def all_done(actors):
        return len({name for a in actors for name in list(a.done)}) == scenarios

    done = act(world, seed, lambda actors: world.reload_for(SECONDS, actors, lambda: all_done(actors)))
    assert len(done) == scenarios, "every scenario has come to its end at least once"
    world.calm()
    check_rest(world)
    # And it works as if nothing had been.
    with world.node.client() as c:
        for _ in range(50):
            assert c.get("/echo").status == 200
    assert world.node.stop() == 0
    for m in world.mocks:
        m.wait_stats(lambda s: s["connections"]["open"] == 0, "the pool to be closed")


@pytest.mark.parametrize("turn", range(2))
def test_drain_in_the_middle_of_chaos(stage, turn):
    """It ends, within its time, with nothing leaked that a sanitizer would see."""
    seed = roll() + turn
    world = World(stage, seed)

    def during(actors):
        world.reload_for(SECONDS / 4, actors)
        for a in actors:
            a.ending.set()  # what they see from now on may be the end of the node
        world.node.tell(signal.SIGTERM)
        world.node.reload(world.config())
        assert world.node.wait() == 0

    act(world, seed, during)
