// The page: what is heard goes into the model, and the model onto the page.
import { Chart } from "./charts.js";
import { byId, h, list, set, text } from "./dom.js";
import { Feed } from "./feed.js";
import { Advice, Forecast } from "./forecast.js";
import { bytes, clock, count, int, ms, rate, span } from "./format.js";
import { showGlance } from "./glance.js";
import { Circuits, Limits } from "./guards.js";
import { Model } from "./model.js";
import { Alerts, Events } from "./news.js";
import { Nodes } from "./nodes.js";
import { Pools } from "./pools.js";
import { Shards } from "./shards.js";
import { startTheme } from "./theme.js";

const model = new Model();
const ago = (at, times) => `${span(times[times.length - 1] - at)} ago`;

function chart(title, ring, columns, series, show, counts = false) {
    const data = () => [ring.times, ...columns.map((i) => ring.columns[i])];
    const drawn = new Chart(byId("charts"), { title, series, show, counts, data: data(), when: ago });
    return { show: () => drawn.draw(data()), recolor: () => drawn.recolor() };
}

const TWO = [
    { name: "p50", class: "first" },
    { name: "p99", class: "second" },
];
const charts = [
    chart(
        "Requests a second",
        model.load,
        [0, 1],
        [
            { name: "answered", class: "first", fill: true },
            { name: "failed", class: "bad" },
        ],
        rate,
    ),
    chart("Time to first byte", model.times, [0, 1], TWO, ms),
    chart("Whole request", model.times, [2, 3], TWO, ms),
    chart(
        "Connections",
        model.connections,
        [0, 1, 2],
        [
            { name: "active", class: "first", fill: true },
            { name: "idle", class: "second" },
            { name: "queued", class: "third" },
        ],
        int,
        true,
    ),
];
const forecast = new Forecast(byId("forecast"), byId("forecast-note"));
const events = new Events(byId("events"), byId("events-note"));
const views = [
    ...charts,
    forecast,
    new Nodes(byId("nodes")),
    new Shards(byId("shards"), byId("shards-note")),
    new Pools(byId("pools"), byId("pools-note")),
    new Advice(byId("advice"), byId("advice-note")),
    new Circuits(byId("circuits")),
    new Limits(byId("limits")),
    new Alerts(byId("alerts"), byId("alerts-note")),
];

let away = null; // why the node does not answer

function noticesOf(state) {
    const all = [];
    if (away !== null) all.push({ state: "bad", text: `What is shown is of ${clock(model.nowMs)}, and may be true no more: ${away}.` });
    if (state.cluster && !state.contact)
        all.push({
            state: "bad",
            text:
                `This node has no contact with the store${state.store_error ? ` (${state.store_error})` : ""}. It goes on with ` +
                "what it knows; limits and circuits are its own until the store is back.",
        });
    if (state.refused) all.push({ state: "bad", text: `The store does not let this node in: ${state.refused}` });
    if (state.state === "draining") all.push({ state: "warn", text: "This node finishes what it has, and ends." });
    return all;
}

function showNotices({ overview: { state } }) {
    list(
        byId("notice"),
        noticesOf(state),
        (n) => n.text,
        (n) => h("p", { "data-state": n.state }, n.text),
        () => {},
    );
}

function showFrame({ overview: { state, pools } }) {
    text(byId("cluster"), state.cluster ?? "a node by itself");
    text(byId("asked"), `${state.node} answers, weir ${state.version}`);
    document.title = `weir ${state.cluster ?? state.node}`;
    const { uptime_s, resident_bytes, workers } = pools.process;
    const process = `up ${span(uptime_s)}, ${bytes(resident_bytes)}, ${count(workers, "worker")}`;
    text(byId("foot"), `${state.node}: ${process}. Store: ${state.store ?? "none"}.`);
}

function show() {
    showFrame(model);
    showNotices(model);
    showGlance(byId("glance"), model);
    for (const view of views) view.show(model);
}

function take(overview, nowMs) {
    model.take(overview, nowMs);
    show();
}

function trouble(why) {
    set(byId("link"), { "data-state": why === null ? "live" : "down" });
    text(byId("link").lastElementChild, why === null ? "live" : why);
    const changed = why !== away;
    away = why;
    if (!model.overview) return;
    if (changed) showNotices(model);
    if (why !== null) {
        model.move(Date.now());
        for (const c of charts) c.show();
    }
}

startTheme(byId("theme"), () => [...charts, forecast].forEach((c) => c.recolor()));
const feed = new Feed({ overview: take, event: (e) => events.add(e), trouble });

// For tests, and for whoever is curious: what would happen if the node answered this, then; and what the page keeps.
globalThis.weirDashboard = {
    take,
    feed,
    get kept() {
        return { ...model.kept, events: events.events.length, elements: document.getElementsByTagName("*").length };
    },
    get overview() {
        return model.overview;
    },
};
