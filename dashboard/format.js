// Numbers and times as people read them.

export const int = (n) => (Number.isFinite(n) ? Math.round(n).toLocaleString("en").replaceAll(",", "\u202f") : "–");

/** Few figures: 0.42, 4.2, 42, 421, 4 210, 4.2 M. */
export function rate(n) {
    if (!Number.isFinite(n)) return "–";
    if (n >= 1e6) return `${rate(n / 1e6)}\u202fM`;
    if (n === 0 || n >= 100) return int(n);
    return n.toFixed(n < 1 ? 2 : n < 10 ? 1 : 0);
}

export function percent(n) {
    if (!Number.isFinite(n)) return "–";
    if (n > 0 && n < 0.1) return "<\u202f0.1\u202f%";
    return `${n > 0 && n < 10 ? n.toFixed(1) : Math.round(n)}\u202f%`;
}

export function ms(n) {
    if (!Number.isFinite(n)) return "–";
    if (n === 0) return "0";
    if (n < 1) return `${n.toFixed(2)}\u202fms`;
    if (n < 10) return `${n.toFixed(1)}\u202fms`;
    if (n < 1000) return `${Math.round(n)}\u202fms`;
    return `${(n / 1000).toFixed(n < 10000 ? 1 : 0)}\u202fs`;
}

export function span(seconds) {
    if (!Number.isFinite(seconds)) return "–";
    if (seconds < 90) return `${Math.round(seconds)}\u202fs`;
    if (seconds < 5400) return `${Math.round(seconds / 60)}\u202fmin`;
    if (seconds < 172800) return `${Math.round(seconds / 3600)}\u202fh`;
    return `${Math.round(seconds / 86400)}\u202fd`;
}

export const bytes = (n) => (Number.isFinite(n) ? `${rate(n / 1048576)}\u202fMB` : "–");

const clockOf = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const minuteOf = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
export const minute = (unixMs) => minuteOf.format(unixMs);
export const clock = (unixMs) => clockOf.format(unixMs);

/** An endpoint without what all of them have. */
export const host = (endpoint) => endpoint.replace(/^https?:\/\//, "");

export const count = (n, one, many = one + "s") => `${int(n)} ${n === 1 ? one : many}`;
