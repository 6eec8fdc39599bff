// What happens when a page is left: nothing secret stays in a document that a browser may keep to go back to.

import { flushSync } from "svelte";

/** Calls `clear` when the page is left, before the browser puts it aside, and shows it anew if somebody comes back to it. */
export function onLeaving(clear: () => void): () => void {
    const leave = () => flushSync(clear);
    const comeBack = (event: PageTransitionEvent) => {
        if (event.persisted) location.reload();
    };
    addEventListener("pagehide", leave);
    addEventListener("pageshow", comeBack);
    return () => {
        removeEventListener("pagehide", leave);
        removeEventListener("pageshow", comeBack);
    };
}
