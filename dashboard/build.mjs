// Makes one file of the page: build.mjs PACKAGES OUT.c, PACKAGES being the folder that has node_modules. Script and style
// stand in the page itself, and its policy names them by their hashes. OUT.c defines weir_dashboard (node/dashboard.h);
// OUT.html, beside it, is the page for whoever wants to look at it.
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const BYTES_MAX = 200_000;
const here = dirname(fileURLToPath(import.meta.url));
const [packages, out] = process.argv.slice(2).map((path) => resolve(path));
const modules = join(packages, "node_modules");
const esbuild = createRequire(join(packages, "package.json"))("esbuild");

function bundle(entry, format) {
    const built = esbuild.buildSync({
        entryPoints: [join(here, entry)],
        bundle: true,
        minify: true,
        write: false,
        format,
        charset: "utf8",
        target: ["es2022", "chrome123", "firefox120", "safari17.5"],
        nodePaths: [modules],
        legalComments: "none",
        logLevel: "warning",
    });
    return built.outputFiles[0].text.trim();
}

const sha256 = (text) => `'sha256-${createHash("sha256").update(text).digest("base64")}'`;

// A text stands for itself: String.replace would take the $ in it for something else.
function put(page, mark, text) {
    if (page.split(mark).length !== 2) throw new Error(`index.html must hold ${mark} once`);
    return page.split(mark).join(text);
}

const script = bundle("main.js", "iife").replaceAll("</script", "<\\/script");
const style = bundle("style.css");
const notice = readFileSync(join(modules, "uplot", "LICENSE"), "utf8").trim();
let page = readFileSync(join(here, "index.html"), "utf8");
page = put(page, '<link rel="stylesheet" href="style.css">', `<style>${style}</style>`);
page = put(page, '<script type="module" src="main.js"></script>', `<script>${script}</script>`);
page += `<!-- Charts: uPlot.\n${notice}\n-->\n`;

const policy = [
    "default-src 'none'",
    `script-src ${sha256(script)}`,
    `style-src ${sha256(style)}`,
    "connect-src 'self'",
    "img-src data:",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
].join("; ");

const bytes = Buffer.from(page);
if (bytes.length >= BYTES_MAX) throw new Error(`the page has ${bytes.length} bytes, and ${BYTES_MAX} are too many`);
const rows = [];
for (let i = 0; i < bytes.length; i += 32) rows.push([...bytes.subarray(i, i + 32)].join(","));
writeFileSync(out.replace(/\.c$/, ".html"), bytes);
writeFileSync(
    out,
    `/* Made from dashboard/ by dashboard/build.mjs. */
#include "node/dashboard.h"

static const unsigned char page[] = {
${rows.join(",\n")}};
const struct weir_dashboard weir_dashboard = {
    .html = (const char *)page, .len = sizeof page, .policy = "${policy}"};
`,
);
