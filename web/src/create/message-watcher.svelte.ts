// Watches the state of a created message.

import { toApiError } from "../api/errors.ts";
import { burnMessage, watchMessage, type MessageRef, type LookupResult } from "../api/messages.ts";

/** Watches a message, and can burn it. */
export class MessageWatcher {
    /** `unknown` if the store no longer has a record of it. */
    state = $state.raw<LookupResult | { kind: "unknown" }>();
    isInterrupted = $state(false);
    burnState = $state<"idle" | "burning" | "failed">("idle");

    readonly isOver = $derived(this.state?.kind === "gone" || this.state?.kind === "unknown");
    readonly expireTime: Date | undefined;
    readonly #messageRef: MessageRef;

    constructor({ messageRef, expireTime }: { messageRef: MessageRef; expireTime?: Date }) {
        this.#messageRef = messageRef;
        this.expireTime = expireTime;
    }

    /** Watches until the message is gone, or the returned function is called. */
    start(): () => void {
        const stop = new AbortController();
        void this.#watch(stop.signal);
        return () => stop.abort();
    }

    /** Erases the message unread. */
    async burn(): Promise<void> {
        this.burnState = "burning";
        try {
            const time = await burnMessage(this.#messageRef);
            this.state = { kind: "gone", finalState: "burned", time: time ?? new Date() };
            this.burnState = "idle";
        } catch (error) {
            // The message was already gone: show its state.
            const apiError = toApiError(error);
            if (apiError.kind === "gone" || apiError.kind === "unknown") this.state = apiError;
            this.burnState = this.isOver ? "idle" : "failed";
        }
    }

    async #watch(signal: AbortSignal): Promise<void> {
        try {
            for await (const state of watchMessage(this.#messageRef, signal)) {
                this.isInterrupted = state === undefined;
                if (state !== undefined && !this.isOver) this.state = state;
            }
        } catch (error) {
            if (signal.aborted) return;
            const apiError = toApiError(error);
            this.state = apiError.kind === "gone" ? apiError : { kind: "unknown" };
        }
    }
}
