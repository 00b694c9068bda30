"""The page at /dashboard as people meet it: dark and light, on a phone, by keyboard, read out; and after a long time."""

import json
import subprocess

import pytest
from browser import FOLDER, Browser
from cluster import Cluster, ask
from harness import BUILD, WAIT_S, has_dashboard, wait_for

pytestmark = pytest.mark.skipif(not has_dashboard(), reason="this build is without the page")
PHONE = {"width": 360, "height": 740, "scale": 2}
SCREENSHOTS = BUILD / "screenshots"
MINUTES = 5
SAID_MAX = 121  # the hour that came and the hour to come, a minute each
HEAP_SLACK = 2_000_000  # far below what a thousand answers take


@pytest.fixture(scope="module")
def url(module_stage):
    """A cluster in which one circuit is open and an alert fires."""
    cluster = Cluster(module_stage, cluster="production", connection_affinity="round_robin", shard_count=64)
    good, bad = module_stage.mock(), module_stage.mock()
    providers = {
        "openai": {"endpoints": [{"url": good.url}, {"url": bad.url}], "connection_pool": {"max_connections": 60},
                   "rate_limit": {"requests_per_minute": 6000, "burst": 600}},
        "anthropic": {"base_url": good.url, "connection_pool": {"max_connections": 40}},
    }
    rules = [{"name": "circuit_trouble", "condition": "error_count > 0", "severity": "warning", "message": "Tries fail"}]
    for name in ("node-1", "node-2", "node-3"):
        cluster.node(providers, name=name, pool={"node_id": name}, routes=[{"path_prefix": "/", "provider": "openai"}],
                     http_client={"circuit_breaker": {"failure_threshold": 3, "recovery_timeout": 600}},
                     alerting={"connection_pool": rules})
    cluster.wait_members(3)
    cluster.coordinator()
    cluster.wait_map()
    node = cluster.members[0]
    bad.down()
    wait_for(lambda: ask(node, "/v1/models") and any(
        b["state"] == "open" for b in node.get("/api/cluster/breakers").json()["breakers"]), "a circuit to open")
    wait_for(lambda: node.get("/api/alerts").json()["firing"] > 0, "the alert to fire")
    return f"http://127.0.0.1:{node.port}/dashboard"


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with Browser(tmp_path_factory.mktemp("browser")) as b:
        yield b


def look(browser, url, **options):
    assert browser.open(url, **options)["status"] == 200
    browser.wait("document.querySelector('#link').dataset.state === 'live' && document.querySelector('#events li')")


def fill(browser, seconds=60 * MINUTES, forecast=True):
    """Minutes of a made-up load, as quick as the page takes them."""
    script = (FOLDER / "fill.js").read_text().strip().removesuffix(";")
    assert browser.run(f"({script})({json.dumps({'seconds': seconds, 'forecast': forecast})})") == seconds


def test_logic():
    ran = subprocess.run(["node", "--test", FOLDER / "logic.test.mjs"], capture_output=True, text=True, timeout=2 * WAIT_S, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [{}, PHONE], ids=["desk", "phone"])
def test_readable(browser, url, scheme, size):
    look(browser, url, scheme=scheme, **size)
    fill(browser)
    found = browser.run((FOLDER / "contrast.js").read_text())
    assert found["looked"] > 100 and found["poor"] == []
    assert browser.run("document.documentElement.scrollWidth - innerWidth") <= 0
    name = ("phone-" if size else "") + scheme
    SCREENSHOTS.mkdir(exist_ok=True)
    browser.ask("shot", path=str(SCREENSHOTS / f"dashboard-{name}.png"), full=not size)
    assert browser.seen()["errors"] == []


def test_the_theme_is_chosen_and_remembered(browser, url):
    ground = "getComputedStyle(document.body).backgroundColor"
    look(browser, url, scheme="light")
    light = browser.run(ground)
    for chosen in ("light", "dark"):
        browser.run("document.querySelector('#theme').click()")
        assert browser.run("document.documentElement.dataset.theme") == chosen
    dark = browser.run(ground)
    assert dark != light
    browser.ask("reload")
    browser.wait("document.querySelector('#link').dataset.state === 'live'")
    assert browser.run(ground) == dark


def test_by_keyboard(browser, url):
    look(browser, url)
    order = []
    for _ in range(7):
        browser.ask("press", key="Tab")
        order.append(browser.run("document.activeElement.id || document.activeElement.className || document.activeElement.tagName"))
    assert order[:2] == ["skip", "theme"]
    assert order[2:] == ["scroll"] * 4 + ["events"]
    browser.run("document.querySelector('#theme').focus()")
    browser.ask("press", key="Enter")
    assert browser.run("document.documentElement.dataset.theme") == "light"


def test_read_out(browser, url):
    look(browser, url)
    fill(browser)
    tree = browser.ask("tree")
    for landmark in ("banner", "main", "contentinfo", "link \"Skip to the cluster\"", "log \"Events\""):
        assert landmark in tree, landmark
    for part in ("Nodes", "Shard map", "Pools", "Forecast", "Advice", "Circuits", "Rate limits", "Alerts", "Events"):
        assert f'heading "{part}" [level=2]' in tree
    assert "img \"node-1 serves" in tree and 'img "Time to first byte: p50' in tree
    assert browser.run("[...document.querySelectorAll('table')].every((t) => t.caption && t.querySelector('th[scope=col]'))")
    assert browser.run("[...document.querySelectorAll('tbody tr:not(.none)')].every((r) => r.querySelector('th[scope=row]'))")
    browser.wait("document.querySelector('#events').getAttribute('aria-live') === 'polite'")
    # No state is told by colour alone.
    assert browser.run("[...document.querySelectorAll('td[data-state], li[data-state]')].every((e) => /[a-z0-9]/.test(e.textContent))")


def test_a_forecast_with_its_band(browser, url):
    look(browser, url)
    fill(browser)
    assert browser.run("document.querySelector('#forecast .chart canvas').width") > 0
    assert browser.run("document.querySelector('#forecast .nothing').hidden")
    assert "Start 1 node (3 → 4 nodes)." in browser.run("document.querySelector('#advice').innerText")
    assert "9 times of 10 not above" in browser.run("document.querySelector('#forecast').innerText")


def test_a_long_time_open(browser, url):
    """Five times what the charts keep: nothing grows."""
    look(browser, url)
    fill(browser)
    before, heap = browser.run("weirDashboard.kept"), browser.ask("heap")
    fill(browser, 4 * 60 * MINUTES)
    after = browser.run("weirDashboard.kept")
    assert after.pop("said") <= SAID_MAX and before.pop("said") > 0  # minutes begin and end meanwhile
    assert before == after
    assert browser.ask("heap") - heap < HEAP_SLACK
