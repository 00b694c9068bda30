// What the page hears: the node's overview, asked for once a second while somebody looks, and the cluster's events as
// they come, by one EventSource.

const POLL_MS = 1000;
// After an event, which mostly changes what there is to see: a node gives the same answer again for 250 ms.
const EARLY_MS = 260;
const WAIT_MS = 5000;
const AGAIN_MS = 3000;
// EventSource knows no "all of them".
const EVENTS = [
    "node_joined",
    "node_drains",
    "node_stays",
    "drain_asked",
    "undrain_asked",
    "node_left",
    "node_lost",
    "node_back",
    "map_published",
    "rebalance_asked",
    "rebalanced",
    "coordinator_leads",
    "coordinator_follows",
    "circuit_opened",
    "circuit_half_open",
    "circuit_closed",
    "circuit_cooling",
    "hint_action",
    "message",
];

export class Feed {
    /** on.overview(json, nowMs), on.event(object), on.trouble(why: null when there is none) */
    constructor(on) {
        this.on = on;
        this.timer = null;
        this.asking = false;
        this.looking = () => this.#look();
        document.addEventListener("visibilitychange", this.looking);
        this.#look();
    }

    /** Asks and listens no more. */
    stop() {
        document.removeEventListener("visibilitychange", this.looking);
        this.stopped = true;
        this.#look();
    }

    #look() {
        if (document.hidden || this.stopped) {
            clearTimeout(this.timer);
            this.source?.close();
            this.source = null;
        } else {
            this.#ask();
            this.#listen();
        }
    }

    #later(ms) {
        clearTimeout(this.timer);
        if (!document.hidden && !this.stopped) this.timer = setTimeout(() => this.#ask(), ms);
    }

    async #ask() {
        if (this.asking || this.stopped) return;
        this.asking = true;
        this.early = false;
        const began = performance.now();
        try {
            const answer = await fetch("/api/cluster/overview", { signal: AbortSignal.timeout(WAIT_MS), cache: "no-store" });
            if (answer.status === 401) throw new Error("the node asks for the admin token: load the page anew");
            if (!answer.ok) throw new Error(`the node answered ${answer.status}`);
            const overview = await answer.json();
            if (this.stopped) return;
            this.on.overview(overview, Date.now());
            this.on.trouble(null);
        } catch (error) {
            this.on.trouble(
                error.name === "TimeoutError"
                    ? "the node does not answer"
                    : error.message.replace(/^Failed to fetch$/, "the node cannot be reached"),
            );
        }
        this.asking = false;
        // A large cluster on a slow line: it must not be busy with this page alone.
        const took = performance.now() - began;
        this.#later(this.early ? EARLY_MS : Math.max(POLL_MS - took, 3 * took));
    }

    #listen() {
        if (this.source && this.source.readyState !== EventSource.CLOSED) return;
        this.source = new EventSource("/api/cluster/events?n=50");
        const heard = (message) => {
            try {
                this.on.event({ ...JSON.parse(message.data), key: message.lastEventId });
            } catch {
                return; // what is no JSON is no event
            }
            if (!this.early) this.#later(EARLY_MS); // while it asks, the answer to that may be of before
            this.early = true;
        };
        for (const name of EVENTS) this.source.addEventListener(name, heard);
        // It comes back by itself when the line breaks, but not when it was refused: as many follow as may.
        this.source.onerror = () => {
            if (this.source?.readyState !== EventSource.CLOSED) return;
            this.#fetchEvents();
            setTimeout(() => !document.hidden && !this.stopped && this.#listen(), AGAIN_MS);
        };
    }

    /** In place of the stream: what has happened until now. */
    async #fetchEvents() {
        try {
            const headers = { accept: "application/json" };
            const answer = await fetch("/api/cluster/events?n=50", { headers, signal: AbortSignal.timeout(WAIT_MS), cache: "no-store" });
            if (!answer.ok || this.stopped) return;
            const { events } = await answer.json();
            for (const event of events) this.on.event({ ...event, key: String(event.id) });
        } catch {
            return; // the overview tells that the node cannot be reached
        }
    }
}
