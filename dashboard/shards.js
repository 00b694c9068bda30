// The shard map as a picture: a cell for each shard, in its owner's colour and letter. For who does not see it, the same
// is said in words.
import { h, list, set, text } from "./dom.js";
import { count, int } from "./format.js";

const LETTERS_MAX = 256; // more cells are too small for a letter

function ownersOf(shards) {
    const owner = new Array(shards.shard_count).fill(null);
    for (const o of shards.owners) for (const [first, last] of o.ranges) owner.fill(o.node, first, last + 1);
    return owner;
}

/** Who leads now, which need not be whose map is in force; nothing of a cluster that never had a coordinator. */
export function leads({ lead, epoch }, leader) {
    if (lead?.coordinator) return lead.coordinator === leader ? ", which leads" : `, ${lead.coordinator} leads`;
    return lead && (lead.terms > 0 || epoch > 0) ? ", no coordinator leads" : "";
}

function inWords(owner) {
    const ranges = owner.ranges.map(([first, last]) => (first === last ? first : `${first} to ${last}`));
    return `${owner.node} serves ${count(owner.count, "shard")}: ${ranges.join(", ")}`;
}

const across = (n) => (n <= 64 ? 16 : n <= 256 ? 24 : n <= 1024 ? 40 : 64);

export class Shards {
    constructor(element, note) {
        this.note = note;
        this.map = h("div", { class: "map", role: "img" });
        this.owners = h("ul", { class: "owners", "aria-label": "Owners" });
        element.append(this.map, this.owners);
        this.before = [];
    }

    show({ overview: { shards, state }, names }) {
        if (shards.shard_count === 0) {
            text(this.note, "this node is in no cluster");
            set(this.map, { "aria-label": "There are no shards" });
            list(this.map, [], () => "");
            list(this.owners, [], () => "");
            return;
        }
        const owner = ownersOf(shards);
        const known = this.before.length === owner.length;
        const by = shards.leader ? `by ${shards.leader}` : "the members' own";
        text(this.note, `${count(shards.shard_count, "shard")}, epoch ${int(shards.epoch)}, ${by}${leads(state, shards.leader)}, ${state.mode ?? ""}`);
        this.map.style.setProperty("--across", across(owner.length));
        set(this.map, {
            "data-small": owner.length > LETTERS_MAX ? "" : null,
            "aria-label": shards.owners.map(inWords).join(". "),
        });
        list(
            this.map,
            owner.map((node, i) => ({ node, i })),
            (s) => s.i,
            () => h("i"),
            (cell, { node, i }) => {
                const { letter, color } = node === null ? { letter: "·", color: null } : names.of(node);
                set(cell, { "data-owner": color, title: `shard ${i}: ${node ?? "nobody"}` });
                text(cell, letter);
                if (known && this.before[i] !== node) this.#flash(cell);
            },
        );
        this.before = owner;
        list(
            this.owners,
            shards.owners,
            (o) => o.node,
            () => h("li", {}, h("i", { class: "mark", "aria-hidden": "true" }), h("span"), " ", h("b")),
            (item, o) => {
                const { letter, color } = names.of(o.node);
                set(item.children[0], { "data-owner": color });
                text(item.children[0], letter);
                text(item.children[1], o.node);
                text(item.children[2], int(o.count));
            },
        );
    }

    #flash(cell) {
        cell.classList.remove("moved");
        void cell.offsetWidth; // so that the animation begins anew
        cell.classList.add("moved");
    }
}
