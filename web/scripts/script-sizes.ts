// Checks the compressed size of the scripts of each page.

import { readFileSync, rmSync, statSync } from "node:fs";

/** The limit for all scripts of a page, including lazy ones and the largest language, in bytes. */
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

/** Returns all chunks that `names` import, without other pages. */
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

function sizeOf(name: string): number {
    return statSync(new URL(`${manifest[name]?.file ?? ""}.br`, dist)).size;
}

let isTooLarge = false;
for (const page of Object.keys(manifest).filter(isPage)) {
    const chunks = [...reach(["index.html", page])];
    const scripts = chunks.filter((name) => manifest[name]?.file.endsWith(".js"));
    const languages = scripts.filter(isLanguage);
    const catalogues = new Set(languages.map((name) => name.slice(0, -"en.ts".length)));
    const heaviest = [...catalogues].map((catalogue) =>
        Math.max(...languages.filter((name) => name.startsWith(catalogue)).map(sizeOf)),
    );
    const weight = [...scripts.filter((name) => !isLanguage(name)).map(sizeOf), ...heaviest].reduce((a, b) => a + b, 0);
    isTooLarge ||= weight > LIMIT;
    console.log(`${page}: ${(weight / 1024).toFixed(1)} KiB of scripts, at most ${LIMIT / 1024}`);
}
if (isTooLarge) {
    console.error("script-sizes: a page loads too much");
    process.exitCode = 1;
}
