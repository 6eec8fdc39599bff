// How Svelte's compiler is called, by the build and by the checks alike.

/** @type {import("@sveltejs/vite-plugin-svelte").SvelteConfig} */
export default {
    compilerOptions: {
        runes: true,
        // Elements are made one by one and not from strings of HTML, so that the page runs where Trusted Types are demanded and
        // no policy may be made.
        fragments: "tree",
        css: "external",
    },
};
