"""A whole cluster for the rows that measure one: the pieces are those of the black-box tests (tests/blackbox), the load
is steady.py's."""

import contextlib
import json
import os
import sys
import tempfile
import time
from pathlib import Path

from load import quantile
from procs import BenchError, Core, Process

HERE = os.path.dirname(os.path.abspath(__file__))
# Behind the bench's own folder: both have a module `load`.
sys.path.append(os.path.join(os.path.dirname(HERE), "blackbox"))

import harness  # noqa: E402
from advice import Advice  # noqa: E402
from balancer import balance  # noqa: E402
from browser import Browser  # noqa: E402
from cluster import Cluster, ask  # noqa: E402
from firewall import CAN_RUN as CAN_FIREWALL  # noqa: E402
from firewall import Firewalled  # noqa: E402
from harness import Process as Program  # noqa: E402
from harness import wait_for  # noqa: E402
from sentinels import Watched  # noqa: E402
from stage import Stage  # noqa: E402

__all__ = ["CAN_FIREWALL", "Advice", "Browser", "Cluster", "Firewalled", "Program", "SHARDS", "Steady", "Watched", "ask", "balance",
           "blocks", "failures", "harness", "phase", "seconds_until", "town", "wait_for"]

SHARDS = 24
POLL_S = 0.01


@contextlib.contextmanager
def town(build_dir):
    """A stage on which programs are started; all of them end with it."""
    harness.BUILD = Path(build_dir)
    with tempfile.TemporaryDirectory(prefix="weir-bench-town-") as scratch:
        stage = Stage(scratch)
        try:
            yield stage
        except AssertionError as error:  # the harness's way to say that something did not come
            raise BenchError(str(error)) from error
        finally:
            stage.close()


class Request:
    def __init__(self, line):
        number, began, ended, self.status, port = line.split()
        self.number, self.began, self.ended, self.port = int(number), float(began), float(ended), int(port)

    @property
    def ms(self):
        return (self.ended - self.began) * 1000


class Steady:
    """Runs from the start of a with block until end()."""

    def __init__(self, stage, ports, clients, pace_s, keys=50, **more):
        words = {"ports": ports, "clients": clients, "pace_s": pace_s, "keys": keys, **more}
        self.path = os.path.join(stage.scratch, f"steady{next(stage.number)}.txt")
        with open(self.path, "w", encoding="ascii") as out:
            self.process = Process([sys.executable, os.path.join(HERE, "steady.py"), json.dumps(words)], Core.load,
                                   stdin=-1, stdout=out, name="steady")

    def end(self):
        """All its requests, in the order in which they began."""
        self.process.finish(60)
        with open(self.path, encoding="ascii") as f:
            return sorted((Request(line) for line in f), key=lambda r: r.began)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stop()


def failures(requests):
    return [r for r in requests if r.status != "200"]


def phase(requests, begin, end):
    """Of those that began between two moments."""
    there = [r for r in requests if begin <= r.began < end]
    if not there:
        raise BenchError("no requests in a phase")
    times = [r.ms for r in there if r.status == "200"]
    return {"requests": len(there), "failed": len(there) - len(times), "p50_ms": quantile(times, 0.5),
            "p90_ms": quantile(times, 0.9)}


def blocks(requests, begin, end, seconds=1.0):
    """The phases of a second each: how far they lie apart is what a longer phase cannot resolve."""
    found = []
    while begin + seconds <= end:
        found.append(phase(requests, begin, begin + seconds))
        begin += seconds
    return found


def seconds_until(condition, since, bound, what):
    """How long after `since` it became true."""
    while time.monotonic() < since + bound:
        try:
            if condition():
                return time.monotonic() - since
        except (OSError, AssertionError):
            pass
        time.sleep(POLL_S)
    raise BenchError(f"waited {bound:g} s for {what}")
