// Which page belongs to a path. Pages are documents of their own: whoever goes to another one leaves nothing behind in memory.

import type { Component } from "svelte";

/** A page, loaded when it is needed. */
export type Page = () => Promise<{ default: Component }>;

/** The page at a path of this site. Whatever is no other page is taken for a link to a message, and so says what is wrong with it. */
export function pageAt(path: string): Page {
    if (path === "/") return () => import("./create/Create.svelte");
    if (path === "/admin" || path === "/admin/") return () => import("./admin/Admin.svelte");
    return () => import("./read/Read.svelte");
}
