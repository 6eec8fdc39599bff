// What a tab knows of its own reading, so that a reload shows the text again here and nowhere else.
//
// It lies in the tab's history entry (`history.state`): that survives a reload, belongs to this tab (and to whoever duplicates
// it), is never sent to anybody, and is gone with the tab. Web storage would be shared between tabs, or outlive them.

/** What is known. */
export interface TabState {
    /** The id that this tab reads with. Together with the link it gives the text again until the grace is over. */
    viewId?: string;
    /** When this tab's reader said that they have the text, in milliseconds since 1970; it is erased since. */
    finishedAt?: number;
}

/** What this tab knows. Whatever else may stand there is not ours. */
export function tabState(): TabState {
    const state: unknown = history.state;
    return typeof state === "object" && state !== null ? state : {};
}

/** Notes what this tab knows from now on; `address` changes what stands in the address bar. */
export function noteTabState(state: TabState, address?: string): void {
    history.replaceState(state, "", address);
}
