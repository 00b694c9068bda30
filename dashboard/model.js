// What there is to show, made of what the node answered. It remembers: the charts' last five minutes, the pools of each
// node that has answered (behind a load balancer it is now this one, now that one), and what letter a node goes by.
import { add, Lately, quantile } from "./histogram.js";
import { readHints, Said } from "./hints.js";
import { Ring } from "./ring.js";

const HEARD_MS = 15000; // a node whose pools have not been heard of for so long is left out of the sums
const GONE_MS = 30000; // so long a node that has left the list is still shown
const SILENT_MS = 2500; // between two beats of a node that is well there is a second
const byName = new Intl.Collator("en", { numeric: true }).compare; // node-2 before node-10
const LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/** A letter for each node, the same as long as it is there. */
class Names {
    #index = new Map();

    keep(ids) {
        for (const id of this.#index.keys()) if (!ids.includes(id)) this.#index.delete(id);
        const taken = new Set(this.#index.values());
        for (const id of [...ids].sort(byName)) {
            if (this.#index.has(id)) continue;
            let i = 0;
            while (taken.has(i)) i++;
            taken.add(i);
            this.#index.set(id, i);
        }
    }

    of(id) {
        const i = this.#index.get(id);
        return i === undefined ? { letter: "?", color: null } : { letter: LETTERS[i] ?? "*", color: i % 8 };
    }
}

/** One node's pools, and what of its counters is recent. */
class Source {
    providers = new Map();

    take(pools, nowMs) {
        const before = this.pools;
        this.pools = pools;
        this.heardMs = nowMs;
        const seconds = before ? (pools.timestamp_ms - before.timestamp_ms) / 1000 : 0;
        if (seconds > 0) {
            const answers = (r) => r["2xx"] + r["3xx"] + r["4xx"] + r["5xx"] + r.none;
            const per = (now, then) => (now >= then ? (now - then) / seconds : 0); // it began anew
            this.rate = per(answers(pools.requests), answers(before.requests));
            this.failing = per(pools.requests["5xx"], before.requests["5xx"]);
        }
        const names = new Set(pools.providers.map((p) => p.name));
        for (const name of this.providers.keys()) if (!names.has(name)) this.providers.delete(name);
        for (const p of pools.providers) {
            if (!this.providers.has(p.name)) this.providers.set(p.name, { request: new Lately(), first_byte: new Lately() });
            const recent = this.providers.get(p.name);
            recent.request.take(p.request, nowMs);
            recent.first_byte.take(p.first_byte, nowMs);
        }
    }
}

const SUMMED = [
    "active",
    "idle",
    "opening",
    "pending",
    "max",
    "created",
    "closed",
    "errors",
    "timeouts",
    "tries",
    "failed",
    "reused",
    "leases",
];
const HEALTH = ["unhealthy", "degraded", "healthy"];
const worse = (a, b) => (a === undefined || HEALTH.indexOf(b) < HEALTH.indexOf(a) ? b : a);

export class Model {
    names = new Names();
    sources = new Map();
    gone = new Map();
    load = new Ring(3); // requests/s, errors/s, in flight
    times = new Ring(4); // first byte p50, p99, whole request p50, p99
    connections = new Ring(3); // active, idle, waiting
    said = new Said();

    take(overview, nowMs) {
        this.overview = overview;
        this.nowMs = nowMs;
        this.#takePools(overview.pools, nowMs);
        this.nodes = this.#nodes(overview.nodes.nodes, nowMs);
        this.names.keep(this.nodes.map((n) => n.id));
        this.totals = this.#totals();
        this.providers = this.#providers();
        this.latency = this.#latency();
        this.hints = readHints(overview.hints);
        if (this.hints.series) this.said.take(this.hints.series);
        const { requests, errors, inFlight, active, idle, pending } = this.totals;
        this.load.put(nowMs, [requests, errors, inFlight]);
        this.times.put(
            nowMs,
            ["first_byte", "request"].flatMap((k) => [this.latency[k].p50, this.latency[k].p99]),
        );
        this.connections.put(nowMs, [active, idle, pending]);
    }

    /** Time goes on, and nothing is known of it. */
    move(nowMs) {
        for (const ring of [this.load, this.times, this.connections]) ring.move(nowMs);
    }

    /** What it keeps, as a number that must not grow. */
    get kept() {
        const rings = this.load.cells + this.times.cells + this.connections.cells;
        return { cells: rings, sources: this.sources.size, gone: this.gone.size, said: this.said.size };
    }

    #takePools(pools, nowMs) {
        if (!this.sources.has(pools.node)) this.sources.set(pools.node, new Source());
        this.sources.get(pools.node).take(pools, nowMs);
        for (const [id, source] of this.sources) if (nowMs - source.heardMs > HEARD_MS) this.sources.delete(id);
    }

    #nodes(nodes, nowMs) {
        const here = new Set(nodes.map((n) => n.id));
        for (const n of this.nodes ?? [])
            if (!here.has(n.id) && !this.gone.has(n.id)) this.gone.set(n.id, { ...n, goneMs: nowMs });
        for (const [id, n] of this.gone) if (here.has(id) || nowMs - n.goneMs > GONE_MS) this.gone.delete(id);
        // The load of a node that is lost is what it said last, and no longer true.
        const all = nodes.map((n) => ({ ...n, shown: stateOf(n), load: n.alive ? n.load : undefined }));
        for (const n of this.gone.values()) all.push({ ...n, shown: "gone", load: undefined, shards: 0, alive: false });
        return all.sort((a, b) => byName(a.id, b.id));
    }

    #totals() {
        const sources = [...this.sources.values()];
        const sum = (list, of) => list.reduce((total, item) => total + (of(item) ?? 0), 0);
        const alive = this.nodes.filter((n) => n.alive && n.load);
        const providers = sources.flatMap((s) => s.pools.providers);
        const own = alive.length === 0; // in no cluster
        return {
            requests: own ? sum(sources, (s) => s.rate) : sum(alive, (n) => n.load.requests_per_second),
            errors: own ? sum(sources, (s) => s.failing) : sum(alive, (n) => n.load.errors_per_second),
            inFlight: own ? sum(sources, (s) => s.pools.requests.active) : sum(alive, (n) => n.load.in_flight),
            active: sum(providers, (p) => p.active),
            idle: sum(providers, (p) => p.idle),
            pending: sum(providers, (p) => p.pending),
            alive: this.nodes.filter((n) => n.alive).length,
            nodes: this.nodes.filter((n) => n.shown !== "gone").length,
        };
    }

    /** Each provider over all nodes that have been heard of. */
    #providers() {
        const all = new Map();
        for (const source of this.sources.values()) {
            for (const p of source.pools.providers) {
                if (!all.has(p.name))
                    all.set(p.name, {
                        name: p.name,
                        endpoints: new Map(),
                        first_byte: [],
                        ...Object.fromEntries(SUMMED.map((k) => [k, 0])),
                    });
                const sum = all.get(p.name);
                for (const key of SUMMED) sum[key] += p[key];
                sum.health = worse(sum.health, p.status);
                add(sum.first_byte, source.providers.get(p.name).first_byte.recent);
                for (const e of p.endpoints) {
                    const known = sum.endpoints.get(e.id) ?? { id: e.id, active: 0, idle: 0, in_flight: 0 };
                    for (const key of ["active", "idle", "in_flight"]) known[key] += e[key];
                    known.health = worse(known.health, e.status);
                    sum.endpoints.set(e.id, known);
                }
            }
        }
        const bounds = this.overview.pools.bounds_ms;
        return [...all.values()].map((p) => ({
            ...p,
            endpoints: [...p.endpoints.values()],
            utilization: p.max > 0 ? (100 * p.active) / p.max : 0,
            p50: quantile(p.first_byte, bounds, 0.5),
            p99: quantile(p.first_byte, bounds, 0.99),
        }));
    }

    #latency() {
        const bounds = this.overview.pools.bounds_ms;
        const of = (key) => {
            const sum = [];
            for (const source of this.sources.values()) for (const p of source.providers.values()) add(sum, p[key].recent);
            return { p50: quantile(sum, bounds, 0.5), p99: quantile(sum, bounds, 0.99) };
        };
        return { first_byte: of("first_byte"), request: of("request") };
    }
}

/** One word for what a node is. */
export function stateOf(n) {
    if (!n.alive) return "lost";
    if (n.suspect) return "unreachable";
    if (n.age_ms > SILENT_MS) return "silent";
    return n.state;
}
