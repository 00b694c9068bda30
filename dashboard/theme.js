// Dark or light: as the system says, until somebody chooses otherwise here.
import { set, text } from "./dom.js";

const KEY = "weir-theme";
const NAMES = { auto: "Auto", light: "Light", dark: "Dark" };

function remembered() {
    try {
        return localStorage.getItem(KEY) ?? "auto";
    } catch {
        return "auto"; // a browser that keeps nothing
    }
}

function remember(choice) {
    try {
        localStorage.setItem(KEY, choice);
    } catch {
        // then it is chosen again next time
    }
}

/** `changed` is called when the colours are others. */
export function startTheme(button, changed) {
    let choice = remembered();
    const apply = () => {
        if (!(choice in NAMES)) choice = "auto";
        set(document.documentElement, { "data-theme": choice });
        text(button, NAMES[choice]);
        set(button, { "aria-label": `Theme: ${NAMES[choice]}. Change it`, title: "Theme" });
        changed();
    };
    button.addEventListener("click", () => {
        const names = Object.keys(NAMES);
        choice = names[(names.indexOf(choice) + 1) % names.length];
        remember(choice);
        apply();
    });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", apply);
    apply();
}
