"""Load generators and the few statistics that the tables need."""

import math
import os
import re

from procs import BenchError, Core, Process


def quantile(values, q):
    """By linear interpolation between the two nearest values."""
    ordered = sorted(values)
    at = q * (len(ordered) - 1)
    low = math.floor(at)
    high = math.ceil(at)
    return ordered[low] + (ordered[high] - ordered[low]) * (at - low)


def summary(values):
    return {"median": quantile(values, 0.5), "q1": quantile(values, 0.25), "q3": quantile(values, 0.75),
            "rounds": [round(v, 4) for v in values]}


class Wrk(Process):
    """As much load as `clients` connections make, for `seconds`."""

    def __init__(self, port, clients, seconds, path="/", scheme="http", more=()):
        super().__init__(["wrk", "-t", "1", "-c", str(clients), "-d", f"{seconds}s", "--timeout", "10s", *more,
                          f"{scheme}://127.0.0.1:{port}{path}"], Core.load)
        self.seconds = seconds

    def requests(self):
        """Wait for its end. Every request must have been answered with a 2xx or 3xx."""
        out = self.finish(self.seconds + 15)
        if "Socket errors" in out or "Non-2xx" in out:
            raise BenchError(f"wrk met errors:\n{out}")
        found = re.search(r"(\d+) requests in", out)
        if found is None or int(found.group(1)) == 0:
            raise BenchError(f"wrk made no requests:\n{out}")
        return int(found.group(1))


class H2Load(Process):
    """As much load as `clients` HTTP/2 connections over TLS make with `streams` requests at once each."""

    def __init__(self, port, clients, streams, seconds):
        super().__init__(["h2load", "-t", "1", "-c", str(clients), "-m", str(streams), "-D", str(seconds),
                          f"https://127.0.0.1:{port}/"], Core.load)
        self.seconds = seconds

    def requests(self):
        """Wait for its end. Every request must have been answered with a 2xx."""
        out = self.finish(self.seconds + 15)
        found = re.search(r"(\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout", out)
        if found is None or int(found.group(1)) == 0 or any(int(n) for n in found.groups()[1:]):
            raise BenchError(f"h2load met errors:\n{out}")
        return int(found.group(1))


class FixedRate(Process):
    """`clients` connections that each begin `rate` requests a second, on time or late."""

    def __init__(self, port, clients, rate, seconds, log_path):
        if os.path.exists(log_path):
            os.unlink(log_path)
        self.total = int(clients * rate * seconds)
        self.seconds = seconds
        self.log_path = log_path
        super().__init__(["h2load", "--h1", "-t", "1", "-c", str(clients), "-n", str(self.total), "--rps", str(rate),
                          "--log-file", log_path, f"http://127.0.0.1:{port}/"], Core.load)

    def outcome(self):
        """Wait for its end: {"ms": time of each good answer, "errors": the other requests, "total"}."""
        self.finish(self.seconds * 4 + 20)
        times_ms = []
        with open(self.log_path, encoding="ascii") as f:
            for line in f:
                _, status, micros = line.split()
                if status == "200":
                    times_ms.append(int(micros) / 1000)
        os.unlink(self.log_path)
        return {"ms": times_ms, "errors": self.total - len(times_ms), "total": self.total}
