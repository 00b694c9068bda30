"""What pooling gives: connections reused, and the guide's table of pooling on against pooling off."""

import os
import time

from load import FixedRate, Wrk, quantile
from proxies import weir_pool_metrics

WARM_UP_S = 1
SETTLE_S = 0.5


def run_reuse(starter, names, clients, seconds, say):
    """Share of requests that needed no new upstream connection, by the origin's count of accepted connections."""
    say(f"pooling: connection reuse, {clients} clients, {seconds} s")
    rows = []
    for name in names:
        with starter.tools.origin() as origin, starter.start(name, origin) as proxy:
            # One load throughout, longer than both looks: wrk leaves its last requests open when it ends, and a proxy
            # that cancels them upstream, as it should, would pay for that with new connections in a second run.
            with Wrk(proxy.port, clients, WARM_UP_S + seconds + WARM_UP_S) as load:
                time.sleep(WARM_UP_S)
                before = origin.stats()
                time.sleep(seconds)
                after = origin.stats()
                load.requests()
            requests = after["requests"] - before["requests"]
            opened = after["accepted"] - before["accepted"] - 1  # the second look at its numbers is one
            row = {"proxy": name, "requests": requests, "connections_opened": opened,
                   "reuse_percent": 100 * (1 - opened / requests)}
            if name == "weir":
                row["reuse_percent_own"] = weir_pool_metrics(proxy)["connection_reuse_rate_percent"]
            rows.append(row)
    return {"clients": clients, "rows": rows}


def run_guide(starter, origin, clients, rate, seconds, say, where, **options):
    """weir with pooling on and off at once, each at the same fixed rate: the guide's own table."""
    say(f"guide's table: {where}, {clients} clients x {rate} requests/s, {seconds} s")
    sides = {}
    try:
        for side, reuse in (("without", False), ("with", True)):
            sides[side] = starter.start("weir", origin, reuse=reuse, **options)
        for side, proxy in sides.items():
            with FixedRate(proxy.port, clients, rate, WARM_UP_S, _log(starter, side)) as load:
                load.outcome()
        time.sleep(SETTLE_S)
        before = {side: _reading(proxy) for side, proxy in sides.items()}
        loads = {side: FixedRate(proxy.port, clients, rate, seconds, _log(starter, side))
                 for side, proxy in sides.items()}
        peaks = _watch_memory(sides, loads)
        outcomes = {side: load.outcome() for side, load in loads.items()}
        after = {side: _reading(proxy) for side, proxy in sides.items()}
    finally:
        for proxy in sides.values():
            proxy.stop()
    return {"where": where, "clients": clients, "rate_per_client": rate, **{
        side: _column(before[side], after[side], outcomes[side], peaks[side]) for side in sides}}


def _log(starter, side):
    return os.path.join(starter.scratch, f"h2load-{side}.log")


def _reading(proxy):
    return {"cpu_ns": proxy.process.cpu_ns(), "pool": weir_pool_metrics(proxy)}


def _watch_memory(sides, loads):
    """Peak of private memory while the load runs."""
    peaks = dict.fromkeys(sides, 0)
    while all(load.running() for load in loads.values()):
        for side, proxy in sides.items():
            peaks[side] = max(peaks[side], proxy.process.private_kb())
        time.sleep(0.1)
    return peaks


def mean_connection_time_ms(before, after):
    """Of the requests between two readings: the metric itself is the mean since the start, warm-up included."""
    count = after["total_requests"] - before["total_requests"]
    total_ms = (after["avg_connection_time_ms"] * after["total_requests"]
                - before["avg_connection_time_ms"] * before["total_requests"])
    return max(0.0, total_ms / count) if count > 0 else None


def _column(before, after, outcome, peak_kb):
    answered = len(outcome["ms"])
    return {
        "requests": outcome["total"],
        "errors": outcome["errors"],
        "error_percent": 100 * outcome["errors"] / outcome["total"],
        "connection_time_ms": mean_connection_time_ms(before["pool"], after["pool"]),
        "p50_ms": quantile(outcome["ms"], 0.5) if answered else None,
        "p99_ms": quantile(outcome["ms"], 0.99) if answered else None,
        "memory_peak_kb": peak_kb,
        "cpu_us_per_request": (after["cpu_ns"] - before["cpu_ns"]) / 1000 / outcome["total"],
        "connections_opened":
            after["pool"]["connections_created_total"] - before["pool"]["connections_created_total"],
    }
