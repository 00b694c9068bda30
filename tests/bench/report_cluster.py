"""The tables of the rows that measure a cluster, and how it stands against the figures it has to reach."""

from report import spread, table


def trip(result):
    title = f"A circuit's way through {result['nodes']} nodes, {result['trips']} times: ms until the last one has it too"
    rows = [[name, result[name]["p50_ms"], result[name]["p99_ms"], result[name]["max_ms"]] for name in ("opened", "closed")]
    return table(title, ["", "p50", "p99", "max"], rows)


def _ms(numbers):
    return f"{numbers['p50_ms']:.2f} / {numbers['p90_ms']:.2f}"


def away(result):
    title = f"The store away under {result['rate']:.0f} requests/s, {result['seconds']} s each: ms, p50 / p90"
    rows = [[c["name"], c["requests"], c["failed"], _ms(c["before"]), _ms(c["noise"]), _ms(c["during"]), _ms(c["after"]),
             c["slowest_ms"], c["right_s"], "/".join(map(str, c["lines_each"])), c["nodes_lost"]] for c in result["cases"]]
    return table(title, ["", "requests", "failed", "before", "its slowest s", "during", "after", "slowest", "right after s", "lines each",
                         "taken for lost"], rows)


def failover(result):
    rows = [["kill -9", r["requests"], r["failed"], r["failed_of_others"], f"{r['in_flight']} in flight at the time",
             f"new owners {r['owned_s']:.2f} s"] for r in result["kill"]]
    rows += [["SIGTERM", r["requests"], r["failed"], r["taken_for_lost"], f"{r['streams']} streams, exit code {r['code']}",
              f"gone {r['gone_s']:.2f} s"] for r in result["end"]]
    rows += [["store's master", r["requests"], r["failed"], r["taken_for_lost"],
              "epoch WENT BACK" if r["epoch_back"] else "epoch never went back", f"right {r['right_s']:.2f} s"]
             for r in result["sentinel"]]
    return table("Nodes and masters lost under load", ["", "requests", "failed", "wrongly", "", "after"], rows)


def share(result):
    title = (f"A limit of {result['limit']} a minute, burst {result['burst']}, over four nodes, {result['offered']} offered, "
             f"{result['seconds']} s; bound {result['bound']}")
    rows = [["one killed" if c["killed"] else "all there", c["admitted"], c["fullest"], c["emptiest"],
             " ".join(f"{n:.2f}" for n in c["calls_per_s"]), " ".join(f"{s}:{n}" for s, n in sorted(c["statuses"].items()))]
            for c in result["cases"]]
    return table(title, ["", "admitted", "fullest minute", "emptiest", "calls/s and node", "answers"], rows)


def cost(result):
    traced = result["traced"]
    rows = [["commands/s of an idle node", result["idle"]["per_s"]], ["... of a busy one", result["busy"]["per_s"]],
            ["requests under strace", traced["requests"]], ["system calls of workers", traced["worker_calls"]],
            ["... on the store's sockets", traced["worker_calls_to_store"]],
            ["those of other threads", traced["other_calls_to_store"]]]
    text = table("What a cluster costs", ["", ""], rows)
    cpu = [[c["name"], c["us"]["median"], spread(c["to_alone"])] for c in result["cpu"]]
    return text + "\n" + table("CPU of a request beside a node that is alone: median (quartiles)", ["", "us", "to alone"], cpu)


def coordinator(result):
    rows = [[c["nodes"], f"{c['cpu_percent']:.2f}", f"{c['rss_mib']:.1f}", f"{c['calls_per_s']:.1f}", f"{c['bytes_per_s']:.0f}"]
            for c in result["cases"]]
    return table("What a coordinator costs", ["nodes", "% of a core", "MiB", "calls/s to the store", "bytes/s"], rows)


def replay(result):
    j = result["judged"]
    lead = "the hint came too late" if j["lead_s"] is None else f"{j['lead_s']:.0f} s before"
    rows = [["requests, failed", f"{result['requests']}, {result['failed']}"],
            ["highest in flight, when", f"{j['peak']} at {j['peak_at_s']:.0f} s"],
            [f"nodes for it ({result['safe']} each) were advised", lead],
            ["steps with as many nodes as were needed", f"{100 * j['covered']:.1f} %"],
            ["nodes, mean; needed, mean and most", f"{j['nodes_mean']:.2f}; {j['needed_mean']:.2f}, {j['needed_max']}"],
            ["changes of advice", j["changes"]], ["plot", result["plot"] or "left out: gnuplot is not there"]]
    return table(f"Scaled as the hints say: {result['trace']}", ["", ""], rows)


def dashboard(result):
    rows = [[what, t["p50_s"], t["max_s"]] for what, t in result["shown"].items()]
    kill = result["from_kill"]
    rows.append([f"... from the kill itself, failover_timeout {result['failover_s']} s", kill["p50_s"], kill["max_s"]])
    return table(f"Until the page at /dashboard shows it, {result['rounds']} times: s", ["", "p50", "longest"], rows)


def _replay_targets(r):
    lead_s = r["judged"]["lead_s"]
    return [("s that the hint is before the highest load, at least", 0.0 if lead_s is None else lead_s, 10, (lead_s or 0) >= 10)]


def _at_most(what, value, limit):
    return (what, float(value), limit, value <= limit)


def _trip_targets(r):
    return [_at_most("ms until a circuit is open everywhere, p99", r["opened"]["p99_ms"], r["limit_ms"])]


def _away_targets(r):
    found = []
    for c in r["cases"]:
        found.append(_at_most(f"store {c['name']}: failed requests", c["failed"], 0))
        found.append(_at_most(f"store {c['name']}: nodes taken for lost", c["nodes_lost"], 0))
        found.append(_at_most(f"store {c['name']}: s until right again", c["right_s"], r["limit_s"]))
        for q in ("p50_ms", "p90_ms"):
            found.append(_at_most(f"store {c['name']}: {q[:3]} during, to the slowest second before", c["during"][q] / c["noise"][q], 1))
    return found


def _failover_targets(r):
    found = []
    for k in r["kill"]:
        found.append(_at_most("kill -9: failed requests of others", k["failed_of_others"], 0))
        found.append(_at_most("kill -9: s until new owners", k["owned_s"], k["failover_s"] + r["slack_s"]))
    found += [_at_most("SIGTERM: failed requests", e["failed"], 0) for e in r["end"]]
    for s in r["sentinel"]:
        found.append(_at_most("store's master lost: failed requests", s["failed"], 0))
        found.append(_at_most("store's master lost: epochs that went back", int(s["epoch_back"]), 0))
    return found


def _share_targets(r):
    found = []
    for c in r["cases"]:
        where = "one killed" if c["killed"] else "all there"
        found.append(_at_most(f"admitted in any minute, {where}", c["fullest"], r["bound"]))
        if c["emptiest"] is not None:
            least = 0.98 * r["limit"]
            found.append((f"admitted in each minute, at least, {where}", float(c["emptiest"]), least, c["emptiest"] >= least))
        found.append(_at_most(f"calls a second and node for it, {where}", max(c["calls_per_s"]), r["calls_max"]))
    return found


def _cost_targets(r):
    return [_at_most("commands/s of an idle node", r["idle"]["per_s"], r["idle_max"]),
            _at_most("commands/s of a busy node", r["busy"]["per_s"], r["busy_max"]),
            _at_most("workers' system calls on the store's sockets", r["traced"]["worker_calls_to_store"], 0)]


def _coordinator_targets(r):
    most = r["cases"][-1]
    return [_at_most(f"coordinator, {most['nodes']} nodes: % of a core", most["cpu_percent"], r["cpu_percent_max"]),
            _at_most(f"coordinator, {most['nodes']} nodes: MiB", most["rss_mib"], r["rss_mib_max"]),
            _at_most(f"coordinator: bytes for {r['growth_max']:.0f} times the nodes, times", r["growth"], r["growth_max"])]


def _dashboard_targets(r):
    return [_at_most(f"page: s until it shows that {what}", t["max_s"], r["limit_s"]) for what, t in r["shown"].items()]


def targets(results):
    """[(what, reached, limit, ok)] of what was measured."""
    found = []
    for key, judge in (("trip", _trip_targets), ("away", _away_targets), ("failover", _failover_targets),
                       ("share", _share_targets), ("cluster_cost", _cost_targets),
                       ("coordinator", _coordinator_targets), ("replay", _replay_targets), ("dashboard", _dashboard_targets)):
        if key in results:
            found += judge(results[key])
    return found
