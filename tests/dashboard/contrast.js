// Run on the page: the texts that are hard to read, by WCAG 2.2, 1.4.3: 4.5 to 1, 3 to 1 for large ones.
(() => {
    const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
    const rgba = (color) => {
        canvas.clearRect(0, 0, 1, 1);
        canvas.fillStyle = color;
        canvas.fillRect(0, 0, 1, 1);
        return [...canvas.getImageData(0, 0, 1, 1).data];
    };
    const light = (rgb) => {
        const [r, g, b] = rgb.map((v) => (v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4));
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const ground = (element) => {
        for (let e = element; e; e = e.parentElement) {
            const [r, g, b, a] = rgba(getComputedStyle(e).backgroundColor);
            if (a === 255) return [r, g, b];
        }
        return [255, 255, 255];
    };
    const poor = [];
    let looked = 0;
    for (const e of document.querySelectorAll("body *")) {
        const own = [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
        if (!own || e.closest(".unseen, .skip, noscript, style, script") || !e.checkVisibility({ checkOpacity: true })) continue;
        const style = getComputedStyle(e);
        const [a, b] = [light(rgba(style.color).slice(0, 3)), light(ground(e))];
        const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
        const large = parseFloat(style.fontSize) >= 24 || (parseFloat(style.fontSize) >= 18.66 && style.fontWeight >= 700);
        looked++;
        if (ratio < (large ? 3 : 4.5))
            poor.push(`${ratio.toFixed(2)}: ${e.tagName} ${e.className} ${e.textContent.trim().slice(0, 30)}`);
    }
    return { looked, poor };
})();
