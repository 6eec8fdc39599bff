// Maps paths to pages. Each page is a document of its own, so navigation leaves nothing in memory.

import type { Component } from "svelte";

/** A page that is loaded on demand. */
export type Page = () => Promise<{ default: Component }>;

/** Returns the page at a path. All other paths count as links to a message, whose page shows the error. */
export function pageAt(path: string): Page {
    if (path === "/") return () => import("./create/Create.svelte");
    if (path === "/admin" || path === "/admin/") return () => import("./admin/Admin.svelte");
    return () => import("./read/Read.svelte");
}
