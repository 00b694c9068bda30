#!/usr/bin/env python3
"""Measures weir-node beside HAProxy, nginx and a bare relay, on one core each. See README.md in this folder."""

import argparse
import datetime
import itertools
import json
import os
import platform
import sys
import tempfile

import procs
import report
import report_cluster
import report_tls
import row_away
import row_cluster_cost
import row_coordinator
import row_cpu
import row_dashboard
import row_distance
import row_failover
import row_floods
import row_handshakes
import row_latency
import row_limit
import row_memory
import row_pooling
import row_replay
import row_secure
import row_share
import row_storm
import row_stream
import row_trip
import row_turns
from proxies import Starter
from wire import Wire

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PROXIES = ("nginx", "haproxy", "weir")
CLUSTER_ROWS = ("trip", "away", "failover", "share", "cluster_cost", "coordinator", "replay", "dashboard")
ROWS = ("cpu", "latency", "idle", "streams", "stream", "pooling", "delay", "limit", "storm", "secure", "handshakes", "turns",
        "floods", "distance", *CLUSTER_ROWS)


def say(text):
    print(text, file=sys.stderr, flush=True)


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", default=os.path.join(ROOT, "build"), help="build folder")
    parser.add_argument("--json", help="where the results go (default: BUILD/bench/results.json)")
    parser.add_argument("--only", default=",".join(ROWS), help=f"rows to measure, of {','.join(ROWS)}")
    parser.add_argument("--proxies", default=",".join(PROXIES), help=f"proxies to measure, of {','.join(PROXIES)}")
    parser.add_argument("--clients", default="32,128", help="clients of each of a pair, one table for each number")
    parser.add_argument("--logs", choices=("off", "on", "both"), default="both", help="access logs in the cpu row")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=int, default=3, help="length of a round")
    parser.add_argument("--rate", type=int, default=100, help="requests a second of each of 32 clients, for latency")
    parser.add_argument("--idle-clients", type=int, default=4000)
    parser.add_argument("--stream-clients", type=int, default=2000)
    parser.add_argument("--stream-count", type=int, default=50, help="streams that are timed token by token")
    parser.add_argument("--trace", help="a CSV file with the columns requests and inflight_model, a line each 10 s, for replay")
    parser.add_argument("--proxy-core", type=int, default=procs.Core.proxy)
    parser.add_argument("--load-core", type=int, default=procs.Core.load)
    parser.add_argument("--quick", action="store_true",
                        help="two short rounds and few clients: shows that all works, proves no figure")
    args = parser.parse_args()
    args.only = args.only.split(",")
    args.proxies = args.proxies.split(",")
    args.clients = [int(n) for n in args.clients.split(",")]
    for name in args.proxies:
        if name not in PROXIES:
            parser.error(f"no such proxy: {name}; there are {', '.join(PROXIES)}")
    for row in args.only:
        if row not in ROWS:
            parser.error(f"no such row: {row}; there are {', '.join(ROWS)}")
    if args.quick:
        args.clients, args.logs, args.rounds, args.seconds = args.clients[:1], "off", 2, 1
        args.idle_clients, args.stream_clients, args.stream_count = 500, 300, 5
    args.json = args.json or os.path.join(args.build, "bench", "results.json")
    return args


def measure(args, starter, names):
    """Yields (key, result, text) of each row as it is done."""
    if "cpu" in args.only:
        done = []
        for logs in {"off": [False], "on": [True], "both": [False, True]}[args.logs]:
            for clients in args.clients:
                done.append(row_cpu.run(starter, names, clients, args.rounds, args.seconds, logs, say))
                yield "cpu", done, report.cpu(done[-1])
    if "latency" in args.only:
        result = row_latency.run(starter, names, 32, args.rate, args.rounds, args.seconds, say)
        yield "latency", result, report.latency(result)
    if "idle" in args.only:
        result = row_memory.run_idle(starter, names, args.idle_clients, say)
        yield "idle", result, report.memory(f"Memory of an idle client, {args.idle_clients} held", result)
    if "streams" in args.only:
        result = row_memory.run_streams(starter, names, args.stream_clients, say)
        yield "streams", result, report.memory(f"Memory of an event stream, {args.stream_clients} held", result)
    if "stream" in args.only:
        result = row_stream.run(starter, names, args.stream_count, say)
        yield "stream", result, report.stream(result)
    if "pooling" in args.only:
        result = row_pooling.run_reuse(starter, names, 32, args.seconds, say)
        yield "reuse", result, report.reuse(result)
        if "weir" in names:
            with starter.tools.origin() as origin:
                result = row_pooling.run_guide(starter, origin, 32, 30, args.seconds, say, "origin on loopback")
            yield "guide", result, report.guide(result)
    if "delay" in args.only and "weir" in names:
        with Wire(starter.tools) as wire, wire.far_origin() as origin:
            result = row_pooling.run_guide(starter, origin, 32, 5, args.seconds, say, "origin 50 ms away")
        yield "guide_far", result, report.guide(result)
    if "limit" in args.only and "weir" in names:
        result = row_limit.run(starter, args.build, 5 if args.quick else 130, say)
        yield "limit", result, report.limit(result)
    if "storm" in args.only and "weir" in names:
        result = row_storm.run(starter, args.build, 2 if args.quick else 12, say)
        yield "storm", result, report.storm(result)
    if "secure" in args.only:
        seconds = args.seconds if args.quick else max(args.seconds, row_secure.ROUND_S_MIN)
        result = row_secure.run(starter, names, args.clients[0], args.rounds, seconds, say)
        yield "secure", result, report_tls.secure(result)
    if "handshakes" in args.only:
        result = row_handshakes.run(starter, names, args.seconds, 100 if args.quick else 1000, say)
        yield "handshakes", result, report_tls.handshakes(result)
    if "turns" in args.only and "weir" in names:
        result = row_turns.run(starter, 4 if args.quick else 30, say)
        yield "turns", result, report_tls.turns(result)
    if "floods" in args.only:
        result = row_floods.run(starter, names, 2 if args.quick else 10, say)
        yield "floods", result, report_tls.floods(result)
    if "distance" in args.only and "weir" in names:
        with Wire(starter.tools) as wire:
            result = row_distance.run(starter, wire, 3 if args.quick else 10, say)
        yield "distance", result, report_tls.distance(result)


def measure_cluster(args):
    """Likewise, of the rows that start whole clusters."""
    if "trip" in args.only:
        result = row_trip.run(args.build, 5 if args.quick else 100, say)
        yield "trip", result, report_cluster.trip(result)
    if "away" in args.only:
        result = row_away.run(args.build, 3 if args.quick else 10, say)
        yield "away", result, report_cluster.away(result)
    if "failover" in args.only:
        result = row_failover.run(args.build, 1 if args.quick else 3, say)
        yield "failover", result, report_cluster.failover(result)
    if "share" in args.only:
        result = row_share.run(args.build, 10 if args.quick else 130, say)
        yield "share", result, report_cluster.share(result)
    if "cluster_cost" in args.only:
        result = row_cluster_cost.run(args.build, args.rounds, args.seconds, args.quick, say)
        yield "cluster_cost", result, report_cluster.cost(result)
    if "coordinator" in args.only:
        result = row_coordinator.run(args.build, 20 if args.quick else 60, say)
        yield "coordinator", result, report_cluster.coordinator(result)
    if "replay" in args.only:
        result = row_replay.run(args.build, args.trace, args.quick, os.path.splitext(args.json)[0] + "-replay.png", say)
        yield "replay", result, report_cluster.replay(result)
    if "dashboard" in args.only:
        result = row_dashboard.run(args.build, 2 if args.quick else 10, say)
        yield "dashboard", result, report_cluster.dashboard(result)


def machine():
    with open("/proc/cpuinfo", encoding="utf-8") as f:
        model = next((line.split(":", 1)[1].strip() for line in f if line.startswith("model name")), platform.machine())
    return {"cpu": model, "cores": os.cpu_count(), "kernel": platform.release(), "load": os.getloadavg()[0]}


def main():
    args = parse_arguments()
    procs.Core.proxy, procs.Core.load = args.proxy_core, args.load_core
    results = {"begun": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
               "machine": machine(), "quick": args.quick}
    try:
        tools = procs.Tools(args.build)
        with tempfile.TemporaryDirectory(prefix="weir-bench-") as scratch:
            starter = Starter(tools, args.build, scratch)
            here, missing = starter.available()
            names = [name for name in here if name in args.proxies]
            for line in missing:
                say(line)
            for key, result, text in itertools.chain(measure(args, starter, names), measure_cluster(args)):
                results[key] = result
                print(text, flush=True)
    except procs.BenchError as error:
        say(f"bench: {error}")
        return 1
    finally:
        with open(args.json, "w", encoding="utf-8") as f:
            json.dump(results, f, indent=1)
            f.write("\n")
    found = report.targets(results) + report_tls.targets(results) + report_cluster.targets(results)
    if found:
        print(report.target_table(found))
    say(f"\nwritten to {args.json}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
