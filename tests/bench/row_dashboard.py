"""What an operator waits for: the seconds from something that happens in a cluster to its showing on the page at
/dashboard, in a headless Chromium that looks at another node than the one to which it happens.

Counted from the moment at which the cluster knows: a node that ends says so at its signal, a circuit is open with the
log line of the node that saw the failures, a hint is there once it is in the store. That a killed node is lost is known
failover_timeout after it was last heard of, and not before: that time is told beside the page's own."""

import datetime
import shutil
import signal
import time

from load import quantile
from procs import BenchError
from town import SHARDS, Advice, Browser, Cluster, ask, harness, town, wait_for

FAILOVER_S = 3
THRESHOLD = 3
RECOVERY_S = 2
LIMIT_S = 2


def missing():
    """Why it cannot be measured here, or None."""
    if not shutil.which("npm") or not shutil.which("chromium"):
        return "npm and chromium drive the page"
    return None if harness.has_dashboard() else "this build is without the page"


def _stamp_s(event):
    return datetime.datetime.fromisoformat(event["ts"].replace("Z", "+00:00")).timestamp()


def _look(browser, node):
    browser.open(f"http://127.0.0.1:{node.port}/dashboard")
    browser.wait("document.querySelector('#link').dataset.state === 'live'")


def _shown_s(browser, js):
    """When the page, which is asked every 25 ms, showed it: unix time."""
    browser.wait(js)
    return time.time()


def _is(node, *states):
    return f"{list(states)}.includes(document.querySelector('[data-node={node.id}]')?.dataset.shown)"


def _another(cluster, browser, mock):
    """A node that is to leave, and that the page knows."""
    node = cluster.node(mock, name=f"m{next(cluster.stage.number)}", **_sections())
    browser.wait(_is(node, "active"))
    return node


def _sections():
    return {"http_client": {"circuit_breaker": {"failure_threshold": THRESHOLD, "recovery_timeout": RECOVERY_S}},
            "server": {"drain_delay": 1}}


def _ended(cluster, browser, mock):
    node = _another(cluster, browser, mock)
    told = time.time()
    node.tell(signal.SIGTERM)
    shown = _shown_s(browser, _is(node, "draining", "gone"))
    cluster.members.remove(node)
    node.wait()
    return shown - told


def _killed(cluster, browser, mock):
    """From the kill, and from the line in which the node that answers the page says that it is lost."""
    node = _another(cluster, browser, mock)
    killed = time.time()
    cluster.kill(node)
    shown = _shown_s(browser, _is(node, "lost", "gone"))
    (lost,) = cluster.members[0].wait_events("node_lost", node_id=node.id)
    return shown - killed, shown - _stamp_s(lost)


def _opened(cluster, browser, mock):
    """The provider does not take connections any more, and requests come to a node that nobody looks at. To that one
    alone: as long as another node is served well, one node's failures do not open the circuit for all."""
    b = cluster.members[1]
    before = len(b.events("circuit_opened"))
    mock.down()

    def opens():
        ask(b)
        return len(b.events("circuit_opened")) > before

    wait_for(opens, "the circuit to open")
    shown = _shown_s(browser, "document.querySelector('#circuits tr[data-circuit=open]')")
    opened = _stamp_s(b.events("circuit_opened")[before])
    mock.up()
    wait_for(lambda: ask(b).status == 200, "the circuit to close")
    browser.wait("!document.querySelector('#circuits tr[data-circuit=open]')")
    return shown - opened


def _hint(advice, browser, count):
    advice.publish("scale_up", desired=10 + count)
    put = time.time()
    return _shown_s(browser, f"document.querySelector('#advice').innerText.includes('{10 + count} nodes')") - put


def _in_a_cluster(stage, browser, rounds):
    """The seconds until it showed that nodes ended, that they were killed (two numbers each), that circuits opened."""
    ended, killed, opened = [], [], []
    mock = stage.mock()
    cluster = Cluster(stage, connection_affinity="round_robin", shard_count=SHARDS, failover_timeout=FAILOVER_S)
    a, _ = cluster.nodes(2, mock, **_sections())
    cluster.coordinator()
    cluster.wait_map()
    _look(browser, a)
    for _ in range(rounds):
        ended.append(_ended(cluster, browser, mock))
        killed.append(_killed(cluster, browser, mock))
        opened.append(_opened(cluster, browser, mock))
    return ended, killed, opened


def _hints(stage, browser, rounds):
    """In a cluster by itself: a coordinator would put its own hints in the place of these."""
    cluster = Cluster(stage)
    node = cluster.node(stage.mock(), analytics={"enabled": True, "sample_interval": 1})
    cluster.wait_members(1)
    advice = Advice(cluster.redis)
    _look(browser, node)
    return [_hint(advice, browser, count) for count in range(rounds)]


def run(build_dir, rounds, say):
    say(f"dashboard: {rounds} times of each, failover_timeout {FAILOVER_S} s")
    with town(build_dir) as stage:
        if why := missing():
            raise BenchError(why)
        with Browser(stage.scratch) as browser:
            ended, killed, opened = _in_a_cluster(stage, browser, rounds)
            hints = _hints(stage, browser, rounds)
    shown = {"a node is told to end": ended, "a killed node is lost": [known for _, known in killed], "a circuit opens": opened,
             "a hint is in the store": hints}
    return {"rounds": rounds, "limit_s": LIMIT_S, "failover_s": FAILOVER_S,
            "shown": {what: {"p50_s": quantile(times, 0.5), "max_s": max(times)} for what, times in shown.items()},
            "from_kill": {"p50_s": quantile([t for t, _ in killed], 0.5), "max_s": max(t for t, _ in killed)}}
