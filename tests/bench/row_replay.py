"""A recorded load replayed against a cluster that is scaled as its hints say: nodes are started and ended by
desired_nodes alone. What is looked at is whether the advice comes before the load that needs it.

The series is a CSV file with a value a step (`--trace`): its columns `requests` and `inflight_model` are used; without a
file, one of known structure is made up. It runs STEP_S / step of the file faster than it was recorded, with the history
cut into as much shorter slots, so that forecasting sees the same series; the plot's time is the recording's."""

import csv
import json
import math
import os
import shutil
import subprocess
import time

from load import quantile
from procs import BenchError
from town import Cluster, town, wait_for

STEP_S = 1.0
RECORDED_STEP_S = 10.0
WINDOW_S = 60
COOLDOWN_S = 5
SAFE_PER_NODE = 15
NODES_MAX = 8
LOOK_S = 0.25
# The forecast is nothing before it has seen a few values; what is judged begins here.
WARM_UP_STEPS = 30


def read_series(path):
    with open(path, encoding="ascii") as f:
        return [(int(r["requests"]), float(r["inflight_model"])) for r in csv.DictReader(f)]


def made_up(steps=300):
    """Two waves over a trend, and a step up."""
    load = [20 + 12 * math.sin(i / 24) + 5 * math.sin(i / 7) + (15 if 180 <= i < 240 else 0) for i in range(steps)]
    return [(round(2 * x), x) for x in load]


class ByHand:
    """Starts and ends nodes as it is told; keeps the load's process informed of where they are."""

    def __init__(self, stage):
        self.cluster = Cluster(stage, connection_affinity="round_robin", shard_count=8 * NODES_MAX)
        self.analytics = {"sample_interval": STEP_S, "scaling_prediction_window": WINDOW_S,
                          "scaling_cooldown_period": COOLDOWN_S, "safe_concurrency": SAFE_PER_NODE}
        # Room in the pools: what is looked at is what the forecast makes of the load, not a node that has run full.
        self.providers = {"mock": {"base_url": stage.mock().url, "pool_limits": {"max_connections": 1000}}}
        self.load = None
        self.first = self._add()
        self.cluster.coordinator(analytics=self.analytics, providers=self.providers)
        self.cluster.wait_map()

    def _add(self):
        return self.cluster.node(self.providers, analytics=self.analytics, logging={"access": False})

    def ports(self):
        return [n.port for n in self.cluster.members]

    def tell_ports(self):
        self.load.stdin.write("ports " + " ".join(map(str, self.ports())) + "\n")
        self.load.stdin.flush()

    def scale_to(self, wanted):
        while len(self.cluster.members) < min(wanted, NODES_MAX):
            self._add()
            self.tell_ports()
        while len(self.cluster.members) > max(1, wanted):
            leaving = self.cluster.members[-1]
            self.cluster.members.remove(leaving)
            self.tell_ports()
            leaving.stop()

    def hint(self):
        return self.first.get("/api/cluster/hints").json()


def _replay(hand, stage, steps, say):
    out_path = os.path.join(stage.scratch, "replay.txt")
    here = os.path.dirname(os.path.abspath(__file__))
    words = {"steps": steps, "step_s": STEP_S, "ports": hand.ports()}
    looks = []
    with open(out_path, "w", encoding="ascii") as out:
        hand.load = subprocess.Popen([shutil.which("python3"), os.path.join(here, "replay_load.py"), json.dumps(words)],
                                     stdin=subprocess.PIPE, stdout=out, text=True)
        begun, told = time.monotonic(), 0
        try:
            while hand.load.poll() is None:
                hint = hand.hint()
                desired = hint["cluster"]["desired_nodes"] if hint.get("valid") else None
                looks.append({"at": time.monotonic(), "nodes": len(hand.cluster.members), "desired": desired,
                              "peak": hint["cluster"]["in_flight"]["peak"] if desired else None,
                              "peak_high": hint["cluster"]["in_flight"]["peak_high"] if desired else None})
                if desired is not None:
                    hand.scale_to(desired)
                if time.monotonic() - begun > told + 30:
                    told += 30
                    say(f"replay: {told} of {len(steps) * STEP_S:.0f} s, {looks[-1]['nodes']} nodes")
                time.sleep(LOOK_S)
        finally:
            if hand.load.poll() is None:
                hand.load.kill()
            hand.load.wait()
    with open(out_path, encoding="ascii") as f:
        begin = float(f.readline().split()[1])
        requests = [line.split() for line in f]
    return begin, [(float(a), float(b), status) for a, b, status in requests], looks


def _in_flight(begin, requests, count):
    """The highest number at once in each step."""
    changes = sorted([(a, 1) for a, _, _ in requests] + [(b, -1) for _, b, _ in requests])
    peaks, now, at = [], 0, 0
    for i in range(count):
        end, peak = begin + (i + 1) * STEP_S, now
        while at < len(changes) and changes[at][0] < end:
            now += changes[at][1]
            peak = max(peak, now)
            at += 1
        peaks.append(peak)
    return peaks


def _steps_of(begin, looks, count, key):
    """What was last seen at the beginning of each step."""
    found, last, at = [], None, 0
    for i in range(count):
        while at < len(looks) and looks[at]["at"] <= begin + i * STEP_S:
            last = looks[at][key] if looks[at][key] is not None else last
            at += 1
        found.append(last)
    return found


def _judge(peaks, nodes, desired):
    """How the advice stood to the load that came, after the warm-up; times are the recording's."""
    needed = [max(1, math.ceil(p / SAFE_PER_NODE)) for p in peaks]
    judged = range(WARM_UP_STEPS, len(peaks))
    top = max(judged, key=lambda i: peaks[i])
    since = top
    while since > 0 and desired[since - 1] is not None and desired[since - 1] >= needed[top]:
        since -= 1
    in_time = desired[top] is not None and desired[top] >= needed[top]
    return {"peak": peaks[top], "peak_at_s": top * RECORDED_STEP_S,
            "lead_s": (top - since) * RECORDED_STEP_S if in_time else None,
            "covered": sum(nodes[i] >= needed[i] for i in judged) / len(judged),
            "nodes_mean": sum(nodes[i] for i in judged) / len(judged),
            "needed_mean": sum(needed[i] for i in judged) / len(judged),
            "needed_max": max(needed[i] for i in judged),
            "changes": sum(desired[i] != desired[i - 1] for i in judged)}


PLOT = """
set terminal pngcairo size 1400,800 font "sans,11"
set output '{png}'
set datafile missing '?'
set multiplot layout 2,1 title "A recorded load, and a cluster scaled as its hints say" font "sans,14"
set grid lc rgb "#dddddd"
set key top left horizontal
set xrange [0:{end}]
set ylabel "requests in flight"
plot '{data}' using 1:2 with filledcurves y1=0 fc rgb "#c9ddf2" title "highest in the step", \\
     '' using 1:5 with steps lc rgb "#d9822b" lw 2 title "predicted peak of the window, 0.9", \\
     '' using 1:4 with steps lc rgb "#8a6d3b" lw 1 dt 2 title "0.5"
set ylabel "nodes"
set xlabel "time in the recording, s"
set yrange [0:{most}]
plot '{data}' using 1:($2/{safe}) with filledcurves y1=0 fc rgb "#c9ddf2" title "in flight / safe concurrency", \\
     '' using 1:6 with steps lc rgb "#b02a37" lw 2 title "desired\\\\_nodes", \\
     '' using 1:3 with steps lc rgb "#2b6e3f" lw 2 title "nodes"
"""


def _plot(result, png, scratch):
    if shutil.which("gnuplot") is None:
        return None
    data = os.path.join(scratch, "replay.dat")
    with open(data, "w", encoding="ascii") as f:
        for i, row in enumerate(zip(result["in_flight"], result["nodes"], result["mid"], result["high"], result["desired"])):
            f.write(" ".join(["?" if v is None else f"{v:g}" for v in (i * RECORDED_STEP_S, *row)]) + "\n")
    script = PLOT.format(png=png, data=data, end=len(result["in_flight"]) * RECORDED_STEP_S, safe=SAFE_PER_NODE, most=NODES_MAX + 1)
    done = subprocess.run(["gnuplot"], input=script, text=True, capture_output=True, check=False)
    if done.returncode != 0:
        raise BenchError(f"gnuplot: {done.stderr}")
    return png


def run(build_dir, trace, quick, png, say):
    steps = read_series(trace) if trace else made_up()
    steps = steps[:2 * WARM_UP_STEPS] if quick else steps
    say(f"replay: {len(steps)} steps of {trace or 'a made-up series'}, {RECORDED_STEP_S / STEP_S:g} times as fast, "
        f"{len(steps) * STEP_S / 60:.0f} minutes")
    with town(build_dir) as stage:
        hand = ByHand(stage)
        wait_for(lambda: hand.first.get("/api/cluster/hints").status == 200, "the page of hints")
        begin, requests, looks = _replay(hand, stage, steps, say)
        result = {"trace": os.path.basename(trace) if trace else "made up", "safe": SAFE_PER_NODE,
                  "requests": len(requests), "failed": sum(status != "200" for _, _, status in requests),
                  "statuses": {s: sum(t == s for _, _, t in requests) for s in {t for _, _, t in requests}},
                  "ms_p50": 1000 * quantile([b - a for a, b, _ in requests], 0.5),
                  "in_flight": _in_flight(begin, requests, len(steps))}
        for name, key in (("nodes", "nodes"), ("desired", "desired"), ("mid", "peak"), ("high", "peak_high")):
            result[name] = _steps_of(begin, looks, len(steps), key)
        result["judged"] = _judge(result["in_flight"], [n or 1 for n in result["nodes"]], result["desired"])
        result["plot"] = _plot(result, png, stage.scratch)
    return result
