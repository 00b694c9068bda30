// A headless Chromium for tests in another language: reads one JSON object a line ({ id, do, ... }), answers with one
// ({ id, ok, value | error }). Everything the page logs, throws or asks for is kept, to be asked for.
import { createInterface } from "node:readline";
import { chromium } from "playwright-core";

const browser = await chromium.launch({
    executablePath: process.argv[2],
    args: ["--no-sandbox", "--disable-gpu", "--enable-precise-memory-info"],
});
let context, page, seen;

async function open({ url, width = 1440, height = 900, scheme = "light", scale = 1, user }) {
    await context?.close();
    seen = { errors: [], requests: [] };
    context = await browser.newContext({
        viewport: { width, height },
        colorScheme: scheme,
        deviceScaleFactor: scale,
        hasTouch: width < 600,
        isMobile: width < 600,
        httpCredentials: user,
        reducedMotion: "reduce",
        locale: "en-GB",
        timezoneId: "UTC",
    });
    page = await context.newPage();
    page.on("console", (m) => ["error", "warning"].includes(m.type()) && seen.errors.push(m.text()));
    page.on("pageerror", (e) => seen.errors.push(String(e)));
    page.on("request", (r) => seen.requests.push(r.url()));
    const answer = await page.goto(url);
    return { status: answer.status(), headers: answer.headers(), body: await answer.text() };
}

async function heapBytes() {
    const session = await context.newCDPSession(page);
    await session.send("HeapProfiler.collectGarbage");
    const { usedSize } = await session.send("Runtime.getHeapUsage");
    await session.detach();
    return usedSize;
}

// The page's policy lets nobody make code of a text inside it, so that the asking is done from outside.
async function wait({ js, bound_ms }) {
    const end = Date.now() + bound_ms;
    for (;;) {
        if (await page.evaluate(js)) return true;
        if (Date.now() > end) throw new Error(`waited ${bound_ms} ms; the page says:\n${await page.locator("main").innerText()}`);
        await new Promise((resolve) => setTimeout(resolve, 25));
    }
}

const verbs = {
    open,
    run: ({ js }) => page.evaluate(js),
    wait,
    reload: () => page.reload().then(() => true),
    press: ({ key }) => page.keyboard.press(key),
    shot: ({ path, full = true }) => page.screenshot({ path, fullPage: full }).then(() => true),
    size: ({ width, height }) => page.setViewportSize({ width, height }),
    seen: () => seen,
    tree: ({ selector = "body" }) => page.locator(selector).ariaSnapshot(),
    heap: heapBytes,
};

for await (const line of createInterface({ input: process.stdin })) {
    const { id, do: verb, ...rest } = JSON.parse(line);
    let answer;
    try {
        answer = { id, ok: true, value: await verbs[verb](rest) };
    } catch (error) {
        answer = { id, ok: false, error: String(error) };
    }
    process.stdout.write(`${JSON.stringify(answer)}\n`);
}
await browser.close();
