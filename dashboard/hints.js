// The coordinator's hints as the page needs them. A node checks what it acts upon; what is only shown has come through
// the store unread, and anything may be missing in it or be of another kind.

const POINTS_MAX = 120;

const number = (value) => (typeof value === "number" && Number.isFinite(value) ? value : undefined);
const text = (value) => (typeof value === "string" ? value : "");
const object = (value) => (value !== null && typeof value === "object" ? value : {});

/** Rows of so many numbers, the first of which is a time that grows. */
function points(value, width) {
    const rows = [];
    for (const row of Array.isArray(value) ? value : []) {
        if (rows.length === POINTS_MAX) break;
        if (!Array.isArray(row) || row.length < width || !row.slice(0, width).every((v) => number(v) !== undefined)) continue;
        if (rows.length === 0 || row[0] > rows.at(-1)[0]) rows.push(row.slice(0, width));
    }
    return rows;
}

function measure(value) {
    const m = object(value);
    return { now: number(m.now), peak: number(m.peak), high: number(m.peak_high), inS: number(m.peak_in_s) };
}

/** { why } when there are none that are valid. */
export function readHints(raw) {
    const hints = object(raw);
    if (hints.valid !== true) return { why: text(hints.reason) };
    const cluster = object(hints.cluster);
    const inFlight = object(object(hints.series).in_flight);
    const series = { stepS: number(inFlight.step_s), past: points(inFlight.past, 2), ahead: points(inFlight.ahead, 3) };
    return {
        leader: text(hints.leader),
        version: number(hints.version),
        windowS: number(hints.window_s),
        action: text(cluster.action),
        nodes: number(cluster.nodes),
        desired: number(cluster.desired_nodes),
        reason: text(cluster.reason),
        safe: number(cluster.safe_concurrency_per_node),
        inFlight: measure(cluster.in_flight),
        requests: measure(cluster.requests_per_s),
        pools: (Array.isArray(hints.providers) ? hints.providers.slice(0, 64) : [])
            .map(object)
            .map((p) => ({ provider: text(p.provider), size: number(p.pool_size), now: number(p.pool_size_now) })),
        series: series.ahead.length > 0 ? series : null,
    };
}

/** What was said of a time before that came: unix s -> { mid, high }; the first word counts, to be held against what came. */
export class Said {
    #at = new Map();

    take(series) {
        const first = series.past[0]?.[0] ?? series.ahead[0][0];
        // Each publication begins a step later: of those times, the ones that fall on one grid are kept.
        const apart = series.ahead.length > 1 ? series.ahead[1][0] - series.ahead[0][0] : (series.stepS ?? 1);
        for (const [at, mid, high] of series.ahead) if (at % apart === 0 && !this.#at.has(at)) this.#at.set(at, { mid, high });
        const last = series.ahead.at(-1)[0];
        for (const at of this.#at.keys()) if (at < first || at > last) this.#at.delete(at);
    }

    get(at) {
        return this.#at.get(at);
    }

    get size() {
        return this.#at.size;
    }

    /** Columns for a chart: time, what came, middle, upper edge; beyond now what is said today, before it what had been. */
    columns(series) {
        const rows = new Map();
        const row = (at) => {
            if (!rows.has(at)) rows.set(at, [null, null, null]);
            return rows.get(at);
        };
        const now = series.past.at(-1)?.[0] ?? -Infinity;
        for (const [at, value] of series.past) row(at)[0] = value;
        for (const [at, { mid, high }] of this.#at) if (at <= now) row(at).splice(1, 2, mid, high);
        for (const [at, mid, high] of series.ahead) row(at).splice(1, 2, mid, high);
        const times = [...rows.keys()].sort((a, b) => a - b);
        return [times, ...[0, 1, 2].map((i) => times.map((at) => rows.get(at)[i]))];
    }
}
