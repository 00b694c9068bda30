"""The tables of the rows with TLS and HTTP/2."""

from report import cpu_table, cpu_target, guide, row_of, table

SPOKEN = {"h1": "HTTP/1.1", "h1s": "HTTP/1.1 over TLS", "h2s": "HTTP/2 over TLS"}
GUIDE_SAVES_PERCENT = 90
TLS_END_KB_MAX = 42
TURN_MS_MAX = 1
# Bounded: a pause that nobody notices behind a first token, flooders and clients sharing one core; and little memory.
FLOODED_P99_MS_MAX = 100
FLOODED_MB_MAX = 32


def secure(result):
    texts = []
    for shape in result["shapes"]:
        title = (f"CPU per request: clients {SPOKEN[shape['front']]}, upstream {SPOKEN[shape['back']]}, "
                 f"2 x {result['clients']} clients")
        texts.append(cpu_table(title, shape["rows"]))
    return "\n".join(texts)


def handshakes(result):
    kinds = [k for k in result["rows"][0]["us"] if k != "plain"]
    rows = [[f"{r['proxy']}, {r['key']}", *(f"{r['us'][k]:.0f}" for k in kinds),
             *(f"{1e6 / r['us'][k]:.0f}" for k in kinds)] for r in result["rows"]]
    text = table("A client's TLS handshake", ["proxy, key", *(f"{k} us" for k in kinds), *(f"{k} /s" for k in kinds)], rows)
    held = [[m["proxy"], m["1.2"], m["1.3"]] for m in result["memory_kb"]]
    return text + "\n" + table(f"Memory of an idle TLS client, KB, {result['held']} held", ["proxy", "1.2", "1.3"], held)


def turns(result):
    rows = [[f"{r['side']}, {r['priority']}", r["median_ms"], r["max_ms"], r["seconds"], r["rate"]] for r in result["rows"]]
    header = ["handshakes with, priority", "median ms", "longest ms", "seconds", "handshakes/s"]
    return table(f"The worker's longest turn of each second, {result['rate']} full TLS handshakes/s", header, rows)


def floods(result):
    rows = [[f"{r['proxy']}, {r['kind']}", r["calm"]["p50_ms"], r["flooded"]["p50_ms"], r["calm"]["p99_ms"],
             r["flooded"]["p99_ms"], r["flooded"]["max_ms"], r["flooded"]["errors"],
             (r["flooded"]["private_kb"] - r["calm"]["private_kb"]) / 1024, r["mb_per_s"], r["connections_per_s"]]
            for r in result["rows"]]
    header = ["proxy, flood of", "p50 before ms", "during", "p99 before ms", "during", "longest", "errors", "MB more",
              "flood MB/s", "connections/s"]
    return table(f"Others at {result['rate']} requests/s while {result['flooders']} clients flood", header, rows)


def distance(result):
    rows = [[f"TLS {o['version']}, {'resumed' if o['resumed'] else 'full'}", o["set_up_ms"], o["cpu_us"], o["bytes"],
             o["connections"], o["errors"]] for o in result["opened"]]
    header = ["each request its own connection", "set-up ms", "CPU us", "bytes", "connections", "errors"]
    return guide(result["guide"]) + "\n" + table("What resumption saves, TLS origin 50 ms away", header, rows)


def targets(results):
    found = []
    for shape in results.get("secure", {}).get("shapes", []):
        found += cpu_target(row_of(shape, "weir"), f"{shape['front']} to {shape['back']}")
    for m in results.get("handshakes", {}).get("memory_kb", []):
        if m["proxy"] == "weir":
            found += [(f"KB a TLS {v} client", m[v], TLS_END_KB_MAX, m[v] <= TLS_END_KB_MAX) for v in ("1.2", "1.3")]
    for r in results.get("turns", {}).get("rows", []):
        key = "max_ms" if r["priority"] == "real time" else "median_ms"
        found.append((f"ms a worker's turn, {r['side']}, {r['priority']}, {key[:-3]}", r[key], TURN_MS_MAX, r[key] <= TURN_MS_MAX))
    for r in results.get("floods", {}).get("rows", []):
        if r["proxy"] == "weir":
            flooded, more_mb = r["flooded"], (r["flooded"]["private_kb"] - r["calm"]["private_kb"]) / 1024
            found.append((f"ms p99 of others in a flood of {r['kind']}", flooded["p99_ms"], FLOODED_P99_MS_MAX,
                          flooded["p99_ms"] <= FLOODED_P99_MS_MAX and flooded["errors"] == 0))
            found.append((f"MB that a flood of {r['kind']} adds", more_mb, FLOODED_MB_MAX, more_mb <= FLOODED_MB_MAX))
    if "distance" in results:
        g = results["distance"]["guide"]
        saved = 100 * (1 - g["with"]["connection_time_ms"] / g["without"]["connection_time_ms"])
        found.append(("% of connection set-up that pooling saves, at least", saved, GUIDE_SAVES_PERCENT,
                      saved >= GUIDE_SAVES_PERCENT))
    return found
