"""CPU per request of each proxy, as a ratio to the relay that runs beside it.

Two programs share one core at the same time, each under its own wrk, so what disturbs the machine disturbs both alike;
their CPU time for the same wall time is divided by the requests of each. Rounds go through all pairs in turn. The
control pair is the relay against itself: its distance from 1 is what the other ratios can not resolve.
"""

from load import Wrk, quantile, summary
from procs import BenchError

CONTROL_OFF_MAX = 0.01
WARM_UP_S = 1


def measure_pair(candidate, floor, clients, seconds, load=Wrk):
    """One round, under load(port, clients, seconds) each: ((ns a request, requests) of the candidate, of the floor)."""
    pair = (candidate, floor)
    before = [p.process.cpu_ns() for p in pair]
    loads = [load(p.port, clients, seconds) for p in pair]
    try:
        requests = [each.requests() for each in loads]
    finally:
        for each in loads:
            each.stop()
    after = [p.process.cpu_ns() for p in pair]
    return [((b - a) / n, n) for a, b, n in zip(before, after, requests)]


def run(starter, names, clients, rounds, seconds, logs, say):
    say(f"cpu: 2 x {clients} clients, access logs {'on' if logs else 'off'}, {rounds} rounds of {seconds} s")
    candidates = ["relay"] + list(names)
    samples = {name: [] for name in candidates}
    started = []
    with starter.tools.origin() as origin:
        try:
            floor = starter.start("relay", origin)
            started.append(floor)
            for name in candidates:
                started.append(starter.start(name, origin, logs))
            proxies = dict(zip(candidates, started[1:]))
            for proxy in proxies.values():
                measure_pair(proxy, floor, clients, WARM_UP_S)
            for _ in range(rounds):
                for name, proxy in proxies.items():
                    samples[name].append(measure_pair(proxy, floor, clients, seconds))
                    if logs:
                        _check_logged(proxy)
                    proxy.drop_log()
        finally:
            for proxy in started:
                proxy.stop()
    return _evaluate(samples, clients, logs)


def _check_logged(proxy):
    """A row with logs on means nothing for a proxy that wrote none."""
    if proxy.name != "relay":
        with open(proxy.log_path, "rb") as f:
            if len(f.read(1)) == 0:
                raise BenchError(f"{proxy.name} wrote no access log")


def rows_of(samples):
    """A row for each name of {name: [(its ns a request, its requests), the same of the floor beside it] of each round}."""
    rows = []
    ratios = {name: [c[0] / f[0] for c, f in pairs] for name, pairs in samples.items()}
    for name, pairs in samples.items():
        row = {"proxy": name,
               "us_per_request": quantile([c[0] / 1000 for c, _ in pairs], 0.5),
               "requests_per_round": quantile([c[1] for c, _ in pairs], 0.5),
               "to_relay": summary(ratios[name])}
        for other in ("haproxy", "nginx"):
            if other in ratios and name != "relay":
                row[f"to_{other}"] = summary([a / b for a, b in zip(ratios[name], ratios[other])])
        rows.append(row)
    return rows


def _evaluate(samples, clients, logs):
    rows = rows_of(samples)
    rows[0]["proxy"] = "control"
    control = rows[0]["to_relay"]["median"]
    return {"clients": clients, "access_logs": logs, "rows": rows,
            "control_ok": abs(control - 1) <= CONTROL_OFF_MAX}
