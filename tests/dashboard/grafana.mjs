// Holds deploy/grafana's dashboard against the types that Grafana publishes of its own (@grafana/schema): grafana.mjs
// FILE. Each thing that is not of its type is a line on standard output; none, and all is well.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import ts from "typescript";

const here = dirname(fileURLToPath(import.meta.url));
const schema = dirname(createRequire(import.meta.url).resolve("@grafana/schema/package.json"));
const PANELS = {
    timeseries: "timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen",
    gauge: "gauge/panelcfg/x/GaugePanelCfg_types.gen",
    stat: "stat/panelcfg/x/StatPanelCfg_types.gen",
    "state-timeline": "statetimeline/panelcfg/x/StateTimelinePanelCfg_types.gen",
};

const dashboard = JSON.parse(readFileSync(process.argv[2], "utf8"));
// What an annotation asks, and what it says, is its source's own matter, and no part of the schema.
for (const a of dashboard.annotations.list) for (const own of ["expr", "titleFormat", "textFormat"]) delete a[own];

const lines = [
    'import type * as schema from "@grafana/schema";',
    ...Object.entries(PANELS).map(([type, file]) => `import type * as ${type.replace("-", "_")} from "${schema}/dist/esm/raw/composable/${file}";`),
    // As they are written in JSON: an enum's values are texts.
    "type Written<T> = T extends string ? `${T}` : T extends object ? { [K in keyof T]: Written<T[K]> } : T;",
    "type Some<T> = T extends object ? { [K in keyof T]?: Some<T[K]> } : T;",
    `export const all: Written<schema.Dashboard> = ${JSON.stringify(dashboard)};`,
];
for (const p of dashboard.panels) {
    if (p.type === "row") continue;
    if (!(p.type in PANELS)) {
        console.log(`panel ${p.title}: of no type that is checked, ${p.type}`);
        continue;
    }
    const name = p.type.replace("-", "_");
    lines.push(`export const o${p.id}: Some<Written<${name}.Options>> = ${JSON.stringify(p.options ?? {})};`);
    const custom = p.fieldConfig.defaults.custom;
    if (custom) lines.push(`export const c${p.id}: Some<Written<${name}.FieldConfig>> = ${JSON.stringify(custom)};`);
}

const options = {
    noEmit: true, strict: true, skipLibCheck: true, types: [], target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext,
    moduleResolution: ts.ModuleResolutionKind.Bundler,
};
const made = join(here, "dashboard.ts");
const host = ts.createCompilerHost(options);
const { getSourceFile, fileExists, readFile } = host;
const text = lines.join("\n");
host.fileExists = (name) => name === made || fileExists.call(host, name);
host.readFile = (name) => (name === made ? text : readFile.call(host, name));
host.getSourceFile = (name, version) => (name === made ? ts.createSourceFile(name, text, version) : getSourceFile.call(host, name, version));
for (const d of ts.getPreEmitDiagnostics(ts.createProgram([made], options, host)))
    console.log(ts.flattenDiagnosticMessageText(d.messageText, " "));
