// Charts over time, drawn by uPlot. Above each stands what its lines are and their value now, or where the pointer is;
// lines differ by dashes, too, so that nobody needs the colours.
import uPlot from "uplot";
import { h, set, text } from "./dom.js";

const HEIGHT = 132;
const COUNTS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000, 50000, 100000]; // no half ones
const DASHES = [[], [5, 4], [2, 3]];
const FONT = "11px Inter, ui-sans-serif, system-ui, sans-serif";

const colorOf = (element) => getComputedStyle(element).color;

/** A light veil of a colour, for the area below a line. */
function veil(color, alpha) {
    const parts = color.match(/[\d.]+/g) ?? ["0", "0", "0"];
    return `rgba(${parts.slice(0, 3).join(",")},${alpha})`;
}

// Seconds between the marks of an axis that shows the time of day.
const STEPS = [60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400];

function axes(root, { show, counts }, xValues, xSplits) {
    const common = { font: FONT, stroke: () => colorOf(root.querySelector(".axis-ink")), ticks: { show: false }, gap: 4 };
    const short = (v) => (v === null ? "" : show(v).replace(/\.0(?!\d)/, "")); // marks are mostly whole numbers
    const lines = { width: 1, stroke: () => colorOf(root.querySelector(".grid-ink")) };
    return [
        {
            ...common,
            size: 20,
            space: 56,
            grid: { show: false },
            values: xValues,
            ...(xSplits ? { splits: xSplits } : { incrs: STEPS }),
        },
        {
            ...common,
            size: 50,
            space: 28,
            grid: lines,
            values: (_, splits) => splits.map(short),
            ...(counts ? { incrs: COUNTS } : {}),
        },
    ];
}

/** Minutes before now, whole ones. */
function minutes(u) {
    const { max } = u.scales.x;
    return [5, 4, 3, 2, 1, 0].map((m) => max - 60 * m);
}

export class Chart {
    /**
     * options: { title, series: [{ name, class, fill, width }], data, show(value) -> text, when(time, times) -> text, and for
     * those that do not end now: clock(u, splits) -> texts, bands(colors), height, now() -> the time to mark,
     * counts: there are whole numbers only, bridged: its lines go on over times at which they have no point }
     */
    constructor(parent, options) {
        this.options = options;
        this.values = options.series.map((s) => h("b", {}));
        const legend = options.series.map((s, i) =>
            h("li", {}, h("i", { class: `key ${s.class}`, "data-dash": i, "aria-hidden": "true" }), s.name, " ", this.values[i]),
        );
        this.moment = h("span", { class: "moment" });
        this.plot = h("div", { class: "plot", role: "img" }, h("i", { class: "axis-ink" }), h("i", { class: "grid-ink" }));
        this.root = h(
            "figure",
            { class: "chart" },
            h("figcaption", {}, h("h3", {}, options.title), this.moment, h("ul", { class: "legend" }, ...legend)),
            this.plot,
        );
        parent.append(this.root);
        this.u = new uPlot(this.#shape(), options.data, this.plot);
        new ResizeObserver(() => this.#fit()).observe(this.plot);
    }

    #shape() {
        const { series, clock, bands, bridged = false } = this.options;
        const colors = () => [...this.root.querySelectorAll(".key")].map(colorOf);
        return {
            width: Math.max(120, this.plot.clientWidth),
            height: this.options.height ?? HEIGHT,
            padding: [8, 14, 0, 0],
            legend: { show: false },
            select: { show: false },
            bands: bands?.(colors),
            cursor: { y: false, drag: { x: false, y: false }, points: { size: 6 }, focus: { prox: -1 } },
            scales: { x: { time: false }, y: { range: (_, low, high) => [0, !(high > 0) ? 1 : high * 1.12] } },
            axes: axes(
                this.root,
                this.options,
                clock ??
                    ((u, splits) =>
                        splits.map((s) =>
                            s === u.scales.x.max ? "now" : `\u2212${Math.round((u.scales.x.max - s) / 60)}\u202fmin`,
                        )),
                clock ? null : minutes,
            ),
            series: [
                {},
                ...series.map((s, i) => ({
                    label: s.name,
                    width: s.width ?? 1.5,
                    spanGaps: bridged,
                    points: { show: false },
                    dash: s.dash ?? DASHES[i] ?? [],
                    stroke: () => colors()[i],
                    fill: s.fill ? () => veil(colors()[i], 0.12) : undefined,
                })),
            ],
            hooks: { setCursor: [(u) => this.#read(u.cursor.idx)], drawAxes: [(u) => this.#mark(u)] },
        };
    }

    /** A line where the past ends. */
    #mark(u) {
        const now = this.options.now?.();
        if (now === undefined) return;
        const x = Math.round(u.valToPos(now, "x", true));
        u.ctx.save();
        u.ctx.strokeStyle = colorOf(this.root.querySelector(".axis-ink"));
        u.ctx.globalAlpha = 0.5;
        u.ctx.beginPath();
        u.ctx.moveTo(x, u.bbox.top);
        u.ctx.lineTo(x, u.bbox.top + u.bbox.height);
        u.ctx.stroke();
        u.ctx.restore();
    }

    #fit() {
        const width = this.plot.clientWidth;
        if (width > 0 && width !== this.u.width) this.u.setSize({ width, height: this.u.height });
    }

    draw(data) {
        this.u.setData(data);
        this.#read(this.u.cursor.left >= 0 ? this.u.cursor.idx : null);
        const words = this.options.series.map((s, i) => `${s.name} ${this.values[i].textContent}`).join(", ");
        set(this.plot, { "aria-label": `${this.options.title}: ${words}` });
    }

    recolor() {
        this.u.redraw(false, true);
    }

    #read(index) {
        const [times, ...columns] = this.u.data;
        const pointed = index !== null && index !== undefined;
        columns.slice(0, this.values.length).forEach((column, i) => {
            const value = pointed ? column[index] : column[column.findLastIndex((v) => v !== null)];
            text(this.values[i], value === null || value === undefined ? "–" : this.options.show(value));
        });
        text(this.moment, pointed ? this.options.when(times[index], times) : "");
    }
}
