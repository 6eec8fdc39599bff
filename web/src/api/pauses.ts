// Pauses between tries: growing, and different in every browser, so that a server that comes back is not stormed.

const FIRST = 500;
const LONGEST = 15_000;

/** How long to wait after so many failed tries in a row, in milliseconds. */
export function pauseAfter(failures: number): number {
    const longest = Math.min(LONGEST, FIRST * 2 ** Math.min(failures - 1, 10));
    return longest * (0.5 + Math.random() / 2);
}

/** Waits; ends early, and throws, when `signal` says so, if there is one. */
export function pause(milliseconds: number, signal?: AbortSignal): Promise<void> {
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

/** The shortest and the longest pause between two looks at something that changes. */
const SHORTEST_LOOK = 2_000;
const LONGEST_LOOK = 30_000;

/** How long to wait before the next look, in milliseconds, when the first was so long ago: longer and longer. */
export function pauseBetweenLooks(age: number): number {
    return Math.min(Math.max(age / 10, SHORTEST_LOOK), LONGEST_LOOK);
}

/** As `pause`, and ends early when the page is seen again: in the background, browsers slow its timers down. */
export async function pauseUntilSeen(milliseconds: number, signal: AbortSignal): Promise<void> {
    const seen = new AbortController();
    const look = () => {
        if (!document.hidden) seen.abort();
    };
    document.addEventListener("visibilitychange", look);
    try {
        await pause(milliseconds, AbortSignal.any([signal, seen.signal]));
    } catch {
        signal.throwIfAborted();
    } finally {
        document.removeEventListener("visibilitychange", look);
    }
}
