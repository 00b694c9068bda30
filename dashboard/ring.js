// The last minutes of some numbers, a slot for each second. The arrays have their size from the beginning and keep it,
// however long the page is open; they are moved, not made anew, so that a chart can draw from them as they are.

// A second that nobody asked in, since the clock of asking is not that of the slots, is no hole.
const BRIDGED = 3;

export class Ring {
    /** columns: how many numbers a slot has. */
    constructor(columns, slots = 300, slotMs = 1000) {
        this.slots = slots;
        this.slotMs = slotMs;
        this.last = null;
        this.times = new Array(slots).fill(0).map((_, i) => i - slots + 1);
        this.columns = Array.from({ length: columns }, () => new Array(slots).fill(null));
    }

    /** Enters numbers, null for one that is not known, at a time. A slot that was entered before is overwritten. */
    put(unixMs, values) {
        const missed = this.last === null ? 0 : Math.floor(unixMs / this.slotMs) - this.last - 1;
        this.move(unixMs);
        if (missed > 0 && missed <= BRIDGED)
            for (const column of this.columns) column.fill(column.at(-missed - 2), this.slots - 1 - missed, -1);
        const ago = this.last - Math.floor(unixMs / this.slotMs);
        if (ago >= this.slots) return;
        this.columns.forEach((column, i) => {
            column[this.slots - 1 - ago] = values[i] ?? null;
        });
    }

    /** Time goes on without numbers. */
    move(unixMs) {
        const slot = Math.floor(unixMs / this.slotMs);
        const steps = this.last === null ? this.slots : Math.min(this.slots, Math.max(0, slot - this.last));
        if (steps === 0) return;
        this.last = slot;
        for (const column of this.columns) {
            column.copyWithin(0, steps);
            column.fill(null, this.slots - steps);
        }
        const second = this.slotMs / 1000;
        for (let i = 0; i < this.slots; i++) this.times[i] = (slot - this.slots + 1 + i) * second;
    }

    /** What uPlot takes. */
    get data() {
        return [this.times, ...this.columns];
    }

    /** How many cells it holds, whatever is in them. */
    get cells() {
        return this.columns.reduce((sum, column) => sum + column.length, this.times.length);
    }
}
