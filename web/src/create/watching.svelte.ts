// What becomes of a message that was just written.

import { failureOf } from "../api/failure.ts";
import { burnMessage, watchMessage, type Opener, type State } from "../api/messages.ts";

/** Where a message stands, as far as this page knows. */
export class Watching {
    /** `unknown` when the store knows nothing of it any more. */
    state = $state.raw<State | { kind: "unknown" }>();
    isInterrupted = $state(false);
    burn = $state<"idle" | "burning" | "failed">("idle");

    readonly isOver = $derived(this.state?.kind === "gone" || this.state?.kind === "unknown");
    readonly expireTime: Date | undefined;
    readonly #opener: Opener;

    constructor({ opener, expireTime }: { opener: Opener; expireTime?: Date }) {
        this.#opener = opener;
        this.expireTime = expireTime;
    }

    /** Watches until the message is gone, or until what is answered is called. */
    start(): () => void {
        const stop = new AbortController();
        void this.#watch(stop.signal);
        return () => stop.abort();
    }

    /** Erases the message unread. */
    async burnNow(): Promise<void> {
        this.burn = "burning";
        try {
            const time = await burnMessage(this.#opener);
            this.state = { kind: "gone", outcome: "burned", time: time ?? new Date() };
            this.burn = "idle";
        } catch (error) {
            // Somebody was faster: then that is what the page says.
            const failure = failureOf(error);
            if (failure.kind === "gone" || failure.kind === "unknown") this.state = failure;
            this.burn = this.isOver ? "idle" : "failed";
        }
    }

    async #watch(signal: AbortSignal): Promise<void> {
        try {
            for await (const state of watchMessage(this.#opener, signal)) {
                this.isInterrupted = state === undefined;
                if (state !== undefined && !this.isOver) this.state = state;
            }
        } catch (error) {
            if (signal.aborted) return;
            const failure = failureOf(error);
            this.state = failure.kind === "gone" ? failure : { kind: "unknown" };
        }
    }
}
