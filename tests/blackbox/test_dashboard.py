"""The page at /dashboard in a real browser, in front of a cluster in which things happen."""

import contextlib
import signal
import threading
from urllib.parse import urlsplit

import pytest
from advice import Advice, now_ms
from browser import Browser
from cluster import Cluster, ask
from harness import has_dashboard, sanitized
from http1 import Client

pytestmark = pytest.mark.skipif(not has_dashboard(), reason="this build is without the page")
SIZE_MAX = 200_000
PAGES = 100
FOLLOWERS_MAX = 32
PAGE_BYTES_MAX = 50_000  # an answer of a small cluster, and a connection


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with Browser(tmp_path_factory.mktemp("browser")) as b:
        yield b


@pytest.fixture
def cluster(stage):
    """Three nodes and a coordinator; a circuit stays open once it is."""
    c = Cluster(stage, connection_affinity="round_robin", shard_count=48, redis_timeout=1)  # a loaded machine is no slow store
    c.mock = stage.mock()
    provider = {"base_url": c.mock.url, "rate_limit": {"requests_per_minute": 6000, "burst": 600}}
    c.nodes(3, {"openai": provider}, http_client={"circuit_breaker": {"failure_threshold": 3, "recovery_timeout": 600}},
            alerting={"connection_pool": [{"name": "busy", "condition": "total_requests > 4", "severity": "critical"}]})
    c.coordinator()
    c.wait_map()
    return c


def page_of(node):
    return f"http://127.0.0.1:{node.port}/dashboard"


def look(browser, node, **options):
    answer = browser.open(page_of(node), **options)
    assert answer["status"] == 200
    browser.wait("document.querySelector('#link').dataset.state === 'live'")
    return answer


def assert_clean(browser, node):
    """Nothing went wrong on the page, and it asked nobody but its node."""
    seen = browser.seen()
    assert seen["errors"] == []
    hosts = {urlsplit(url).netloc for url in seen["requests"] if not url.startswith("data:")}
    assert hosts == {f"127.0.0.1:{node.port}"}
    paths = {urlsplit(url).path for url in seen["requests"] if not url.startswith("data:")}
    assert paths == {"/dashboard", "/api/cluster/overview", "/api/cluster/events"}
    assert sum(urlsplit(url).path == "/api/cluster/events" for url in seen["requests"]) == 1


def text(browser, selector):
    return browser.run(f"document.querySelector({selector!r}).innerText")


def test_the_cluster_at_a_glance(browser, cluster):
    node = cluster.members[0]
    ask(node, "/v1/models")
    answer = look(browser, node)
    assert len(answer["body"].encode()) < SIZE_MAX
    policy = answer["headers"]["content-security-policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy and "*" not in policy
    for n in cluster.members:
        browser.wait(f"document.querySelector('[data-node={n.id}]')?.dataset.shown === 'active'")
    assert browser.run("document.querySelectorAll('#shards .map i[data-owner]').length") == 48
    owned = browser.run("[...document.querySelectorAll('#shards .owners b')].map((b) => +b.textContent)")
    assert len(owned) == 3 and sum(owned) == 48
    assert "openai" in text(browser, "#pools") and "6\u202f000" in text(browser, "#limits")
    assert "closed" in text(browser, "#circuits")
    browser.wait("document.querySelectorAll('#events li[data-event=node_joined]').length === 3")
    assert "No forecast yet" in text(browser, "#forecast")
    assert_clean(browser, node)


def test_a_killed_node_is_gone(browser, cluster):
    node, victim = cluster.members[0], cluster.members[2]
    look(browser, node)
    browser.wait(f"document.querySelector('[data-node={victim.id}]')?.dataset.shown === 'active'")
    cluster.kill(victim)
    browser.wait(f"document.querySelector('[data-node={victim.id}]')?.dataset.shown === 'lost'")
    browser.wait("document.querySelector('#events li[data-event=node_lost]')")
    browser.wait("[...document.querySelectorAll('#shards .owners b')].filter((b) => +b.textContent > 0).length === 2")
    assert "1 node lost" in text(browser, "#glance")
    assert_clean(browser, node)


def test_a_node_drains_and_is_gone(browser, cluster):
    """It ends while a request is under way, so that it has something to finish."""
    node, victim = cluster.members[0], cluster.members[2]
    look(browser, node)
    browser.wait(f"document.querySelector('[data-node={victim.id}]')?.dataset.shown === 'active'")
    waiting = threading.Thread(target=ask, args=(victim, "/v1/models"), kwargs={"headers": [("x-mock-gate", "g")]})
    waiting.start()
    cluster.mock.wait_waiting("g")
    victim.tell(signal.SIGTERM)
    browser.wait(f"document.querySelector('[data-node={victim.id}]')?.dataset.shown === 'draining'")
    browser.wait("document.querySelector('#events li[data-event=node_drains]')")
    cluster.mock.steps("g", "all")
    waiting.join()
    cluster.members.remove(victim)
    assert victim.wait() == 0
    browser.wait(f"document.querySelector('[data-node={victim.id}]')?.dataset.shown === 'gone'")
    browser.wait("document.querySelector('#events li[data-event=node_left]')")
    assert "all alive" in text(browser, "#glance")
    assert_clean(browser, node)


@pytest.mark.parametrize("how", ["it answers 500", "nobody listens"])
def test_a_circuit_opens(browser, cluster, how):
    node, other = cluster.members[:2]
    look(browser, node)
    browser.wait("document.querySelector('#circuits tr[data-circuit=closed]')")
    if how == "nobody listens":
        cluster.mock.down()
    else:
        cluster.mock.plan(status=500)
    for _ in range(3):
        ask(other, "/v1/models")
    browser.wait("document.querySelector('#circuits tr[data-circuit=open]')")
    browser.wait("document.querySelector('#events li[data-event=circuit_opened]')")
    assert "open" in text(browser, "#circuits tr[data-circuit=open]")
    assert_clean(browser, node)


def test_load_and_alerts(browser, cluster):
    node = cluster.members[0]
    look(browser, node)
    gate = [("x-mock-gate", "g")]
    waiting = [threading.Thread(target=ask, args=(node, "/v1/models"), kwargs={"headers": gate}) for _ in range(4)]
    for t in waiting:
        t.start()
    cluster.mock.wait_waiting("g", 4)
    browser.wait("document.querySelector('tr[data-pool=openai]')?.children[3].textContent === '4'")
    cluster.mock.steps("g", "all")
    for t in waiting:
        t.join()
    browser.wait("document.querySelector('tr[data-pool=openai]')?.children[3].textContent === '0'")
    ask(node, "/v1/models")
    browser.wait("document.querySelector('#alerts li[data-alert=busy]')")
    assert "total_requests > 4" in text(browser, "#alerts")
    assert_clean(browser, node)


def series(redis):
    """An hour that came, and an hour to come."""
    now = now_ms(redis) // 60000 * 60
    past = [[now + 60 * (i - 59), 10 + i] for i in range(60)]
    ahead = [[now + 60 * (i + 1), 70 + i, 80 + 2 * i] for i in range(60)]
    return {"in_flight": {"step_s": 60, "past": past, "ahead": ahead}}


def test_a_hint_arrives(browser, stage):
    cluster = Cluster(stage)
    analytics = {"enabled": True, "sample_interval": 1}
    node = cluster.node({"mock": stage.mock()}, analytics=analytics)
    cluster.wait_members(1)
    look(browser, node)
    browser.wait("/^No forecast yet: /.test(document.querySelector('#forecast .nothing')?.textContent)")
    browser.wait("!document.querySelector('#advice .nothing').hidden")
    advice = Advice(cluster.redis)
    advice.publish("scale_up", desired=5, pool_size=77, peak=129.0, peak_high=198.0, window_s=3600, series=series(cluster.redis))
    browser.wait("document.querySelector('#advice dl').dataset.action === 'scale_up'")
    assert "Start 3 nodes (2 → 5 nodes)." in text(browser, "#advice") and "77 connections" in text(browser, "#advice")
    assert "60\u202fmin ahead" in text(browser, "#forecast-note")
    assert browser.run("document.querySelector('#forecast canvas').width") > 0
    assert "expected 129" in text(browser, "#forecast .legend")
    browser.wait("document.querySelector('#events li[data-event=hint_action]')")
    advice.publish("hold", desired=2, series={"in_flight": {"past": 5, "ahead": [[1, "x"]]}})
    browser.wait("document.querySelector('#advice dl').dataset.action === 'hold'")
    browser.wait("!document.querySelector('#forecast .nothing').hidden")
    assert_clean(browser, node)


def follow(node):
    """An open stream of events, and whether it was refused."""
    client = Client(node.port)
    client.ask("GET", "/api/cluster/events?n=50", [("accept", "text/event-stream")])
    return client, client.response_head().status == 503


def test_a_hundred_pages(browser, cluster):
    """More than may follow the events: memory stays small, and whoever is refused asks for the events instead."""
    node = cluster.members[0]
    ask(node, "/api/cluster/overview")
    before = node.resident_bytes()
    with contextlib.ExitStack() as open_until_the_end:
        pages = [follow(node) for _ in range(PAGES)]
        for client, _ in pages:
            open_until_the_end.callback(client.close)
        assert sum(not refused for _, refused in pages) == FOLLOWERS_MAX
        for _ in range(3):
            readers = [Client(node.port) for _ in range(PAGES)]
            for c in readers:
                open_until_the_end.callback(c.close)
                c.ask("GET", "/api/cluster/overview")
            assert all(c.response().status == 200 for c in readers)
        assert sanitized() or node.resident_bytes() - before < PAGES * PAGE_BYTES_MAX
        look(browser, node)
        browser.wait("document.querySelectorAll('#events li[data-event=node_joined]').length === 3")
        cluster.kill(cluster.members[2])
        browser.wait("document.querySelector('#events li[data-event=node_lost]')")
    browser.wait("performance.getEntriesByType('resource').filter((r) => /events/.test(r.name)).length > 2")


def test_a_node_by_itself(browser, node):
    look(browser, node)
    assert "a node by itself" in text(browser, "header")
    assert browser.run("document.querySelectorAll('#nodes tbody tr').length") == 1


def test_the_node_ends_and_comes_back(browser, stage, mock):
    node = stage.node(mock)
    look(browser, node)
    config, port = node.config_path.read_text(), node.port
    node.stop()
    browser.wait("document.querySelector('#link').dataset.state === 'down'")
    browser.wait("/^What is shown is of .*: the node cannot be reached/.test(document.querySelector('#notice').innerText)")
    stage.node_of(config, port, name="again")
    browser.wait("document.querySelector('#link').dataset.state === 'live'")
    browser.wait("document.querySelector('#notice').innerText === ''")


def test_the_token_as_a_password(browser, stage, mock):
    node = stage.node(mock, server={"admin": {"token": "admin-token", "allow": ["192.0.2.1/32"]}})
    look(browser, node, user={"username": "me", "password": "admin-token"})
    browser.wait("document.querySelector('#nodes tbody th')")
    assert_clean(browser, node)


