// The session of an admin. Only this object holds the admin token: neither storage nor address nor markup contain it.
// The token is dropped when the admin leaves or locks the page, or is idle for a while.

import { listAppConfigs, type AppConfig } from "../api/admin.ts";
import { bearerHeaders, type AuthHeaders } from "../api/client.ts";
import { toApiError, type ApiError } from "../api/errors.ts";

/** After this time without activity the session ends, in milliseconds. */
export const IDLE_TIMEOUT = 10 * 60_000;
/** How often the session checks for idleness. A timer of the full length would pause while the computer sleeps. */
const IDLE_CHECK_INTERVAL = 5_000;
/** The events that count as activity. */
const ACTIVITY_EVENTS = ["pointerdown", "keydown"] as const;

/** Why the session ended. */
export type LockReason = "locked" | "idle" | "rejected";

export class Session {
    isLoggedIn = $state(false);
    lockReason = $state<LockReason>();
    /** The app configs at the time of the login. */
    initialConfigs: AppConfig[] = [];
    #token = "";
    #lastActivity = 0;

    /** The headers of every call. */
    get authHeaders(): AuthHeaders {
        return bearerHeaders(this.#token);
    }

    /** Tries a token. Returns the error, if any. */
    async logIn(token: string): Promise<ApiError | undefined> {
        this.#token = token;
        try {
            this.initialConfigs = await listAppConfigs(this.authHeaders);
            this.isLoggedIn = true;
            this.lockReason = undefined;
            return undefined;
        } catch (error) {
            this.#token = "";
            return toApiError(error);
        }
    }

    /** Ends the session, and drops the token. */
    lock(lockReason: LockReason): void {
        this.#token = "";
        this.initialConfigs = [];
        this.isLoggedIn = false;
        this.lockReason = lockReason;
    }

    /** Locks the page when the admin is idle or leaves it, until the returned function is called. */
    lockWhenIdle(): () => void {
        const stop = new AbortController();
        const { signal } = stop;
        this.#lastActivity = Date.now();
        const lockIfIdle = () => {
            if (Date.now() - this.#lastActivity >= IDLE_TIMEOUT) this.lock("idle");
        };
        for (const event of ACTIVITY_EVENTS) {
            const recordActivity = () => {
                lockIfIdle();
                this.#lastActivity = Date.now();
            };
            addEventListener(event, recordActivity, { signal, passive: true, capture: true });
        }
        addEventListener("visibilitychange", lockIfIdle, { signal });
        addEventListener("pagehide", () => this.lock("locked"), { signal });
        const timer = setInterval(lockIfIdle, IDLE_CHECK_INTERVAL);
        signal.addEventListener("abort", () => clearInterval(timer));
        return () => stop.abort();
    }
}
