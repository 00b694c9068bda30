// What the coordinator expects: requests in flight over the whole cluster, what came beside what had been said of it; and
// what it advises.
import { Chart } from "./charts.js";
import { h, list, set, text } from "./dom.js";
import { clock, count, int, minute, rate, span } from "./format.js";

export class Forecast {
    constructor(element, note) {
        this.element = element;
        this.note = note;
        this.nothing = h("p", { class: "nothing" }, "No forecast yet.");
        element.append(this.nothing);
    }

    show({ hints, said }) {
        const { series } = hints;
        this.nothing.hidden = Boolean(series);
        if (this.chart) this.chart.root.hidden = !series;
        if (!series) {
            text(
                this.nothing,
                `No forecast yet${hints.why ? `: ${hints.why}.` : ". A coordinator makes one from the load of some minutes."}`,
            );
            text(this.note, "");
            return;
        }
        const data = said.columns(series);
        this.now = series.past.at(-1)?.[0];
        this.chart ??= this.#make(data);
        this.chart.draw(data);
        text(this.note, `requests in flight, ${span(hints.windowS)} ahead in steps of ${span(series.stepS)}`);
    }

    #make(data) {
        return new Chart(this.element, {
            title: "In flight",
            data,
            height: 190,
            show: rate,
            bridged: true,
            clock: (_, splits) => splits.map((s) => minute(1000 * s)),
            when: (at) => clock(1000 * at),
            now: () => this.now,
            series: [
                { name: "came", class: "first", width: 2 },
                { name: "expected", class: "second" },
                { name: "9 times of 10 not above", class: "second", width: 1 },
            ],
            bands: (colors) => [{ series: [3, 2], fill: () => colors()[1].replace(/^rgb\((.*)\)$/, "rgba($1,0.18)") }],
        });
    }

    recolor() {
        this.chart?.recolor();
    }
}

/** What to do, in one sentence. */
function todo({ action, nodes, desired }) {
    const change = `${int(nodes)} → ${int(desired)} nodes`;
    if (action === "hold") return "Nothing: as many nodes as there are will do.";
    if (action === "scale_up") return `Start ${count(desired - nodes, "node")} (${change}).`;
    if (action === "scale_down") return `Drain and stop ${count(nodes - desired, "node")} (${change}): weirctl drain NODE.`;
    return `${action} (${change})`;
}

function peakOf({ peak, high, inS }) {
    if (!(high > 0)) return "none to speak of";
    return `${rate(peak)} requests in flight in ${span(inS)}; 9 times of 10 it is not above ${rate(high)}`;
}

function adviceOf(hints) {
    const { inFlight, requests } = hints;
    return [
        ["To do", todo(hints)],
        ["Why", hints.reason],
        ["Load now", `${rate(inFlight.now)} requests in flight, ${rate(requests.now)} a second`],
        ["Expected peak", peakOf(inFlight)],
        ["A node can take", hints.safe > 0 ? `${int(hints.safe)} requests at once` : "not known yet: it shows under load"],
        ...hints.pools
            .filter((p) => p.size > 0)
            .map((p) => [
                p.provider,
                `will need ${int(p.size)} connections${p.now === undefined ? "" : `, needs ${int(p.now)} now`}; ` +
                    "nodes raise their limits by themselves",
            ]),
    ].filter(([, said]) => said !== "");
}

export class Advice {
    constructor(element, note) {
        this.note = note;
        this.nothing = h("p", { class: "nothing" }, "No advice yet.");
        this.rows = h("dl", { class: "advice" });
        element.append(this.nothing, this.rows);
    }

    show({ hints }) {
        const there = hints.action !== undefined;
        this.nothing.hidden = there;
        text(this.note, there ? `by ${hints.leader || "a coordinator"}, version ${int(hints.version)}` : "");
        set(this.rows, { "data-action": hints.action });
        const rows = there ? adviceOf(hints) : [];
        list(
            this.rows,
            rows.flatMap(([name, said]) => [
                { tag: "dt", name, said: name },
                { tag: "dd", name, said },
            ]),
            (r) => `${r.tag} ${r.name}`,
            (r) => h(r.tag),
            (element, r) => text(element, r.said),
        );
    }
}
