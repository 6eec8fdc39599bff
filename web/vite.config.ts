// How the page is built: into `dist/`, as one `index.html` and assets whose names change with their content.

import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defineConfig, type Plugin } from "vite";

/** Where `npm run dev` finds a running gateway. */
const gateway = process.env["MAYFLY_GATEWAY_URL"] ?? "http://127.0.0.1:8001";

export default defineConfig({
    plugins: [svelte(), withoutJson()],
    build: {
        target: "es2022",
        // What is newer in the style sheet, `light-dark()` above all, is written so that browsers of 2023 understand it.
        cssTarget: ["chrome111", "firefox113", "safari16.4"],
        // Nothing is put inline: the content security policy allows files of our own and nothing else.
        assetsInlineLimit: 0,
        modulePreload: { polyfill: false },
        // For `scripts/weigh.ts`, which removes it.
        manifest: true,
    },
    server: {
        proxy: Object.fromEntries(["/mayfly.", "/api/"].map((path) => [path, { target: gateway }])),
    },
});

/**
 * Leaves out how Protobuf is written as JSON, an eighth of all that the page loads. gRPC-Web is binary here, so none of it is
 * ever called; the client mentions it all the same.
 */
function withoutJson(): Plugin {
    const left = /@bufbuild\/protobuf\/dist\/esm\/(?:from|to)-json\.js$/;
    return {
        name: "without-json",
        apply: "build",
        transform(code, id) {
            if (!left.test(id)) return undefined;
            const names = [...code.matchAll(/^export function (\w+)/gm)].map(([, name]) => name);
            return names.map((name) => `export function ${name}() { throw new Error("no JSON here"); }`).join("\n");
        },
    };
}
