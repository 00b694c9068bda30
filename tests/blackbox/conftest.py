import faulthandler
import fcntl
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import harness  # noqa: E402
from stage import Stage  # noqa: E402

# No single test may take longer than this, whatever it waits for. The slow ones say so with a mark.
TEST_BOUND_S = 300
SLOW_BOUND_S = 900

SDK = harness.ROOT / "tests" / "sdk"
# A first `npm ci` downloads some tens of megabytes.
INSTALL_BOUND_S = 240


def pytest_addoption(parser):
    parser.addoption("--renew-golden", action="store_true", help="write tests/golden/ anew in place of comparing with it")


def pytest_configure(config):
    slow = "slow: moves gigabytes or hundreds of thousands of requests, or runs whole clusters under load: it runs alone"
    config.addinivalue_line("markers", slow)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_protocol(item):
    bound = SLOW_BOUND_S if item.get_closest_marker("slow") else TEST_BOUND_S

    def late(*_):
        faulthandler.dump_traceback(file=sys.stderr)
        raise AssertionError(f"{item.nodeid} took more than {bound} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(bound)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@pytest.fixture
def stage(tmp_path):
    s = Stage(tmp_path)
    try:
        yield s
    finally:
        s.close()


@pytest.fixture(scope="module")
def module_stage(tmp_path_factory):
    """For what all the cases of one file can share."""
    s = Stage(tmp_path_factory.mktemp("module"))
    try:
        yield s
    finally:
        s.close()


@pytest.fixture(scope="session")
def pki(tmp_path_factory):
    """A folder of certificates, good ones and one for each way to be bad: see tests/make-pki."""
    folder = tmp_path_factory.mktemp("pki")
    subprocess.run([harness.ROOT / "tests" / "make-pki", folder], check=True)
    return folder


@pytest.fixture
def mock(stage):
    return stage.mock()


@pytest.fixture
def node(stage, mock):
    """A node in front of one mock."""
    return stage.node(mock)


@pytest.fixture(scope="session")
def sdk():
    """tests/sdk with its packages, installed from the lock file when they are not there or not those."""
    assert shutil.which("npm"), "npm is missing: run scripts/bootstrap"
    installed = SDK / "node_modules" / ".package-lock.json"
    with open(SDK / "package-lock.json") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # tests that run beside this one wait for the one installation
        if not installed.exists() or os.path.getmtime(installed) < os.path.getmtime(lock.name):
            command = ["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"]
            ran = subprocess.run(command, cwd=SDK, capture_output=True, text=True, timeout=INSTALL_BOUND_S, check=False)
            assert ran.returncode == 0, f"npm ci failed:\n{ran.stdout}{ran.stderr}"
    return SDK
