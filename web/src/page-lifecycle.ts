// Erases secrets when the page is left, since the browser may keep the document for its back button.

import { flushSync } from "svelte";

/** Calls `clear` when the page is left, and reloads the page when the browser shows it again. */
export function onPageHide(clear: () => void): () => void {
    const onHide = () => flushSync(clear);
    const onShow = (event: PageTransitionEvent) => {
        if (event.persisted) location.reload();
    };
    addEventListener("pagehide", onHide);
    addEventListener("pageshow", onShow);
    return () => {
        removeEventListener("pagehide", onHide);
        removeEventListener("pageshow", onShow);
    };
}
