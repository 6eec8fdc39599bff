// Builds the page into `dist/`: `index.html`, and assets with a hash of the content in each name.

import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defineConfig, type Plugin } from "vite";

/** The gateway for `npm run dev`. */
const gateway = process.env["MAYFLY_GATEWAY_URL"] ?? "http://127.0.0.1:8001";

export default defineConfig({
    plugins: [svelte(), withoutJson()],
    build: {
        target: "es2022",
        // Newer CSS such as `light-dark()` is compiled for browsers of 2023.
        cssTarget: ["chrome111", "firefox113", "safari16.4"],
        // No inline assets: the content security policy allows files of this server only.
        assetsInlineLimit: 0,
        modulePreload: { polyfill: false },
        // For `scripts/script-sizes.ts`, which removes it.
        manifest: true,
    },
    server: {
        proxy: Object.fromEntries(["/mayfly.", "/api/"].map((path) => [path, { target: gateway }])),
    },
});

/**
 * Removes the JSON encoding of Protobuf, an eighth of the page. The client imports it, but gRPC-Web is binary and never
 * calls it.
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
