// The lifetimes in the form: common ones, and the default and maximum of the store, in seconds.

import type { Lifetimes } from "../api/messages.ts";
import { DAY, HOUR, MINUTE, SECOND } from "../units.ts";

const COMMON_LIFETIMES = [HOUR, DAY, 7 * DAY, 30 * DAY, 90 * DAY];
/** The default choice if the store has no default lifetime. */
const FALLBACK_DEFAULT = 7 * DAY;

/** Returns the choices for a store, the shortest first. There is at least one. */
export function choices(lifetimes: Lifetimes): number[] {
    const ofStore = [lifetimes.default, lifetimes.max].filter((seconds) => seconds !== undefined).map(rounded);
    const all = [...new Set([...COMMON_LIFETIMES, ...ofStore])].sort((a, b) => a - b);
    return all.filter((seconds) => seconds <= (lifetimes.max ?? Infinity));
}

/** Returns the initial choice. */
export function defaultChoice(lifetimes: Lifetimes): number {
    return maxWithin(choices(lifetimes), lifetimes.default ?? FALLBACK_DEFAULT);
}

/** Returns the longest of `seconds` within `limit`, or the shortest if none is. */
export function maxWithin(seconds: number[], limit: number): number {
    return seconds.findLast((choice) => choice <= limit) ?? seconds[0] ?? limit;
}

/** Rounds down to whole days from two days on, to whole hours from two hours on, and so on. */
function rounded(seconds: number): number {
    const unit = [DAY, HOUR, MINUTE].find((unit) => seconds >= 2 * unit) ?? SECOND;
    return Math.floor(seconds / unit) * unit;
}
