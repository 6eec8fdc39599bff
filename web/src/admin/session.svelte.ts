// Who looks after this Mayfly, for as long as the page is used. The admin token is in this object and nowhere else: no storage,
// no address, no markup. It is dropped when the page is left, locked, or not touched for a while.

import { listAppConfigs, type AppConfig, type Credentials } from "../api/admin.ts";
import { failureOf, type Failure } from "../api/failure.ts";

/** For how long a page that nobody touches stays open, in milliseconds. */
export const IDLE_LIMIT = 10 * 60_000;
/** How often that is looked at: a timer of the full length would stand still while the computer sleeps. */
const GLANCE = 5_000;
/** What counts as touching. */
const TOUCHES = ["pointerdown", "keydown"] as const;

/** Why a page that was open is not any more. */
export type Ending = "locked" | "idle" | "refused";

export class Session {
    isOpen = $state(false);
    ending = $state<Ending>();
    /** The app configs as they were when it was opened. */
    listed: AppConfig[] = [];
    #token = "";
    #lastTouch = 0;

    /** What goes with every call. */
    get credentials(): Credentials {
        return { "mayfly-authorization": `Bearer ${this.#token}` };
    }

    /** Tries a token; answers what is wrong, if anything is. */
    async open(token: string): Promise<Failure | undefined> {
        this.#token = token;
        try {
            this.listed = await listAppConfigs(this.credentials);
            this.isOpen = true;
            this.ending = undefined;
            return undefined;
        } catch (error) {
            this.#token = "";
            return failureOf(error);
        }
    }

    /** Drops the token. */
    lock(ending: Ending): void {
        this.#token = "";
        this.listed = [];
        this.isOpen = false;
        this.ending = ending;
    }

    /** Locks when nobody touches the page for a while, and when it is left; until what is answered is called. */
    guard(): () => void {
        const stop = new AbortController();
        const { signal } = stop;
        this.#lastTouch = Date.now();
        const look = () => {
            if (Date.now() - this.#lastTouch >= IDLE_LIMIT) this.lock("idle");
        };
        for (const touch of TOUCHES) {
            const noted = () => {
                look();
                this.#lastTouch = Date.now();
            };
            addEventListener(touch, noted, { signal, passive: true, capture: true });
        }
        addEventListener("visibilitychange", look, { signal });
        addEventListener("pagehide", () => this.lock("locked"), { signal });
        const timer = setInterval(look, GLANCE);
        signal.addEventListener("abort", () => clearInterval(timer));
        return () => stop.abort();
    }
}
