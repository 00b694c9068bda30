// What the page computes, without a browser.
import assert from "node:assert/strict";
import { test } from "node:test";
import { int, ms, percent, rate, span } from "../../dashboard/format.js";
import { readHints, Said } from "../../dashboard/hints.js";
import { Lately, quantile } from "../../dashboard/histogram.js";
import { Model, stateOf } from "../../dashboard/model.js";
import { Ring } from "../../dashboard/ring.js";
import { leads } from "../../dashboard/shards.js";

test("a ring keeps its size, whatever is put into it", () => {
    const ring = new Ring(2, 300);
    const { cells } = ring;
    const arrays = [...ring.data];
    for (let i = 0; i < 5000; i++) ring.put(1.7e12 + 1000 * i, [i, 2 * i]);
    assert.equal(ring.cells, cells);
    assert.ok(ring.data.every((array, i) => array === arrays[i] && array.length === 300));
    assert.deepEqual([ring.columns[0][0], ring.columns[0].at(-1), ring.columns[1].at(-1)], [4700, 4999, 9998]);
    assert.equal(ring.times.at(-1) - ring.times[0], 299);
});

test("a ring bridges a second or two, and shows longer holes", () => {
    const ring = new Ring(1, 20);
    ring.put(100_000, [1]);
    ring.put(103_000, [4]);
    assert.deepEqual(ring.columns[0].slice(-4), [1, 1, 1, 4]);
    ring.put(109_000, [9]);
    assert.deepEqual(ring.columns[0].slice(-7), [4, null, null, null, null, null, 9]);
    ring.put(108_000, [8]);
    assert.deepEqual(ring.columns[0].slice(-2), [8, 9]);
    ring.put(10_000, [0]);
    assert.equal(ring.columns[0].at(-1), 9, "a clock that was set back");
    ring.move(500_000);
    assert.ok(ring.columns[0].every((v) => v === null));
});

test("quantiles", () => {
    const bounds = [1, 2, 4];
    assert.equal(quantile([0, 0, 0, 0], bounds, 0.5), null);
    assert.equal(quantile([0, 10, 0, 0], bounds, 0.5), 1.5);
    assert.equal(quantile([10, 0, 10, 0], bounds, 0.75), 3);
    assert.equal(quantile([0, 0, 0, 5], bounds, 0.5), 4, "beyond the last bound nothing is known but that");
});

test("recent counts leave out what is old, and begin anew with the node", () => {
    const lately = new Lately();
    for (let s = 0; s <= 60; s++) lately.take([s, 0], 1000 * s);
    assert.ok(lately.recent[0] >= 10 && lately.recent[0] <= 15);
    lately.take([2, 0], 61_000);
    assert.deepEqual(lately.recent, [0, 0]);
    lately.take([5, 1], 62_000);
    assert.deepEqual(lately.recent, [3, 1]);
});

test("texts", () => {
    assert.deepEqual([0, 0.123, 1.26, 42.4, 1234567].map(rate), ["0", "0.12", "1.3", "42", "1.2\u202fM"]);
    assert.deepEqual([0, 0.25, 7.31, 250, 1500, 42000].map(ms), [
        "0",
        "0.25\u202fms",
        "7.3\u202fms",
        "250\u202fms",
        "1.5\u202fs",
        "42\u202fs",
    ]);
    assert.deepEqual([5, 120, 7200, 260000].map(span), ["5\u202fs", "2\u202fmin", "2\u202fh", "3\u202fd"]);
    assert.deepEqual([null, undefined, NaN].map(int), ["–", "–", "–"]);
    assert.equal(percent(84.6), "85\u202f%");
});

test("what a node is, in one word", () => {
    const well = { alive: true, suspect: false, age_ms: 300, state: "active" };
    assert.equal(stateOf(well), "active");
    assert.equal(stateOf({ ...well, age_ms: 3000 }), "silent");
    assert.equal(stateOf({ ...well, suspect: true }), "unreachable");
    assert.equal(stateOf({ ...well, alive: false, suspect: true }), "lost");
    assert.equal(stateOf({ ...well, state: "draining" }), "draining");
});

function overview(node, { nodes = ["a", "b"], active = 1, tries = 0, at = 0 } = {}) {
    const load = {
        in_flight: 2,
        connections: 3,
        utilization_percent: 4,
        loop_lag_us: 5,
        requests_per_second: 6,
        errors_per_second: 1,
    };
    const provider = {
        name: "p",
        status: "healthy",
        active,
        idle: 0,
        opening: 0,
        pending: 0,
        max: 10,
        created: 0,
        closed: 0,
        errors: 0,
        timeouts: 0,
        tries,
        failed: 0,
        reused: 0,
        leases: 0,
        request: [tries, 0],
        first_byte: [tries, 0],
        endpoints: [{ id: "http://e", status: "degraded", active, idle: 0, in_flight: 0 }],
    };
    return {
        nodes: { nodes: nodes.map((id) => ({ id, alive: true, suspect: false, age_ms: 0, state: "active", load })) },
        pools: {
            node,
            timestamp_ms: at,
            bounds_ms: [10],
            requests: { "2xx": 0, "3xx": 0, "4xx": 0, "5xx": 0, none: 0, active: 0 },
            providers: [provider],
        },
    };
}

test("loads add up over the cluster, pools over the nodes that answered lately", () => {
    const m = new Model();
    m.take(overview("a", { active: 2 }), 1_000);
    m.take(overview("b", { active: 3 }), 2_000);
    assert.equal(m.totals.requests, 12);
    assert.equal(m.totals.inFlight, 4);
    assert.deepEqual([m.providers[0].active, m.providers[0].max, m.providers[0].utilization], [5, 20, 25]);
    assert.equal(m.providers[0].endpoints.length, 1);
    m.take(overview("b", { active: 3 }), 20_000);
    assert.deepEqual([...m.sources.keys()], ["b"]);
});

test("a node that has left is shown for a while, and keeps its letter", () => {
    const m = new Model();
    m.take(overview("a", { nodes: ["a", "b", "c"] }), 1_000);
    assert.deepEqual(
        ["a", "b", "c"].map((id) => m.names.of(id).letter),
        ["A", "B", "C"],
    );
    m.take(overview("a", { nodes: ["a", "c"] }), 2_000);
    assert.equal(m.nodes.find((n) => n.id === "b").shown, "gone");
    assert.equal(m.totals.nodes, 2);
    assert.equal(m.names.of("c").letter, "C");
    m.take(overview("a", { nodes: ["a", "c"] }), 40_000);
    assert.equal(m.nodes.length, 2);
    m.take(overview("a", { nodes: ["a", "c", "d"] }), 41_000);
    assert.equal(m.names.of("d").letter, "B");
});

test("a forecast is held against what came, and forgotten with it", () => {
    const said = new Said();
    const at = (past, ahead) => ({ stepS: 60, past, ahead });
    said.take(
        at(
            [[0, 1]],
            [
                [60, 5, 7],
                [120, 6, 8],
            ],
        ),
    );
    const later = at(
        [
            [0, 1],
            [60, 4],
        ],
        [
            [120, 9, 9],
            [180, 6, 8],
        ],
    );
    said.take(later);
    assert.deepEqual(said.get(120), { mid: 6, high: 8 }, "what was said first counts");
    assert.deepEqual(said.columns(later), [
        [0, 60, 120, 180],
        [1, 4, null, null],
        [null, 5, 9, 6],
        [null, 7, 9, 8],
    ]);
    said.take(at([[120, 4]], [[180, 6, 8]]));
    assert.deepEqual([said.get(60), said.size], [undefined, 2]);
    // Published each 10 s, told a minute apart: what is kept stays on one grid.
    for (let s = 0; s < 7200; s += 10) {
        const past = Array.from({ length: 60 }, (_, i) => [s + 10 * (i - 59), 1]);
        said.take({ stepS: 10, past, ahead: Array.from({ length: 60 }, (_, i) => [s + 60 * (i + 1), 2, 3]) });
    }
    assert.ok(said.size <= 71, String(said.size));
});

test("hints may hold anything", () => {
    for (const raw of [
        undefined,
        null,
        7,
        [],
        { valid: true },
        { valid: true, cluster: 1, series: { in_flight: { past: "x", ahead: [1, [2], [3, "a", 4]] } }, providers: [null, 5] },
    ]) {
        const hints = readHints(raw);
        assert.ok(!hints.series);
    }
    assert.equal(readHints({ valid: false, reason: "none yet" }).why, "none yet");
    const read = readHints({
        valid: true,
        cluster: { action: "hold" },
        series: {
            in_flight: {
                step_s: 60,
                past: [
                    [1, 2],
                    [0, 9],
                    [2, 3],
                ],
                ahead: [[3, 4, 5]],
            },
        },
    });
    assert.deepEqual(read.series, {
        stepS: 60,
        past: [
            [1, 2],
            [2, 3],
        ],
        ahead: [[3, 4, 5]],
    });
});

test("what the model keeps does not grow with time, nor with nodes that come and go", () => {
    const m = new Model();
    for (let i = 0; i < 100; i++) m.take(overview("a"), 1000 * i);
    const { cells } = m.kept;
    for (let i = 100; i < 3000; i++) m.take(overview(`n${i}`, { nodes: ["a", `n${i}`], at: 1000 * i }), 1000 * i);
    assert.equal(m.kept.cells, cells);
    assert.ok(m.kept.sources <= 17 && m.kept.gone <= 31);
});

test("who leads", () => {
    const lead = { coordinator: "k2", lease_seconds: 2, terms: 3 };
    const nobody = { coordinator: null, lease_seconds: 0, terms: 3 };
    assert.equal(leads({ lead, epoch: 4 }, "k2"), ", which leads");
    assert.equal(leads({ lead, epoch: 4 }, "k1"), ", k2 leads");
    assert.equal(leads({ lead: nobody, epoch: 4 }, "k1"), ", no coordinator leads");
    assert.equal(leads({ lead: { ...nobody, terms: 0 }, epoch: 0 }, null), "");
    assert.equal(leads({ lead: null, epoch: 4 }, "k1"), "", "the store is away");
});
