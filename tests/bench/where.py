#!/usr/bin/env python3
"""Shows where a proxy's CPU goes: system calls a request (strace) and the functions of its own that cost most (perf).

    tests/bench/where.py [--proxies weir,haproxy,nginx,relay] [--clients 32] [--seconds 3] [--top 25]
                         [--front h1|h1s|h2s] [--back h1|h1s|h2s]

Neither tool is needed for the bench; what is not installed is left out. strace slows a program down many times: its
counts are per request, its times are not shown.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile

import procs
import report
from bench import ROOT
from proxies import Starter
from row_secure import load_of
from secure import Keys, SecureOrigin


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default=os.path.join(ROOT, "build"))
    parser.add_argument("--proxies", default="weir")
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--top", type=int, default=25)
    parser.add_argument("--logs", action="store_true", help="with access logs")
    parser.add_argument("--front", default="h1", choices=("h1", "h1s", "h2s"), help="what clients speak")
    parser.add_argument("--back", default="h1", choices=("h1", "h1s", "h2s"), help="what the upstream speaks")
    args = parser.parse_args()
    try:
        with tempfile.TemporaryDirectory(prefix="weir-bench-") as scratch:
            starter = Starter(procs.Tools(args.build), args.build, scratch)
            for name in args.proxies.split(","):
                with start_origin(starter, args) as origin, starter.start(
                        name, origin, args.logs, front=args.front, back=args.back, keys=Keys(scratch)) as proxy:
                    with load_of(proxy, args.front)(proxy.port, args.clients, 1) as load:
                        load.requests()
                    show_calls(proxy, args)
                    show_functions(proxy, args, scratch)
    except procs.BenchError as error:
        print(f"where: {error}", file=sys.stderr)
        return 1
    return 0


def start_origin(starter, args):
    if args.back == "h1":
        return starter.tools.origin()
    return SecureOrigin(starter.scratch, Keys(starter.scratch), http2=args.back == "h2s")


def show_calls(proxy, args):
    if shutil.which("strace") is None:
        return
    with tempfile.NamedTemporaryFile("r") as out:
        watch = procs.Process(["strace", "-f", "-c", "-o", out.name, "-p", str(proxy.process.pid)], procs.Core.load,
                              stderr=subprocess.DEVNULL)
        with load_of(proxy, args.front)(proxy.port, args.clients, args.seconds) as load:
            requests = load.requests()
        watch.stop()
        rows = []
        for line in out:
            found = re.match(r"\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)\s+(\d+)?\s*(\w+)$", line)
            if found and found.group(3) != "total":
                calls, failed = int(found.group(1)), int(found.group(2) or 0)
                rows.append([found.group(3), f"{calls / requests:.3f}", f"{failed / requests:.3f}"])
    rows.sort(key=lambda row: -float(row[1]))
    print(report.table(f"{proxy.name}: system calls a request ({requests} requests)", ["call", "calls", "failed"],
                       [row for row in rows if row[1] != "0.000"]))


def show_functions(proxy, args, scratch):
    if shutil.which("perf") is None:
        return
    data = os.path.join(scratch, "perf.data")
    with load_of(proxy, args.front)(proxy.port, args.clients, args.seconds + 1) as load:
        subprocess.run(["perf", "record", "-q", "-e", "cpu-clock", "-F", "2999", "-p", str(proxy.process.pid),
                        "-o", data, "--", "sleep", str(args.seconds)], check=True, capture_output=True)
        load.requests()
    out = subprocess.run(["perf", "report", "-i", data, "--stdio", "-q", "-F", "overhead,dso,sym"], check=True,
                         capture_output=True, text=True).stdout
    own, kernel = [], 0.0
    for line in out.splitlines():
        found = re.match(r"\s*([\d.]+)%\s+(\S+)\s+\[(.)\]\s+(.+)$", line)
        if found is None:
            continue
        if found.group(3) == "k":
            kernel += float(found.group(1))
        else:
            own.append([found.group(4).strip(), found.group(2), float(found.group(1))])
    print(report.table(f"{proxy.name}: {kernel:.1f} % of its CPU in the kernel; the rest", ["function", "in", "%"],
                       own[:args.top]))


if __name__ == "__main__":
    sys.exit(main())
