// Quantiles of the last seconds out of counters that only grow.

/** The value below which the share q of the counted is, straight lines drawn within a bucket; null where none is counted. */
export function quantile(buckets, bounds, q) {
    const total = buckets.reduce((sum, n) => sum + n, 0);
    if (total === 0) return null;
    let left = q * total;
    for (let i = 0; i < buckets.length; i++) {
        if (left > buckets[i] || buckets[i] === 0) {
            left -= buckets[i];
            continue;
        }
        const low = i > 0 ? bounds[i - 1] : 0;
        const high = i < bounds.length ? bounds[i] : low;
        return low + ((high - low) * left) / buckets[i];
    }
    return bounds[bounds.length - 1];
}

export function add(into, buckets) {
    for (let i = 0; i < buckets.length; i++) into[i] = (into[i] ?? 0) + buckets[i];
    return into;
}

/** What was counted lately: since 10 to 15 s ago, for three marks are kept, 5 s apart. */
export class Lately {
    #marks = [];
    #markedMs = -Infinity;
    recent = [];

    take(buckets, nowMs) {
        const restarted = this.#marks.some((mark) => mark.some((n, i) => n > buckets[i]));
        if (restarted) this.#marks = [];
        if (restarted || nowMs - this.#markedMs >= 5000) {
            this.#marks.push(buckets);
            this.#marks = this.#marks.slice(-3);
            this.#markedMs = nowMs;
        }
        this.recent = buckets.map((n, i) => n - this.#marks[0][i]);
    }
}
