// The lifetimes that a writer can choose from: round ones, and those that the store names, all in seconds.

import type { Lifetimes } from "../api/messages.ts";
import { DAY, HOUR, MINUTE, SECOND } from "../units.ts";

const ROUND = [HOUR, DAY, 7 * DAY, 30 * DAY, 90 * DAY];
/** What is chosen at first when a store keeps messages for ever. */
const WITHOUT_DEFAULT = 7 * DAY;

/** What can be chosen at a store, the shortest first. There is always something. */
export function choices(lifetimes: Lifetimes): number[] {
    const named = [lifetimes.default, lifetimes.longest].filter((seconds) => seconds !== undefined).map(rounded);
    const all = [...new Set([...ROUND, ...named])].sort((a, b) => a - b);
    return all.filter((seconds) => seconds <= (lifetimes.longest ?? Infinity));
}

/** What is chosen unless the writer chooses. */
export function first(lifetimes: Lifetimes): number {
    return longestWithin(choices(lifetimes), lifetimes.default ?? WITHOUT_DEFAULT);
}

/** The longest of `seconds` that is no longer than `limit`, or else the shortest of them. */
export function longestWithin(seconds: number[], limit: number): number {
    return seconds.findLast((choice) => choice <= limit) ?? seconds[0] ?? limit;
}

/** Down to what people say: whole days from two days on, whole hours from two hours on, and so forth. */
function rounded(seconds: number): number {
    const unit = [DAY, HOUR, MINUTE].find((unit) => seconds >= 2 * unit) ?? SECOND;
    return Math.floor(seconds / unit) * unit;
}
