"""A build that cannot have the page at /dashboard: it says so when it is configured, and to whoever asks for the page."""

import shutil
import subprocess

import pytest
from harness import ROOT, WAIT_S, has_dashboard

REASONS = {
    "-DWEIR_DASHBOARD=OFF": "WEIR_DASHBOARD was off when its build was configured",
    "-DWEIR_NPM=": "npm was not there when its build was configured",
    "-DWEIR_NPM=/bin/false": "npm could not install its packages when its build was configured",
}


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
