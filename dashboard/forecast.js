// What the coordinator expects: requests in flight over the whole cluster, what came in black on white beside what had been
// said, and what it advises.
import { Chart } from "./charts.js";
import { h, list, set, text } from "./dom.js";
import { clock, int, rate, span } from "./format.js";

const SLOTS_MAX = 240;

/** Columns for the chart: time, came, middle, upper edge. What had been said of the past stands in the past. */
export function columns(series, said) {
  const rows = new Map();
  const row = (at) => {
    if (!rows.has(at)) rows.set(at, [null, null, null]);
    return rows.get(at);
  };
  for (const [at, value] of series.past) row(at)[0] = value;
  for (const [at, { mid, high }] of said) row(at).splice(1, 2, mid, high);
  for (const [at, mid, high] of series.ahead) row(at).splice(1, 2, mid, high);
  const times = [...rows.keys()].sort((a, b) => a - b).slice(-SLOTS_MAX);
  return [times, ...[0, 1, 2].map((i) => times.map((at) => rows.get(at)[i]))];
}

const minute = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });

const ACTIONS = { scale_up: "Add nodes", scale_down: "Remove nodes", hold: "Leave it as it is" };

export class Forecast {
  constructor(element, note) {
    this.element = element;
    this.note = note;
    this.nothing = h("p", { class: "nothing" }, "No forecast yet.");
    element.append(this.nothing);
  }

  show({ overview: { hints }, came }) {
    const series = hints?.valid === false ? null : hints?.series?.in_flight;
    const there = Boolean(series && series.ahead.length > 0);
    this.nothing.hidden = there;
    if (this.chart) this.chart.root.hidden = !there;
    if (!there) {
      text(this.nothing, `No forecast yet.${hints?.reason ? ` ${hints.reason}` : " A coordinator makes one from the load of some minutes."}`);
      text(this.note, "");
      return;
    }
    const data = columns(series, came);
    this.now = series.past.at(-1)?.[0];
    this.chart ??= this.#make(data);
    this.chart.draw(data);
    text(this.note, `requests in flight, ${span(hints.window_s)} ahead in steps of ${span(series.step_s)}`);
  }

  #make(data) {
    return new Chart(this.element, {
      title: "In flight", data, height: 190, show: rate,
      clock: (_, splits) => splits.map((s) => minute.format(1000 * s)),
      when: (at) => clock(1000 * at),
      now: () => this.now,
      series: [
        { name: "came", class: "first", width: 2 },
        { name: "expected", class: "second" },
        { name: "in nine cases of ten below", class: "second", width: 1 },
      ],
      bands: (colors) => [{ series: [3, 2], fill: () => colors()[1].replace(/^rgb\((.*)\)$/, "rgba($1,0.18)") }],
    });
  }

  recolor() {
    this.chart?.recolor();
  }
}

function adviceOf(hints) {
  const c = hints.cluster;
  const rows = [
    ["Advice", `${ACTIONS[c.action] ?? c.action}${c.action === "hold" ? "" : `: ${c.nodes} → ${c.desired_nodes} nodes`}`],
    ["Why", c.reason],
    ["Now", `${rate(c.in_flight.now)} in flight, ${rate(c.requests_per_s.now)} requests a second`],
    ["At most", `${rate(c.in_flight.peak)} expected in ${span(c.in_flight.peak_in_s)}, below ${rate(c.in_flight.peak_high)} in nine cases of ten`],
    ["A node carries", c.safe_concurrency_per_node > 0 ? `${int(c.safe_concurrency_per_node)} at once` : "not known yet"],
  ];
  for (const p of hints.providers ?? []) rows.push([`Pool ${p.provider}`, `${int(p.pool_size)} connections${p.pool_size_now === undefined ? "" : ` (${int(p.pool_size_now)} now)`}`]);
  return rows;
}

export class Advice {
  constructor(element, note) {
    this.note = note;
    this.nothing = h("p", { class: "nothing" }, "No advice yet.");
    this.rows = h("dl", { class: "advice" });
    element.append(this.nothing, this.rows);
  }

  show({ overview: { hints } }) {
    const there = Boolean(hints?.cluster) && hints.valid !== false;
    this.nothing.hidden = there;
    const rows = there ? adviceOf(hints) : [];
    text(this.note, there ? `by ${hints.leader}, version ${hints.version}` : "");
    set(this.rows, { "data-action": there ? hints.cluster.action : null });
    list(this.rows, rows.flatMap(([name, value]) => [{ tag: "dt", name, value: name }, { tag: "dd", name, value }]),
      (r) => `${r.tag} ${r.name}`, (r) => h(r.tag), (element, r) => text(element, r.value ?? "–"));
  }
}
