// What happened and what is wrong: the cluster's events, newest first, and the alerts.
import { h, list, set, text } from "./dom.js";
import { clock, host, int, rate, span } from "./format.js";

const EVENTS_MAX = 100;
const MARKS = { good: "●", warn: "▲", bad: "✕", plain: "·" };

const EVENTS = {
    node_joined: ["good", (e) => ["joined", e.node]],
    node_back: ["good", (e) => ["is back", e.node]],
    node_drains: ["warn", (e) => ["begins to leave", e.node]],
    node_stays: ["good", (e) => ["stays", e.node]],
    drain_asked: ["warn", (e) => ["is to be emptied", e.node]],
    undrain_asked: ["good", (e) => ["is to take part again", e.node]],
    node_left: ["plain", (e) => ["has left", e.node]],
    node_lost: ["bad", (e) => ["is lost", e.node]],
    map_published: ["plain", (e) => [`published a shard map, epoch ${e.epoch}: ${e.moves ?? 0} moved`, e.by]],
    rebalance_asked: ["plain", (e) => ["was told to have shards moved", e.by]],
    rebalanced: ["plain", (e) => [`has looked for shards to move: ${e.moves ?? 0} moved`, e.by]],
    coordinator_leads: ["plain", (e) => ["leads now", e.by]],
    coordinator_follows: ["plain", (e) => ["leads no more", e.by]],
    circuit_opened: ["bad", (e) => ["circuit opened", host(e.endpoint ?? "")]],
    circuit_half_open: ["warn", (e) => ["circuit half open: being tried", host(e.endpoint ?? "")]],
    circuit_closed: ["good", (e) => ["circuit closed", host(e.endpoint ?? "")]],
    hint_action: ["plain", (e) => [`advises ${e.desired_nodes} nodes, there are ${e.nodes}`, "the coordinator"]],
    circuit_cooling: ["warn", (e) => ["asked to be left alone", host(e.endpoint ?? "")]],
};

/** { state, who, what, more } */
export function sentence(e) {
    const [state, say] = EVENTS[e.event] ?? ["plain", () => [String(e.event).replaceAll("_", " "), e.node ?? e.by ?? ""]];
    const [what, who] = say(e);
    const by = e.by && e.by !== who ? `told by ${e.by}` : e.node && e.node !== who ? `told by ${e.node}` : "";
    return { state, who: who ?? "", what, more: [e.reason?.replaceAll("_", " "), by].filter(Boolean).join(", ") };
}

export class Events {
    constructor(element, note) {
        this.element = element;
        this.note = note;
        this.events = [];
        // What had happened before somebody came is there to be read, not to be read out.
        setTimeout(() => set(element, { "aria-live": "polite" }), 2000);
        this.show();
    }

    add(event) {
        const key = event.key || `${event.unix_ms} ${event.event}`;
        if (this.events.some((e) => e.key === key)) return;
        this.events.unshift({ ...event, key });
        this.events.sort((a, b) => b.unix_ms - a.unix_ms);
        this.events.length = Math.min(this.events.length, EVENTS_MAX);
        this.show();
    }

    show() {
        text(this.note, this.events.length > 0 ? "newest first" : "none yet");
        list(
            this.element,
            this.events,
            (e) => e.key,
            (e) => {
                const s = sentence(e);
                return h(
                    "li",
                    { "data-state": s.state, "data-event": e.event },
                    h("i", { "aria-hidden": "true" }, MARKS[s.state]),
                    h("span", { class: "what" }, h("b", {}, s.who), ` ${s.what}`, ...(s.more ? [h("small", {}, s.more)] : [])),
                    h("time", { datetime: new Date(e.unix_ms).toISOString() }, clock(e.unix_ms)),
                );
            },
            () => {},
        );
    }
}

const SEVERITIES = { critical: "bad", warning: "warn", info: "plain" };
const ORDER = { firing: 0, pending: 1 };

function valuesOf(alert) {
    return Object.entries(alert.values ?? {})
        .map(([name, value]) => `${name} = ${value === null ? "unknown" : Number.isInteger(value) ? int(value) : rate(value)}`)
        .join(", ");
}

export class Alerts {
    constructor(element, note) {
        this.element = element;
        this.note = note;
        this.nothing = h("p", { class: "nothing" }, "Nothing to tell.");
        element.before(this.nothing);
    }

    show({ overview: { alerts }, nowMs }) {
        const there = alerts.alerts.filter((a) => a.state in ORDER).sort((a, b) => ORDER[a.state] - ORDER[b.state]);
        const rules = new Set(alerts.alerts.map((a) => a.name)).size;
        this.element.hidden = there.length === 0;
        this.nothing.hidden = there.length > 0;
        text(
            this.note,
            rules === 0 ? "no rule is configured" : there.length > 0 ? `${alerts.firing} firing` : `none of ${rules} fires`,
        );
        list(
            this.element,
            there,
            (a) => `${a.name} ${a.provider} ${a.condition}`,
            () =>
                h(
                    "li",
                    {},
                    h("i", { "aria-hidden": "true" }),
                    h("span", { class: "what" }, h("b"), h("span"), h("small")),
                    h("span", { class: "when" }),
                ),
            (item, a) => {
                const state = a.state === "firing" ? SEVERITIES[a.severity] : "plain";
                set(item, { "data-state": state, "data-alert": a.name });
                text(item.children[0], MARKS[state]);
                const [name, said, more] = item.children[1].children;
                text(name, a.name);
                text(said, ` ${[a.provider && `(${a.provider})`, a.message !== a.name && a.message].filter(Boolean).join(" ")}`);
                text(
                    more,
                    `${a.severity}, ${a.state === "firing" ? "fires" : "is about to fire"}: ${a.condition}; ${valuesOf(a)}`,
                );
                const since = Date.parse(a.fired_at ?? a.since);
                text(item.children[2], Number.isFinite(since) ? span(Math.max(0, (nowMs - since) / 1000)) : "");
            },
        );
    }
}
