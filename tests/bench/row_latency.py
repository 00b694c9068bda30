"""Latency at a fixed rate below saturation: each proxy alone on its core, in turn, every request's time kept."""

import os

from load import FixedRate, Wrk, quantile, summary


def run(starter, names, clients, rate, rounds, seconds, say):
    """Rows for the origin without a proxy, the relay and each proxy; p50 and p99 of every round."""
    say(f"latency: {clients} clients x {rate} requests/s, {rounds} rounds of {seconds} s")
    log_path = os.path.join(starter.scratch, "h2load.log")
    rounds_of = {}
    errors = {}
    started = []
    with starter.tools.origin() as origin:
        try:
            ports = {"direct": origin.port}
            for name in ["relay"] + list(names):
                started.append(starter.start(name, origin))
                ports[name] = started[-1].port
                Wrk(started[-1].port, clients, 1).requests()
            for _ in range(rounds):
                for name, port in ports.items():
                    with FixedRate(port, clients, rate, seconds, log_path) as load:
                        outcome = load.outcome()
                    errors[name] = errors.get(name, 0) + outcome["errors"]
                    rounds_of.setdefault(name, []).append(outcome["ms"])
        finally:
            for proxy in started:
                proxy.stop()
    return {"clients": clients, "rate_per_client": rate, "rows": [
        {"proxy": name, "errors": errors[name],
         "p50_ms": summary([quantile(times, 0.5) for times in all_times if times]),
         "p99_ms": summary([quantile(times, 0.99) for times in all_times if times])}
        for name, all_times in rounds_of.items()]}
