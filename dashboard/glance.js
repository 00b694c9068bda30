// The row of figures at the top: what somebody who comes by wants to know first.
import { h, list, set, text } from "./dom.js";
import { count, int, ms, percent, rate } from "./format.js";

/** The guide's colours of a pool's use, as states. */
export const levelOf = (percentUsed) => (percentUsed > 85 ? "bad" : percentUsed >= 70 ? "warn" : "good");

function figures(m) {
    const { totals, latency, providers, overview } = m;
    const fullest = providers.reduce((most, p) => (p.utilization > (most?.utilization ?? -1) ? p : most), null);
    const open = overview.breakers.breakers.filter((b) => b.state !== "closed");
    const { firing, alerts } = overview.alerts;
    const critical = alerts.some((a) => a.state === "firing" && a.severity === "critical");
    const share = totals.requests > 0 ? (100 * totals.errors) / totals.requests : 0;
    const away = totals.nodes - totals.alive;
    const unheard = m.nodes.filter((n) => n.shown === "silent" || n.shown === "unreachable").length;
    return [
        {
            name: "Nodes",
            value: totals.nodes === totals.alive ? int(totals.alive) : `${totals.alive} of ${totals.nodes}`,
            note: away > 0 ? `${count(away, "node")} lost` : unheard > 0 ? `${int(unheard)} not heard of` : "all alive",
            state: away > 0 ? "bad" : unheard > 0 ? "warn" : null,
        },
        { name: "Requests a second", value: rate(totals.requests), note: `${rate(totals.errors)} a second fail`, state: null },
        {
            name: "In flight",
            value: int(totals.inFlight),
            note: `${int(totals.pending)} waiting`,
            state: totals.pending > 50 ? "bad" : totals.pending >= 10 ? "warn" : null,
        },
        {
            name: "Errors",
            value: percent(share),
            note: "of the requests now",
            state: share > 5 ? "bad" : share > 2 ? "warn" : null,
        },
        { name: "First byte", value: ms(latency.first_byte.p50), note: `p99 ${ms(latency.first_byte.p99)}`, state: null },
        {
            name: "Fullest pool",
            value: percent(fullest?.utilization),
            note: fullest?.name ?? "no provider",
            state: fullest && fullest.utilization >= 70 ? levelOf(fullest.utilization) : null,
        },
        {
            name: "Circuits open",
            value: int(open.length),
            note: `of ${count(overview.breakers.breakers.length, "endpoint")}`,
            state: open.length > 0 ? "bad" : null,
        },
        {
            name: "Alerts firing",
            value: int(firing),
            note: firing > 0 ? "see below" : "none",
            state: critical ? "bad" : firing > 0 ? "warn" : null,
        },
    ];
}

export function showGlance(element, m) {
    list(
        element,
        figures(m),
        (f) => f.name,
        (f) => h("div", {}, h("dt", {}, f.name), h("dd"), h("dd")),
        (box, f) => {
            set(box, { "data-state": f.state });
            text(box.children[1], f.value);
            text(box.children[2], f.note);
        },
    );
}
