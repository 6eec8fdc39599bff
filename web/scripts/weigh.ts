// Weighs the built scripts as the gateway sends them, compressed, and fails when a page has more than a phone should load.

import { readFileSync, rmSync, statSync } from "node:fs";

/** The most that all scripts of a page may weigh together, in bytes: whatever is clicked, in the heaviest language. */
const LIMIT = 60 * 1024;

interface Chunk {
    file: string;
    imports?: string[];
    dynamicImports?: string[];
}

const dist = new URL("../dist/", import.meta.url);
const manifest = JSON.parse(readFileSync(new URL(".vite/manifest.json", dist), "utf8")) as Record<string, Chunk>;
rmSync(new URL(".vite", dist), { recursive: true });

const isLanguage = (name: string) => /\/i18n\/[a-z]{2}\.ts$/.test(name);
const isPage = (name: string) => manifest["index.html"]?.dynamicImports?.includes(name) === true && !isLanguage(name);

/** Everything that `names` lead to, other pages left out. */
function reach(names: string[], seen = new Set<string>()): Set<string> {
    for (const name of names) {
        const chunk = manifest[name];
        if (chunk === undefined || seen.has(name)) continue;
        seen.add(name);
        const clicked = (chunk.dynamicImports ?? []).filter((name) => !isPage(name));
        reach([...(chunk.imports ?? []), ...clicked], seen);
    }
    return seen;
}

function weigh(name: string): number {
    return statSync(new URL(`${manifest[name]?.file ?? ""}.br`, dist)).size;
}

let tooHeavy = false;
for (const page of Object.keys(manifest).filter(isPage)) {
    const chunks = [...reach(["index.html", page])];
    const scripts = chunks.filter((name) => manifest[name]?.file.endsWith(".js"));
    const languages = scripts.filter(isLanguage);
    const catalogues = new Set(languages.map((name) => name.slice(0, -"en.ts".length)));
    const heaviest = [...catalogues].map((catalogue) =>
        Math.max(...languages.filter((name) => name.startsWith(catalogue)).map(weigh)),
    );
    const weight = [...scripts.filter((name) => !isLanguage(name)).map(weigh), ...heaviest].reduce((a, b) => a + b, 0);
    tooHeavy ||= weight > LIMIT;
    console.log(`${page}: ${(weight / 1024).toFixed(1)} KiB of scripts, at most ${LIMIT / 1024}`);
}
if (tooHeavy) {
    console.error("weigh: a page loads too much");
    process.exitCode = 1;
}
