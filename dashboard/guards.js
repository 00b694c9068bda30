// What keeps load away: circuits, and rate limits.
import { Table } from "./dom.js";
import { host, int, span } from "./format.js";

const PHASES = {
    closed: { mark: "●", state: "good" },
    half_open: { mark: "◑", state: "warn" },
    open: { mark: "✕", state: "bad" },
};

function next(b) {
    if (b.state === "open") return b.retry_in_seconds > 0 ? `a probe in ${span(b.retry_in_seconds)}` : "a probe is due";
    if (b.cooldown_seconds > 0) return `left alone for ${span(b.cooldown_seconds)}`;
    return b.state === "half_open" ? "being tried" : "–";
}

export class Circuits {
    constructor(element) {
        this.table = new Table(
            element,
            "The circuit of each endpoint",
            [
                { head: "Endpoint", cell: (b) => ({ text: host(b.endpoint), title: b.endpoint }) },
                { head: "Provider", cell: (b) => ({ text: b.provider, title: b.provider }) },
                { head: "State", cell: (b) => ({ text: b.state.replace("_", " "), ...(PHASES[b.state] ?? PHASES.half_open) }) },
                { head: "Since", class: "n", cell: (b) => span(b.state_seconds) },
                { head: "Failures", class: "n", title: "In a row", cell: (b) => int(b.failures_in_a_row) },
                { head: "Next", cell: next },
                {
                    head: "Of",
                    class: "lesser",
                    title: "One circuit for all nodes, or this node's own",
                    cell: (b) => (b.shared ? "all nodes" : "this node"),
                },
            ],
            "Circuit breakers are off.",
        );
    }

    show({ overview }) {
        this.table.show(
            overview.breakers.breakers,
            (b) => `${b.provider} ${b.endpoint}`,
            (b) => ({ "data-circuit": b.state }),
        );
    }
}

const MODES = {
    leased: { mark: "●", state: "good", text: "shared" },
    local: { mark: "●", state: "good", text: "this node's" },
    degraded: { mark: "▲", state: "warn", text: "degraded", title: "the store is away: each node takes a stated share" },
    closed: { mark: "✕", state: "bad", text: "closed", title: "the store is away, and fail: closed" },
};

export class Limits {
    constructor(element) {
        this.table = new Table(
            element,
            "The rate limit of each provider",
            [
                { head: "Provider", cell: (l) => ({ text: l.provider, title: l.provider }) },
                { head: "State", cell: (l) => MODES[l.mode] ?? { text: l.mode } },
                {
                    head: "Left",
                    class: "grow",
                    title: "Of what may go out at once",
                    cell: (l) => {
                        const known = l.remaining !== null && l.remaining !== undefined;
                        const share = known && l.burst > 0 ? l.remaining / l.burst : 0;
                        const level = l.waiting > 0 ? "warn" : "fill"; // little left is no trouble until somebody waits for it
                        return {
                            text: known ? int(l.remaining) : "–",
                            bar: known && l.burst > 0 ? [{ share, class: level }] : [],
                        };
                    },
                },
                { head: "A minute", class: "n", cell: (l) => int(l.requests_per_minute) },
                { head: "Burst", class: "n", cell: (l) => (l.burst === undefined ? "–" : int(l.burst)) },
                { head: "Waiting", class: "n", cell: (l) => ({ text: int(l.waiting), state: l.waiting > 0 ? "warn" : null }) },
            ],
            "No provider has a rate limit.",
        );
    }

    show({ overview }) {
        this.table.show(overview.limits.limits, (l) => l.provider);
    }
}
