// Changes what is on the page as little as it can: a text that stays the same is not touched, so that what somebody
// has selected, focused or listens to stays where it is.

/** h("td", { class: "n", title: "…" }, "text", node, …) */
export function h(tag, attributes = {}, ...children) {
    const element = document.createElement(tag);
    set(element, attributes);
    element.append(...children);
    return element;
}

export function set(element, attributes) {
    for (const [name, value] of Object.entries(attributes)) {
        if (value === null || value === undefined || value === false) element.removeAttribute(name);
        else if (element.getAttribute(name) !== String(value)) element.setAttribute(name, value);
    }
}

export function text(element, value) {
    if (element.textContent !== value) element.textContent = value;
}

export const byId = (id) => document.getElementById(id);

/** Makes the children of `parent` those of `items`, in order: `key` tells them apart, `make` makes one, `update` fills it. */
export function list(parent, items, key, make, update) {
    const old = new Map([...parent.children].map((child) => [child.dataset.key, child]));
    let at = parent.firstElementChild;
    for (const item of items) {
        const name = String(key(item));
        let child = old.get(name);
        old.delete(name);
        if (!child) {
            child = make(item);
            child.dataset.key = name;
        }
        if (child === at) at = at.nextElementSibling;
        else parent.insertBefore(child, at);
        update(child, item);
    }
    for (const child of old.values()) child.remove();
}

/** A table: columns are { head, title, class, cell(item) -> text, or { text, class, title, state, bar } }. */
export class Table {
    constructor(table, caption, columns, empty) {
        this.columns = columns;
        this.empty = empty;
        this.body = h("tbody");
        const heads = columns.map((c) => h("th", { scope: "col", class: c.class, title: c.title }, c.head));
        table.append(h("caption", { class: "unseen" }, caption), h("thead", {}, h("tr", {}, ...heads)), this.body);
    }

    show(items, key, rowOf = () => ({})) {
        const rows = items.length > 0 ? items : [null];
        list(
            this.body,
            rows,
            (item) => (item === null ? "" : key(item)),
            (item) => this.#row(item),
            (row, item) => {
                if (item === null) return;
                set(row, rowOf(item));
                this.columns.forEach((column, i) => fill(row.children[i], column.cell(item)));
            },
        );
    }

    #row(item) {
        if (item === null) return h("tr", { class: "none" }, h("td", { colspan: this.columns.length }, this.empty));
        return h("tr", {}, ...this.columns.map((c, i) => h(i === 0 ? "th" : "td", { class: c.class, scope: i === 0 && "row" })));
    }
}

function fill(cell, content) {
    const c = content !== null && typeof content === "object" ? content : { text: content };
    set(cell, { title: c.title, "data-state": c.state });
    if (c.bar !== undefined || c.mark !== undefined) {
        if (!cell.firstElementChild) {
            if (c.mark !== undefined) cell.append(h("i", { class: "mark", "aria-hidden": "true" }));
            cell.append(h("span"));
            if (c.bar !== undefined) cell.append(h("span", { class: "bar", "aria-hidden": "true" }));
        }
        if (c.mark !== undefined) {
            const mark = cell.querySelector(".mark");
            set(mark, { "data-owner": c.owner });
            text(mark, c.mark);
        }
        text(cell.querySelector("span"), c.text ?? "–");
        if (c.bar !== undefined) bar(cell.querySelector(".bar"), c.bar);
    } else text(cell, c.text ?? "–");
}

/** Parts of a whole: [{ share: 0..1, class }]. */
function bar(element, parts) {
    list(
        element,
        parts,
        (p) => p.class,
        (p) => h("i", { class: p.class }),
        (child, p) => {
            const width = `${(100 * Math.min(1, Math.max(0, p.share))).toFixed(1)}%`;
            if (child.style.width !== width) child.style.width = width;
        },
    );
}
