// The pools, provider by provider, and below each its endpoints where there are several.
import { Table, text } from "./dom.js";
import { host, int, ms, percent, rate } from "./format.js";
import { levelOf } from "./glance.js";

const HEALTH = {
    healthy: { mark: "●", state: "good" },
    degraded: { mark: "▲", state: "warn" },
    unhealthy: { mark: "✕", state: "bad" },
};
const WORDS = { good: "", warn: " high", bad: " full" };

function use(p) {
    if (p.parent) return "";
    const level = levelOf(p.utilization);
    return {
        text: `${percent(p.utilization)}${WORDS[level]}`,
        state: level === "good" ? null : level,
        bar: [
            { share: p.active / p.max, class: level },
            { share: Math.min(p.idle, p.max - p.active) / p.max, class: "idle" },
        ],
    };
}

const whole = (of) => (p) => (p.parent ? "" : of(p));

export class Pools {
    constructor(element, note) {
        this.note = note;
        this.table = new Table(
            element,
            "Connection pools by provider",
            [
                { head: "Provider", cell: (p) => ({ text: p.parent ? host(p.id) : p.name, title: p.parent ? p.id : p.name }) },
                { head: "Health", cell: (p) => ({ text: p.health, ...HEALTH[p.health] }) },
                { head: "Use", class: "grow", title: "Active connections of the limit; the grey part is idle", cell: use },
                { head: "Active", class: "n", cell: (p) => int(p.active) },
                { head: "Idle", class: "n", cell: (p) => int(p.idle) },
                { head: "Limit", class: "n", cell: whole((p) => int(p.max)) },
                {
                    head: "Queue",
                    class: "n",
                    title: "Requests that wait for a connection",
                    cell: whole((p) => ({
                        text: int(p.pending),
                        state: p.pending >= 50 ? "bad" : p.pending >= 10 ? "warn" : null,
                    })),
                },
                {
                    head: "First byte",
                    class: "n",
                    title: "Median and 99th percentile of the last seconds",
                    cell: whole((p) => (p.p50 === null ? "–" : `${ms(p.p50)} / ${ms(p.p99)}`)),
                },
                {
                    head: "Reuse",
                    class: "n lesser",
                    title: "Connections that had served a request before, of those given out",
                    cell: whole((p) => percent(p.leases > 0 ? (100 * p.reused) / p.leases : NaN)),
                },
                { head: "Opened", class: "n lesser", cell: whole((p) => int(p.created)) },
                {
                    head: "Failed",
                    class: "n lesser",
                    title: "Tries that failed, of all",
                    cell: whole((p) => percent(p.tries > 0 ? (100 * p.failed) / p.tries : 0)),
                },
                {
                    head: "Timeouts",
                    class: "n lesser",
                    title: "Connects that took too long",
                    cell: whole((p) => rate(p.timeouts)),
                },
            ],
            "No provider is configured.",
        );
    }

    show({ providers, sources }) {
        const heard = [...sources.keys()].sort();
        text(this.note, heard.length === 1 ? `of ${heard[0]}` : `of ${heard.join(", ")}, added up`);
        const rows = providers.flatMap((p) => [
            p,
            ...(p.endpoints.length > 1 ? p.endpoints.map((e) => ({ ...e, parent: p.name })) : []),
        ]);
        this.table.show(
            rows,
            (p) => (p.parent ? `${p.parent} ${p.id}` : p.name),
            (p) => ({ class: p.parent ? "part" : null, "data-pool": p.parent ? null : p.name }),
        );
    }
}
