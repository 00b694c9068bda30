"""Starts and stops the programs under test, each in a scratch folder of its own, and waits for conditions.

Every wait has a bound (WEIR_WAIT seconds, default 30): a test never asserts how long something took, only that it happens.
"""

import contextlib
import functools
import itertools
import json
import os
import random
import re
import resource
import signal
import socket
import subprocess
import time
import urllib.parse
from pathlib import Path

from http1 import Client, Closed

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("WEIR_BUILD", ROOT / "build"))
WAIT_S = float(os.environ.get("WEIR_WAIT", "30"))
# What a sanitizer, or an assertion of our own, leaves in a log.
REPORT = re.compile(
    r"(AddressSanitizer|LeakSanitizer|ThreadSanitizer|MemorySanitizer|runtime error:|Assertion [`'].*' failed).*"
)


def program(name):
    path = BUILD / "bin" / name
    assert path.exists(), f"{path} is missing: build first, or set WEIR_BUILD"
    return str(path)


def sanitized():
    """Whether the build under test carries a sanitizer: its memory figures say nothing then."""
    cache = BUILD / "CMakeCache.txt"
    return cache.exists() and re.search(r"^WEIR_SANITIZE:[A-Z]+=.+$", cache.read_text(), re.M) is not None


def has_dashboard():
    """Whether the build under test has the page at /dashboard."""
    return ".missing" not in (BUILD / "generated" / "weir_dashboard.c").read_text()


def wait_for(condition, what, bound=None):
    """Calls condition until it returns something true, and returns that; an error of the talk inside counts as false, and so
    does what is looked for in an answer and is not there."""
    bound = WAIT_S if bound is None else bound
    deadline = time.monotonic() + bound
    pause = 0.002
    last = None
    while True:
        try:
            last = condition()
            if last:
                return last
        except (AssertionError, LookupError, OSError, Closed) as e:
            last = e
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {bound:g} s for {what}; at last: {last!r}")
        time.sleep(pause)
        pause = min(pause * 1.5, 0.1)


@functools.cache
def own_ports():
    """Ports for this process alone among the test processes of this machine, below the range from which the kernel picks
    ports for outgoing connections. An abstract socket claims them: its name goes with the process."""
    first, count, blocks = 11000, 400, 50
    for block in random.sample(range(blocks), blocks):
        claim = socket.socket(socket.AF_UNIX)
        try:
            claim.bind(f"\0weir-test-ports-{block}")
        except OSError:
            claim.close()
            continue
        return claim, itertools.cycle(range(first + block * count, first + (block + 1) * count))
    raise AssertionError(f"{blocks} test processes have claimed all ports")


def free_port():
    """A port that nobody listens on, and that comes up again only after all the others of this process."""
    _, ports = own_ports()
    while True:
        port = next(ports)
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue


def refused(port):
    """Whether nobody takes connections there."""
    try:
        Client(port).close()
    except ConnectionRefusedError:
        return True
    return False


class Process:
    """A program with its output in files. A sanitizer's report in them fails the test, however the program is stopped."""

    def __init__(self, argv, scratch, name, env=None, nofile=None):
        self.argv = [str(a) for a in argv]
        self.out_path = Path(scratch) / f"{name}.out"
        self.err_path = Path(scratch) / f"{name}.err"
        self.name = name
        self.stopped = False
        limit = (lambda: resource.setrlimit(resource.RLIMIT_NOFILE, nofile)) if nofile else None
        with open(self.out_path, "wb") as out, open(self.err_path, "wb") as err:
            self.popen = subprocess.Popen(
                self.argv, stdin=subprocess.DEVNULL, stdout=out, stderr=err, preexec_fn=limit, env={**os.environ, **(env or {})}
            )
        self.pid = self.popen.pid

    @property
    def out(self):
        return self.out_path.read_text(errors="replace")

    @property
    def err(self):
        return self.err_path.read_text(errors="replace")

    @property
    def log(self):
        return self.out + self.err

    def log_lines(self):
        """The structured lines of the log, as dictionaries; anything else is left out."""
        lines = []
        for line in self.log.splitlines():
            try:
                parsed = json.loads(line)
            except ValueError:
                continue
            if isinstance(parsed, dict):
                lines.append(parsed)
        return lines

    def alive(self):
        return self.popen.poll() is None

    def tell(self, number):
        self.popen.send_signal(number)

    def wait(self, bound=None):
        """The exit code; a program that does not end within the bound is killed, and the test fails."""
        try:
            code = self.popen.wait(WAIT_S if bound is None else bound)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            self.popen.wait()
            raise AssertionError(f"{self.name} did not end; its log:\n{self.log[-4000:]}") from None
        self.stopped = True
        self.check_report()
        return code

    def check_report(self):
        log = self.log
        found = REPORT.search(log)
        assert not found, f"{self.name}: {log[found.start() : found.start() + 12000]}"

    def stop(self, number=signal.SIGTERM):
        """Asks it to end and returns the exit code."""
        if self.alive():
            self.tell(number)
        return self.wait()

    def or_die(self, step):
        """Runs a step of the start; when it fails nothing is left behind."""
        try:
            return step()
        except BaseException:
            self.popen.kill()
            self.popen.wait()
            self.stopped = True
            raise

    def tells_in_turn(self, *names):
        """Of these events the log has whole rounds, each told once: a busy machine makes further ones, as answers come late."""
        told = [e["event"] for e in self.log_lines() if e.get("event") in names]
        return told and told == [*names] * (len(told) // len(names))

    def finish(self):
        """At the end of a test: whatever still runs must end orderly."""
        if self.stopped:
            return
        ended = not self.alive()
        code = self.stop()
        assert code == 0, f"{self.name} {'had ended' if ended else 'ended'} with {code}:\n{self.log[-8000:]}"

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def resident_bytes(self):
        return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * resource.getpagesize()

    def resident_peak_bytes(self):
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(re.search(r"^VmHWM:\s+(\d+) kB", status, re.M).group(1)) * 1024

    def reset_resident_peak(self):
        Path(f"/proc/{self.pid}/clear_refs").write_text("5")


class Mock(Process):
    """weir-mock-provider, with a control listener that its own counts leave out."""

    def __init__(self, scratch, name, *flags, listen="127.0.0.1:0"):
        argv = [program("weir-mock-provider"), "--listen", listen, "--control", "127.0.0.1:0", *flags]
        super().__init__(argv, scratch, name)
        lines = self.or_die(lambda: wait_for(self._announced, f"{name} to listen"))
        self.port = int(lines["listening"])
        self.control = int(lines["control"])
        self.url = f"http://{listen.rpartition(':')[0]}:{self.port}"

    def _announced(self):
        found = dict(re.findall(r"^(listening|control) on \S+:(\d+)$", self.out, re.M))
        assert self.alive(), f"{self.name} ended: {self.log}"
        return found if len(found) == 2 else None

    def ask(self, method, target):
        with Client(self.control) as c:
            r = c.request(method, target)
            assert r.status == 200, r
            return r.json()

    def stats(self):
        return self.ask("GET", "/stats")

    def reset_stats(self):
        self.ask("POST", "/reset-stats")

    def plan(self, **keys):
        """What every request meets from now on: the flags' plan with these keys; without any, the flags' own."""
        query = "&".join(f"{k.replace('_', '-')}={urllib.parse.quote(str(v))}" for k, v in keys.items())
        self.ask("POST", f"/plan?{query}" if query else "/plan")

    def down(self):
        """Refuses, and resets what is open, as if it had been killed."""
        self.ask("POST", "/listen?open=0")

    def up(self):
        self.ask("POST", "/listen?open=1")

    def arrivals(self, start=0):
        """When each request came, in seconds of its clock, from the one of that number on."""
        return [us / 1e6 for us in self.ask("GET", f"/arrivals?from={start}")["us"]]

    def steps(self, gate, count=1):
        """Lets `count` steps (the head, each token) pass the gate; "all" opens it for good."""
        return self.ask("POST", f"/gate/{gate}?steps={count}")

    def waiting(self, gate):
        return self.ask("GET", f"/gate/{gate}")["waiting"]

    def wait_waiting(self, gate, count=1):
        wait_for(lambda: self.waiting(gate) >= count, f"{count} requests at gate {gate}")

    def wait_stats(self, condition, what):
        return wait_for(lambda: (lambda s: s if condition(s) else None)(self.stats()), what)


class Node(Process):
    """weir-node on a free port; `config` is a dictionary (JSON is YAML) or the text of the file; tls: the context of those
    who ask it."""

    def __init__(self, scratch, name, config, port, ready=True, env=None, nofile=None, args=(), tls=None):
        self.config_path = Path(scratch) / f"{name}.yaml"
        self.write_config(config)
        self.port = port
        self.tls = tls
        super().__init__([program("weir-node"), "-c", self.config_path, *args], scratch, name, env, nofile)
        if ready:
            self.or_die(self.wait_ready)

    def write_config(self, config):
        """Whole or not at all: the reload before may be reading it yet."""
        text = config if isinstance(config, str) else json.dumps(config, indent=1)
        whole = self.config_path.with_suffix(".new")
        whole.write_text(text)
        whole.replace(self.config_path)

    def wait_ready(self):
        def is_ready():
            if not self.alive():
                raise RuntimeError(f"{self.name} ended with {self.popen.returncode}: {self.log[-4000:]}")
            with self.client() as c:
                return c.get("/health/ready").status == 200

        wait_for(is_ready, f"{self.name} to be ready")

    def client(self, **options):
        return Client(self.port, **{"tls": self.tls, **options})

    def get(self, target, **fields):
        with self.client() as c:
            return c.get(target, headers=list(fields.items()))

    @contextlib.contextmanager
    def held_up(self):
        """Stopped meanwhile: what is asked has come before a clock of the connection's begins, however short it is."""
        self.tell(signal.SIGSTOP)
        try:
            yield
        finally:
            self.tell(signal.SIGCONT)

    def pool(self, provider=None):
        stats = self._page("/metrics").json()["connection_pool"]
        return stats if provider is None else stats["providers"][provider]

    def _page(self, target):
        while True:
            try:
                return self.get(target)
            except (Closed, ConnectionResetError, BrokenPipeError):
                # By a test's short idle_timeout, before a loaded machine had sent the question.
                if not self.alive():
                    raise

    def metric(self, name, **labels):
        """The sum over all series of that name with those labels in the Prometheus text; 0 when there is none."""
        total = 0.0
        for line in self._page("/metrics/prometheus").text.splitlines():
            m = re.match(r"([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)", line)
            if m and m.group(1) == name:
                have = dict(re.findall(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"', m.group(2) or ""))
                if all(have.get(k) == v for k, v in labels.items()):
                    total += float(m.group(3))
        return total

    def wait_log(self, text, bound=None):
        wait_for(lambda: text in self.log, f"{text!r} in the log of {self.name}", bound)

    def events(self, name, **fields):
        """The lines of the log that tell of this event with these fields; an event without one of them is an error."""
        return [e for e in self.log_lines() if e["event"] == name and all(e[k] == v for k, v in fields.items())]

    def wait_events(self, name, count=1, bound=None, **fields):
        """Those lines, when there are so many at least: the log is written behind the requests."""
        what = f"{count} lines of {name} {fields or ''} in the log of {self.name}"
        wait_for(lambda: len(self.events(name, **fields)) >= count, what, bound)
        return self.events(name, **fields)

    def wait_only_events(self, name, count=1, **fields):
        """Those lines, when there are so many, and no more."""
        found = self.wait_events(name, count, **fields)
        assert len(found) == count, found
        return found

    def reload(self, config):
        self.write_config(config)
        self.tell(signal.SIGHUP)
