// The configuration of the Svelte compiler, for builds and checks.

/** @type {import("@sveltejs/vite-plugin-svelte").SvelteConfig} */
export default {
    compilerOptions: {
        runes: true,
        // Elements are created one by one, not from strings of HTML. So the page works where Trusted Types are
        // required and no policy is allowed.
        fragments: "tree",
        css: "external",
    },
};
