"""One endpoint of three is sick under load: clients see nothing of it, it is left alone but for probes, and it comes back."""

import time

import pytest
from harness import wait_for
from load import Load

RECOVERY_S = 1
CHAT = b'{"model":"m","stream":true,"messages":[]}'

# What the sick one does, as the mock's plan; None: it is gone.
CASES = {
    "killed": None,
    "hung": {"fault": "stall-before-head"},
    "resetting": {"fault": "reset-before-head"},
    "answering-500": {"status": 500},
    "answering-429": {"status": 429, "retry_after": RECOVERY_S},
    "slow": {"latency_ms": 3000},
}


def plain(c):
    r = c.post("/echo", b"x" * 300)
    assert r.status == 200 and r.json()["body_bytes"] == 300, r


def stream(c):
    c.ask("POST", "/v1/chat/completions", [("x-mock-tokens", "3")], CHAT)
    r = c.response_head()
    assert r.status == 200, r
    events = []
    while (event := c.event()) is not None:
        events.append(event)
    assert events[-1] == "data: [DONE]", events


def in_turn(c, number):
    """Plain and streamed; whatever is not a whole answer is wrong."""
    plain(c) if number % 2 else stream(c)
    time.sleep(0.01)


def sicken(mock, plan):
    mock.down() if plan is None else mock.plan(**plan)


def heal(mock, plan):
    mock.up() if plan is None else mock.plan()


def opened(node, url):
    """Times that it was given up: its circuit opened, or it asked for a pause."""
    names = ("weir_circuit_transitions_total", "weir_circuit_cooldowns_total")
    return node.metric(names[0], endpoint=url, to="open") + node.metric(names[1], endpoint=url)


def ejected(node, url):
    """Taken out by its checks, so that no request need find out."""
    return node.metric("weir_endpoint_ejections_total", endpoint=url, reason="checks") > 0


def tries(node, url):
    return node.metric("weir_upstream_tries_total", endpoint=url)


@pytest.fixture
def trio(stage):
    return [stage.mock() for _ in range(3)]


def node_for(stage, mocks, balance, read=15):
    return stage.node(
        {"p": {"endpoints": [{"url": m.url} for m in mocks]}},
        server={"workers": 2},
        logging={"access": False},
        http_client={
            "balance": balance,
            "retry": {"attempts": 3, "backoff_factor": 0.02},
            "circuit_breaker": {"failure_threshold": 3, "recovery_timeout": RECOVERY_S},
            "health": {"enabled": True, "check_interval": 0.5, "unhealthy_threshold": 2},
            "timeout": {"total": 20, "connect": 2, "read": read, "write": 5, "pool": 5},
        },
    )


@pytest.mark.parametrize("balance", ["round_robin", "least_loaded"])
@pytest.mark.parametrize("case", CASES)
def test_one_of_three_is_sick(stage, trio, case, balance):
    plan, sick = CASES[case], trio[1]
    node = node_for(stage, trio, balance, read=2 if case in ("hung", "slow") else 15)
    load = Load(node, 6, in_turn)
    load.more(150)
    assert all(m.stats()["requests"]["total"] > 0 for m in trio), "all three serve"

    sicken(sick, plan)
    wait_for(lambda: opened(node, sick.url) >= 1 or ejected(node, sick.url), "the sick one to be given up")
    # What was on its way to it has arrived: from here on there are only probes.
    seen, began = tries(node, sick.url), time.monotonic()
    arrived = len(sick.arrivals())
    load.more(300)
    load.wait(lambda: opened(node, sick.url) >= 3 or ejected(node, sick.url), "two failed probes")
    probes = tries(node, sick.url) - seen
    assert probes <= (time.monotonic() - began) / RECOVERY_S + 1, "more than one probe in a recovery timeout"
    times = sick.arrivals(arrived)
    assert not any(b - a < RECOVERY_S - 0.05 for a, b in zip(times, times[1:])), times
    assert not load.wrong, load.wrong

    arrived = len(sick.arrivals())
    heal(sick, plan)
    load.wait(lambda: len(sick.arrivals()) > arrived + 50, "traffic at the healed one")
    load.more(50)
    load.end()


@pytest.mark.parametrize("balance", ["round_robin", "least_loaded"])
def test_two_of_three_are_sick(stage, trio, balance):
    """Only half of a provider's endpoints may be out of health, but circuits have no such bound: the third serves all."""
    node = node_for(stage, trio, balance)
    load = Load(node, 4, in_turn)
    load.more(50)
    trio[0].plan(status=500)
    trio[1].plan(fault="reset-before-head")
    wait_for(lambda: opened(node, trio[0].url) >= 2 and opened(node, trio[1].url) >= 2, "both to be given up")
    load.more(150)
    trio[0].plan()
    trio[1].plan()
    counts = [len(m.arrivals()) for m in trio]
    load.wait(lambda: all(len(m.arrivals()) > n + 30 for m, n in zip(trio, counts)), "traffic at all three")
    load.end()


def test_a_slow_one_gets_less_from_the_less_loaded_choice(stage, trio):
    """Slow, but in time: no failure, no circuit; in turn it would get a third."""
    node = node_for(stage, trio, "least_loaded")
    load = Load(node, 8, in_turn)
    load.more(100)
    trio[2].plan(latency_ms=300)
    load.more(100)
    for m in trio:
        m.reset_stats()
    load.more(600)
    load.end()
    seen = [m.stats()["requests"]["total"] for m in trio]
    assert seen[2] * 4 < sum(seen), seen
    assert opened(node, trio[2].url) == 0


def test_all_dead_and_back(stage, trio):
    """Answers come at once and say when to ask again; the first one that is back serves."""
    node = node_for(stage, trio, "round_robin")
    with node.client() as c:
        assert c.get("/echo").status == 200
        for m in trio:
            m.down()

        def refused():
            r = c.get("/echo")
            assert r.status in (502, 503)
            return r.get("x-weir-error") == "circuit_open" and int(r.get("retry-after")) >= 1

        wait_for(refused, "all circuits to be open")
        trio[2].up()
        wait_for(lambda: c.get("/echo").status == 200, "the one that is back to serve")
        assert len(trio[2].arrivals()) > 0
