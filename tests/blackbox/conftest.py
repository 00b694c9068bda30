import faulthandler
import itertools
import signal
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import harness  # noqa: E402
from http1 import Upstream, answering  # noqa: E402

# No single test may take longer than this, whatever it waits for. The slow ones say so with a mark.
TEST_BOUND_S = 120
SLOW_BOUND_S = 900


def pytest_configure(config):
    config.addinivalue_line("markers", "slow: moves gigabytes or hundreds of thousands of requests")


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


class Stage:
    """Starts what one test needs, and takes it down in the reverse order, checking that each ended well."""

    def __init__(self, scratch):
        self.scratch = scratch
        self.running = []
        self.number = itertools.count(1)

    def mock(self, *flags, name=None, **options):
        return self._keep(harness.Mock(self.scratch, name or f"mock{next(self.number)}", *flags, **options))

    def upstream(self, script, tls=None):
        """A script, or what it answers: the same to all requests, or a list to take turns. tls: an ssl.SSLContext."""
        answers = script if isinstance(script, list) else [script]
        upstream = Upstream(script if callable(script) else answering(*answers), tls=tls)
        self.running.append(upstream.close)
        return upstream

    def config(self, port, providers, **top):
        """A node's configuration: providers are URLs, things with a url, or dictionaries."""

        def provider(p):
            return dict(p) if isinstance(p, dict) else {"base_url": getattr(p, "url", p)}

        if not isinstance(providers, dict):
            providers = {"mock": providers}
        server = {"listen": f"127.0.0.1:{port}", "workers": 1, **top.pop("server", {})}
        off = {"enabled": False}  # what would answer in the upstream's place has tests of its own
        client = {"retry": off, "circuit_breaker": off, "health": off, **top.pop("http_client", {})}
        return {"server": server, "providers": {n: provider(p) for n, p in providers.items()}, "http_client": client, **top}

    def node(self, providers, name=None, ready=True, env=None, nofile=None, args=(), tls=None, **top):
        port = harness.free_port()
        config = self.config(port, providers, **top)
        name = name or f"node{next(self.number)}"
        return self._keep(harness.Node(self.scratch, name, config, port, ready, env, nofile, args, tls))

    def node_of(self, config, port, name=None, **options):
        return self._keep(harness.Node(self.scratch, name or f"node{next(self.number)}", config, port, **options))

    def _keep(self, process):
        self.running.append(process.finish)
        return process

    def close(self):
        failed = []
        for stop in reversed(self.running):
            try:
                stop()
            except AssertionError as e:
                failed.append(str(e))
        assert not failed, "\n".join(failed)


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
