"""The tables, and how weir stands against the figures it has to reach."""


def table(title, header, rows):
    """Plain columns: the first to the left, the others to the right."""
    cells = [header] + [[_text(c) for c in row] for row in rows]
    widths = [max(len(row[i]) for row in cells) for i in range(len(header))]
    lines = ["", title]
    for row in cells:
        lines.append("  ".join(c.ljust(w) if i == 0 else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths))))
    return "\n".join(lines)


def _text(cell):
    if cell is None:
        return "-"
    if isinstance(cell, float):
        return f"{cell:.2f}"
    return str(cell)


def spread(numbers, digits=3):
    """Median and quartiles."""
    if numbers is None:
        return "-"
    return f"{numbers['median']:.{digits}f} ({numbers['q1']:.{digits}f}-{numbers['q3']:.{digits}f})"


def cpu_table(title, rows):
    cells = [[r["proxy"], r["us_per_request"], spread(r["to_relay"]), spread(r.get("to_haproxy")),
              spread(r.get("to_nginx")), f"{r['requests_per_round']:.0f}"] for r in rows]
    return table(title, ["proxy", "us", "to relay", "to haproxy", "to nginx", "requests"], cells)


def cpu(result):
    logs = "on" if result["access_logs"] else "off"
    text = cpu_table(f"CPU per request, 2 x {result['clients']} clients, access logs {logs}: median (quartiles)",
                     result["rows"])
    if not result["control_ok"]:
        text += "\nNOT TO BE TRUSTED: the control pair is more than 1 % off. Run it again on a quieter machine."
    return text


def latency(result):
    rows = [[r["proxy"], spread(r["p50_ms"]), spread(r["p99_ms"]), r["errors"]] for r in result["rows"]]
    title = f"Latency in ms, {result['clients']} clients x {result['rate_per_client']} requests/s: median (quartiles)"
    return table(title, ["proxy", "p50", "p99", "errors"], rows)


def memory(title, result):
    rows = [[r["proxy"], r["kb_each"], r["base_kb"] / 1024, r["held_kb"] / 1024] for r in result["rows"]]
    return table(title, ["proxy", "KB each", "MB without", "MB with"], rows)


def stream(result):
    rows = [[r["proxy"], r["token_p50_ms"], r["token_p99_ms"], r["cancel_p50_ms"], r["cancel_max_ms"]]
            for r in result["rows"]]
    title = f"A token's way and the client's leaving, {result['streams']} streams"
    return table(title, ["proxy", "token p50 ms", "token p99 ms", "upstream closed p50 ms", "max ms"], rows)


def reuse(result):
    rows = [[r["proxy"], f"{r['reuse_percent']:.3f}", r["connections_opened"], r["requests"],
             r.get("reuse_percent_own")] for r in result["rows"]]
    title = f"Requests on a reused connection after warm-up, {result['clients']} clients"
    return table(title, ["proxy", "%", "opened", "requests", "own count %"], rows)


def guide(result):
    rows = []
    for label, key in (("connection time (ms)", "connection_time_ms"), ("response p50 (ms)", "p50_ms"),
                       ("response p99 (ms)", "p99_ms"), ("memory, peak (KB)", "memory_peak_kb"),
                       ("CPU (us a request)", "cpu_us_per_request"), ("errors (%)", "error_percent"),
                       ("connections opened", "connections_opened")):
        without, with_pool = result["without"][key], result["with"][key]
        rows.append([label, without, with_pool, _change(without, with_pool)])
    title = (f"Pooling, {result['where']}, {result['clients']} clients x {result['rate_per_client']} requests/s")
    return table(title, ["", "without", "with", "change"], rows)


def limit(result):
    title = f"A rate limit of {result['limit']} a minute, burst {result['burst']}, {result['offered']} offered, {result['seconds']} s"
    rows = [["admitted, the fullest minute", result["fullest"]], ["admitted, the emptiest minute", result["emptiest"]],
            ["admitted in all", result["admitted"]], *([f"answers {s}", n] for s, n in sorted(result["statuses"].items()))]
    return table(title, ["by the provider's clock", "requests"], rows)


def storm(result):
    calm, dead = result["calm"], result["storm"]
    title = (f"All {result['endpoints']} endpoints dead under {result['rate']} requests/s, recovery timeout "
             f"{result['recovery_s']} s; back {result['back_s']:.2f} s after they healed")
    rows = [["requests offered", calm["offered"], dead["offered"]],
            ["seen by the provider", calm["seen"], dead["seen"]],
            ["of those offered", f"{calm['seen'] / calm['offered']:.3f}", f"{dead['seen'] / dead['offered']:.3f}"],
            *([f"answers {s}", calm["answers"].get(s, 0), dead["answers"].get(s, 0)]
              for s in sorted({*calm["answers"], *dead["answers"]})),
            *([f"200, and 503 from the open circuit, {q}, ms", f"{calm['ms']['200'][q]:.2f}", f"{dead['ms']['503'][q]:.2f}"]
              for q in ("p50", "p99")),
            ["CPU, of a core", f"{calm['cpu']:.3f}", f"{dead['cpu']:.3f}"],
            ["log lines a second", f"{calm['lines_per_s']:.2f}", f"{dead['lines_per_s']:.2f}"]]
    return table(title, ["", "well", "dead"], rows)


def _change(without, with_pool):
    if not without or with_pool is None:
        return None
    return f"{100 * (with_pool - without) / without:+.0f} %"


def cpu_target(weir, where):
    """Against the better of the two: the one that weir costs most in terms of."""
    others = [weir[f"to_{o}"]["median"] for o in ("haproxy", "nginx") if weir and f"to_{o}" in weir]
    return [(f"CPU to the better of the two, {where}", max(others), 1.0, max(others) <= 1.0)] if others else []


def targets(results):
    """[(what, reached, limit, ok)] for weir, of what was measured."""
    found = []
    for result in results.get("cpu", []):
        weir = row_of(result, "weir")
        logs = "on" if result["access_logs"] else "off"
        found += cpu_target(weir, f"2 x {result['clients']}, logs {logs}")
    for key, what, limit in (("idle", "KB an idle client", 2.0), ("streams", "KB a stream", 12.0)):
        weir = row_of(results.get(key), "weir")
        if weir:
            found.append((what, weir["kb_each"], limit, weir["kb_each"] <= limit))
    weir = row_of(results.get("stream"), "weir")
    if weir:
        found.append(("ms until the upstream is closed", weir["cancel_max_ms"], 50.0, weir["cancel_max_ms"] <= 50))
    weir = row_of(results.get("reuse"), "weir")
    if weir:
        found.append(("reuse in %, at least", weir["reuse_percent"], 99.9, weir["reuse_percent"] >= 99.9))
    for key in ("guide", "guide_far"):
        if key in results:
            mb = (results[key]["with"]["memory_peak_kb"] - results[key]["without"]["memory_peak_kb"]) / 1024
            found.append((f"MB that pooling adds, {results[key]['where']}", mb, 15.0, mb <= 15))
    if results.get("limit", {}).get("emptiest") is not None:
        r = results["limit"]
        most = r["limit"] + r["burst"]
        found.append(("admitted in any minute", r["fullest"], most, r["fullest"] <= most))
        found.append(("admitted in each minute, at least", r["emptiest"], 0.99 * r["limit"], r["emptiest"] >= 0.99 * r["limit"]))
    return found


def target_table(found):
    rows = [[what, f"{value:.3f}", f"{limit:g}", "reached" if ok else "MISSED"] for what, value, limit, ok in found]
    return table("weir against its figures", ["figure", "measured", "limit", ""], rows)


def row_of(result, name):
    if result is None:
        return None
    return next((row for row in result["rows"] if row["proxy"] == name), None)
