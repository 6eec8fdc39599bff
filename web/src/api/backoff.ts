// Delays between retries. They grow, and have jitter, so that browsers do not all retry at once when a server restarts.

const MIN_DELAY = 500;
const MAX_DELAY = 15_000;

/** Returns the delay after this number of failures in a row, in milliseconds. */
export function backoffDelay(failures: number): number {
    const maxDelay = Math.min(MAX_DELAY, MIN_DELAY * 2 ** Math.min(failures - 1, 10));
    return maxDelay * (0.5 + Math.random() / 2);
}

/** Sleeps. Throws when `signal` is aborted. */
export function sleep(milliseconds: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
        const stop = () => {
            clearTimeout(timer);
            reject(signal?.reason as Error);
        };
        if (signal?.aborted) return stop();
        const timer = setTimeout(() => {
            signal?.removeEventListener("abort", stop);
            resolve();
        }, milliseconds);
        signal?.addEventListener("abort", stop, { once: true });
    });
}

/** The limits of the time between two polls, in milliseconds. */
const MIN_POLL_INTERVAL = 2_000;
const MAX_POLL_INTERVAL = 30_000;

/** Returns the time until the next poll, in milliseconds. It grows with the time since the first poll. */
export function pollInterval(age: number): number {
    return Math.min(Math.max(age / 10, MIN_POLL_INTERVAL), MAX_POLL_INTERVAL);
}

/** Like `sleep`, but ends early when the page becomes visible: browsers slow down timers in the background. */
export async function sleepUntilVisible(milliseconds: number, signal: AbortSignal): Promise<void> {
    const visible = new AbortController();
    const onChange = () => {
        if (!document.hidden) visible.abort();
    };
    document.addEventListener("visibilitychange", onChange);
    try {
        await sleep(milliseconds, AbortSignal.any([signal, visible.signal]));
    } catch {
        signal.throwIfAborted();
    } finally {
        document.removeEventListener("visibilitychange", onChange);
    }
}
