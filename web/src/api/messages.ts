// The calls of `MessageService`, in the page's own words. All throw what `failureOf` understands.

import { durationFromMs, timestampDate, type Timestamp } from "@bufbuild/protobuf/wkt";
import { MessageService } from "../gen/mayfly/message/v1/message_service_pb.ts";
import { MessageState } from "../gen/mayfly/message/v1/message_state_pb.ts";
import { clientFor } from "./client.ts";
import { failureOf, type Outcome } from "./failure.ts";
import { pause, pauseAfter, pauseBetweenLooks, pauseUntilSeen } from "./pauses.ts";

const client = clientFor(MessageService);

/** How long calls that may be repeated are repeated by themselves while nobody answers, in milliseconds. */
const PATIENCE = 20_000;
/** The same for a mere look, of which nothing depends. */
const LOOK_PATIENCE = 3_000;

/** What opens a message. */
export interface Opener {
    id: bigint;
    accessToken: string;
}

/** What a message holds: a text, or bytes that only the holder of a key turns into one. */
export type Content = { case: "text"; value: string } | { case: "sealed"; value: Uint8Array<ArrayBuffer> };

/** A message to be stored, and the id that makes storing it repeatable. */
export interface Draft {
    content: Content;
    /** In seconds. */
    ttl: number;
    /** Empty for none. */
    passphrase: string;
    requestId: string;
}

/** How long a store keeps messages, in seconds. Unset: for ever. */
export interface Lifetimes {
    longest?: number;
    default?: number;
}

/** What a store takes. */
export interface Limits {
    textBytes: number;
    lifetimes: Lifetimes;
}

/** Where a message stands. */
export type State =
    | { kind: "unread"; since: Date; expireTime?: Date; needsPassphrase: boolean; isSealed: boolean }
    | { kind: "gone"; outcome: Outcome; time: Date };

/** A text that was read, and until when this reader can ask for it again. */
export interface View {
    content: Content;
    repeatUntil?: Date;
}

/** Asks what the store takes. */
export async function getLimits(): Promise<Limits> {
    const { maxTextBytes, maxTtl, defaultTtl } = await untilAnswered(ignore, () => client.getLimits({}), LOOK_PATIENCE);
    const lifetimes = {
        ...(maxTtl && { longest: Number(maxTtl.seconds) }),
        ...(defaultTtl && { default: Number(defaultTtl.seconds) }),
    };
    return { textBytes: Number(maxTextBytes), lifetimes };
}

/** Stores a message, once, however often it is asked. */
export async function createMessage(draft: Draft, onPause: () => void): Promise<Opener & { expireTime?: Date }> {
    const created = await untilAnswered(onPause, () =>
        client.createMessage({
            content: draft.content,
            ttl: durationFromMs(draft.ttl * 1000),
            passphrase: draft.passphrase,
            requestId: draft.requestId,
        }),
    );
    return { id: created.id, accessToken: created.accessToken, ...optional("expireTime", created.expireTime) };
}

/** Looks a message up; changes nothing. */
export async function lookupMessage(opener: Opener): Promise<State> {
    return stateOf(await untilAnswered(ignore, () => client.lookupMessage({ ...opener }), LOOK_PATIENCE));
}

/** Reads a message: once, but as often as it takes for the one answer to arrive. */
export async function viewMessage(
    opener: Opener,
    how: { viewId: string; passphrase: string; acceptsSealed: boolean },
    onPause: () => void,
): Promise<View> {
    const viewed = await untilAnswered(onPause, () => client.viewMessage({ ...opener, ...how }));
    return { content: viewed.content as Content, ...optional("repeatUntil", viewed.repeatUntil) };
}

/** Tells the store that the text has arrived, which erases it there; answers when it was read. */
export async function acknowledgeView(opener: Opener, viewId: string): Promise<Date | undefined> {
    const { viewTime } = await untilAnswered(ignore, () => client.acknowledgeView({ ...opener, viewId }));
    return viewTime && timestampDate(viewTime);
}

/** Erases a message unread; answers when. */
export async function burnMessage(opener: Opener): Promise<Date | undefined> {
    const { burnTime } = await untilAnswered(ignore, () => client.burnMessage({ ...opener }));
    return burnTime && timestampDate(burnTime);
}

/**
 * Tells where a message stands, now and again and again until it is gone. While nobody answers it says `undefined`, and
 * tries again for as long as it takes. Throws what no trying again will mend.
 *
 * It asks instead of keeping a stream open: over HTTP/1.1 a browser has six connections to a server, for all its tabs.
 */
export async function* watchMessage(opener: Opener, signal: AbortSignal): AsyncGenerator<State | undefined> {
    const start = performance.now();
    for (let failures = 0; ;) {
        let wait: number;
        try {
            const state = stateOf(await client.lookupMessage({ ...opener }, { signal }));
            failures = 0;
            yield state;
            if (state.kind === "gone") return;
            wait = pauseBetweenLooks(performance.now() - start);
        } catch (error) {
            signal.throwIfAborted();
            const { kind } = failureOf(error);
            if (kind !== "away" && kind !== "busy" && kind !== "failed" && kind !== "sign-in") throw error;
            failures += 1;
            if (failures > 1) yield undefined;
            wait = pauseAfter(failures);
        }
        await pauseUntilSeen(wait, signal);
    }
}

/** Calls until somebody answers, whatever the answer; gives up after a while. Only for calls that may be repeated. */
async function untilAnswered<Answer>(
    onPause: () => void,
    call: () => Promise<Answer>,
    patience = PATIENCE,
): Promise<Answer> {
    const end = performance.now() + patience;
    for (let failures = 1; ; failures += 1) {
        try {
            return await call();
        } catch (error) {
            if (failureOf(error).kind !== "away" || performance.now() >= end) throw error;
        }
        onPause();
        // The last try is made when the patience ends, not a pause later.
        await pause(Math.min(pauseAfter(failures), end - performance.now()));
    }
}

const ignore = () => {};

function stateOf(seen: {
    state: MessageState;
    stateTime?: Timestamp | undefined;
    expireTime?: Timestamp | undefined;
    needsPassphrase: boolean;
    isSealed: boolean;
}): State {
    const time = seen.stateTime ? timestampDate(seen.stateTime) : new Date(NaN);
    switch (seen.state) {
        case MessageState.VIEWED:
            return { kind: "gone", outcome: "viewed", time };
        case MessageState.BURNED:
            return { kind: "gone", outcome: "burned", time };
        case MessageState.EXPIRED:
            return { kind: "gone", outcome: "expired", time };
        case MessageState.UNREAD:
        case MessageState.UNSPECIFIED: {
            const { needsPassphrase, isSealed } = seen;
            return {
                kind: "unread",
                since: time,
                needsPassphrase,
                isSealed,
                ...optional("expireTime", seen.expireTime),
            };
        }
    }
}

/** A field that is there only when the store gave it. */
function optional<Name extends string>(name: Name, time: Timestamp | undefined): { [name in Name]?: Date } {
    return (time === undefined ? {} : { [name]: timestampDate(time) }) as { [name in Name]?: Date };
}
