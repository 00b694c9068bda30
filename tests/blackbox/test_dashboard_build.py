"""A build that cannot have the page at /dashboard: it says so when it is configured, and to whoever asks for the page."""

import re
import shutil
import subprocess

import pytest
from harness import ROOT, WAIT_S, has_dashboard

REASONS = {
    "-DWEIR_DASHBOARD=OFF": "WEIR_DASHBOARD was off when its build was configured",
    "-DWEIR_NPM=": "npm was not there when its build was configured",
    "-DWEIR_NPM=/bin/false": "npm could not install its packages when its build was configured",
}


def test_it_listens_for_each_event_of_the_cluster():
    """EventSource hears those alone that it is told by name."""
    documented = re.search(r"^### The cluster\n(.*?)^\| event", (ROOT / "docs" / "events.md").read_text(), re.M | re.S)[1]
    named = re.findall(r"((?:`\w+`, )*`\w+`) \(", documented[documented.index("\n- ") :])
    told = set(re.findall(r"\w+", " ".join(named)))
    heard = re.search(r"^const EVENTS = \[(.*?)\];", (ROOT / "dashboard" / "feed.js").read_text(), re.M | re.S)[1]
    assert set(re.findall(r"\w+", heard)) == told | {"message"} and len(told) > 15


@pytest.mark.parametrize("option", REASONS)
def test_the_build_says_so(tmp_path, option):
    assert shutil.which("cmake")
    argv = ["cmake", "-S", ROOT, "-B", tmp_path, "-G", "Ninja", "-DWEIR_TESTS=OFF", option]
    ran = subprocess.run(argv, capture_output=True, text=True, timeout=4 * WAIT_S, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert f"weir-node is built without its page at /dashboard: {REASONS[option]}" in ran.stdout
    assert f'.missing = "{REASONS[option]}"' in (tmp_path / "generated" / "weir_dashboard.c").read_text()


@pytest.mark.skipif(has_dashboard(), reason="this build has the page; the one for ThreadSanitizer has not")
def test_the_node_says_so(node):
    r = node.get("/dashboard")
    assert (r.status, r.get("x-weir-error")) == (404, "no_dashboard")
    assert r.json()["error"]["message"].startswith("This node was built without its web page: ")
