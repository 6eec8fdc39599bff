// The state of a reading in this tab, so that a reload shows the text again in this tab only.
//
// The state is in the tab's history entry (`history.state`). It survives a reload, belongs to this tab and its
// duplicates, is never sent, and ends with the tab. Web storage would be shared between tabs, or outlive them.

/** The state of a tab. */
export interface TabState {
    /** The id of this tab's view. With the link, it repeats the view until the grace ends. */
    viewId?: string;
    /** When the reader hid the text and it was erased, in milliseconds since 1970. */
    finishedAt?: number;
}

/** Returns the state of this tab. */
export function tabState(): TabState {
    const state: unknown = history.state;
    return typeof state === "object" && state !== null ? state : {};
}

/** Sets the state of this tab, and its address if one is given. */
export function setTabState(state: TabState, address?: string): void {
    history.replaceState(state, "", address);
}
