// Who is in the cluster, and what each carries.
import { Table } from "./dom.js";
import { int, ms, rate, span } from "./format.js";
import { levelOf } from "./glance.js";

const STATES = {
    active: { mark: "●", state: "good", says: "serves" },
    joining: { mark: "◔", state: "warn", says: "is about to serve" },
    draining: { mark: "◑", state: "warn", says: "finishes what it has, and leaves" },
    unreachable: {
        mark: "▲",
        state: "warn",
        says: "lives by the store's word, but cannot be reached from the node that answers",
    },
    silent: { mark: "▲", state: "warn", says: "has not been heard of for some seconds" },
    lost: { mark: "✕", state: "bad", says: "was silent for failover_timeout: its shards go to others" },
    gone: { mark: "✕", state: "soft", says: "has left the cluster" },
};

const load = (of) => (n) => (n.load ? of(n.load) : "–");

export class Nodes {
    constructor(element) {
        this.table = new Table(
            element,
            "The nodes of the cluster, their state and load",
            [
                {
                    head: "Node",
                    cell: (n) => ({
                        text: n.id,
                        title: n.advertise ? `${n.id}, ${n.advertise}` : n.id,
                        mark: this.names.of(n.id).letter,
                        owner: this.names.of(n.id).color,
                    }),
                },
                {
                    head: "State",
                    cell: (n) => ({ text: n.shown, ...(STATES[n.shown] ?? STATES.joining), title: STATES[n.shown]?.says }),
                },
                {
                    head: "Load",
                    class: "grow",
                    title: "Active connections, of those allowed",
                    cell: (n) => {
                        const used = n.load?.utilization_percent;
                        return used === undefined
                            ? { text: "–", bar: [] }
                            : { text: `${used}\u202f%`, bar: [{ share: used / 100, class: levelOf(used) }] };
                    },
                },
                { head: "In flight", class: "n", cell: load((l) => int(l.in_flight)) },
                { head: "Req/s", class: "n", cell: load((l) => rate(l.requests_per_second)) },
                {
                    head: "Errors/s",
                    class: "n",
                    cell: (n) => ({
                        text: load((l) => rate(l.errors_per_second))(n),
                        state: n.load?.errors_per_second > 0 ? "bad" : null,
                    }),
                },
                { head: "Conns", class: "n lesser", title: "Connections to providers", cell: load((l) => int(l.connections)) },
                {
                    head: "Lag",
                    class: "n lesser",
                    title: "How late the busiest loop of the node was",
                    cell: load((l) => ms(l.loop_lag_us / 1000)),
                },
                { head: "Shards", class: "n", cell: (n) => (n.shards === undefined ? "–" : int(n.shards)) },
                {
                    head: "Heard",
                    class: "n lesser",
                    title: "When it was last heard of",
                    cell: (n) => (n.self ? "here" : n.age_ms === undefined ? "–" : span(n.age_ms / 1000)),
                },
            ],
            "No node has been heard of.",
        );
    }

    show(m) {
        this.names = m.names;
        this.table.show(
            m.nodes,
            (n) => n.id,
            (n) => ({ "data-shown": n.shown, "data-node": n.id }),
        );
    }
}
