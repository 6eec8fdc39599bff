// The calls of `MessageService`, in types of the page. All throw errors for `toApiError`.

import { durationFromMs, timestampDate, type Timestamp } from "@bufbuild/protobuf/wkt";
import { MessageService } from "../gen/mayfly/message/v1/message_service_pb.ts";
import { MessageState } from "../gen/mayfly/message/v1/message_state_pb.ts";
import { bearerHeaders, clientFor } from "./client.ts";
import { isTemporary, toApiError, type FinalState } from "./errors.ts";
import { sleep, backoffDelay, pollInterval, sleepUntilVisible } from "./backoff.ts";

const client = clientFor(MessageService);

/** How long idempotent calls are retried while the server does not respond, in milliseconds. */
const RETRY_TIMEOUT = 20_000;
/** The same for lookups. */
const LOOKUP_RETRY_TIMEOUT = 3_000;

/** A message's id and access token. */
export interface MessageRef {
    id: bigint;
    accessToken: string;
}

/** The content of a message: a text, or bytes that the page decrypts with a key. */
export type Content = { case: "text"; value: string } | { case: "sealed"; value: Uint8Array<ArrayBuffer> };

/** A message to store, with the id that makes its creation idempotent. */
export interface Draft {
    content: Content;
    /** In seconds. */
    ttl: number;
    /** Empty for none. */
    passphrase: string;
    requestId: string;
}

/** The lifetimes of messages in a store, in seconds. Undefined: without limit. */
export interface Lifetimes {
    max?: number;
    default?: number;
}

/** The limits of a store. */
export interface Limits {
    maxTextBytes: number;
    lifetimes: Lifetimes;
    /** Whether creating a message needs a token. */
    createNeedsToken: boolean;
}

/** The result of a lookup. */
export type LookupResult =
    | { kind: "unread"; since: Date; expireTime?: Date; needsPassphrase: boolean; isSealed: boolean }
    | { kind: "gone"; finalState: FinalState; time: Date };

/** The content of a read message, and the time until which this reader can repeat the view. */
export interface View {
    content: Content;
    repeatUntil?: Date;
}

/** Returns the limits of the store. */
export async function getLimits(): Promise<Limits> {
    const { maxTextBytes, maxTtl, defaultTtl, createNeedsToken } = await withRetry(
        ignoreRetry,
        () => client.getLimits({}),
        LOOKUP_RETRY_TIMEOUT,
    );
    const lifetimes = {
        ...(maxTtl && { max: Number(maxTtl.seconds) }),
        ...(defaultTtl && { default: Number(defaultTtl.seconds) }),
    };
    return { maxTextBytes: Number(maxTextBytes), lifetimes, createNeedsToken };
}

/** Stores a message, with this token if it is not empty. Retries are idempotent. */
export async function createMessage(
    draft: Draft,
    token: string,
    onRetry: () => void,
): Promise<MessageRef & { expireTime?: Date }> {
    const request = {
        content: draft.content,
        ttl: durationFromMs(draft.ttl * 1000),
        passphrase: draft.passphrase,
        requestId: draft.requestId,
    };
    const options = token === "" ? {} : { headers: bearerHeaders(token) };
    const created = await withRetry(onRetry, () => client.createMessage(request, options));
    return { id: created.id, accessToken: created.accessToken, ...optional("expireTime", created.expireTime) };
}

/** Looks up a message. Changes nothing. */
export async function lookupMessage(messageRef: MessageRef): Promise<LookupResult> {
    return toLookupResult(
        await withRetry(ignoreRetry, () => client.lookupMessage({ ...messageRef }), LOOKUP_RETRY_TIMEOUT),
    );
}

/** Reads a message. Retries with the same `viewId` return the same content. */
export async function viewMessage(
    messageRef: MessageRef,
    options: { viewId: string; passphrase: string; acceptsSealed: boolean },
    onRetry: () => void,
): Promise<View> {
    const viewed = await withRetry(onRetry, () => client.viewMessage({ ...messageRef, ...options }));
    return { content: viewed.content as Content, ...optional("repeatUntil", viewed.repeatUntil) };
}

/** Confirms that the text has arrived; the store erases it. Returns when it was read. */
export async function acknowledgeView(messageRef: MessageRef, viewId: string): Promise<Date | undefined> {
    const { viewTime } = await withRetry(ignoreRetry, () => client.acknowledgeView({ ...messageRef, viewId }));
    return viewTime && timestampDate(viewTime);
}

/** Erases a message unread. Returns when. */
export async function burnMessage(messageRef: MessageRef): Promise<Date | undefined> {
    const { burnTime } = await withRetry(ignoreRetry, () => client.burnMessage({ ...messageRef }));
    return burnTime && timestampDate(burnTime);
}

/**
 * Yields the state of a message repeatedly until the message is gone. Yields `undefined` while the server does not
 * respond, and retries without end. Throws permanent errors.
 *
 * It polls instead of keeping a stream open: over HTTP/1.1 a browser has six connections to a server, for all its tabs.
 */
export async function* watchMessage(
    messageRef: MessageRef,
    signal: AbortSignal,
): AsyncGenerator<LookupResult | undefined> {
    const start = performance.now();
    for (let failures = 0; ;) {
        let delay: number;
        try {
            const state = toLookupResult(await client.lookupMessage({ ...messageRef }, { signal }));
            failures = 0;
            yield state;
            if (state.kind === "gone") return;
            delay = pollInterval(performance.now() - start);
        } catch (error) {
            signal.throwIfAborted();
            if (!isTemporary(toApiError(error))) throw error;
            failures += 1;
            if (failures > 1) yield undefined;
            delay = backoffDelay(failures);
        }
        await sleepUntilVisible(delay, signal);
    }
}

/** Retries a call until the server responds, or the timeout ends. For idempotent calls. */
async function withRetry<Response>(
    onRetry: () => void,
    call: () => Promise<Response>,
    timeout = RETRY_TIMEOUT,
): Promise<Response> {
    const end = performance.now() + timeout;
    for (let failures = 1; ; failures += 1) {
        try {
            return await call();
        } catch (error) {
            if (toApiError(error).kind !== "unavailable" || performance.now() >= end) throw error;
        }
        onRetry();
        // The last retry is at the end of the timeout.
        await sleep(Math.min(backoffDelay(failures), end - performance.now()));
    }
}

const ignoreRetry = () => {};

function toLookupResult(response: {
    state: MessageState;
    stateTime?: Timestamp | undefined;
    expireTime?: Timestamp | undefined;
    needsPassphrase: boolean;
    isSealed: boolean;
}): LookupResult {
    const time = response.stateTime ? timestampDate(response.stateTime) : new Date(NaN);
    switch (response.state) {
        case MessageState.VIEWED:
            return { kind: "gone", finalState: "viewed", time };
        case MessageState.BURNED:
            return { kind: "gone", finalState: "burned", time };
        case MessageState.EXPIRED:
            return { kind: "gone", finalState: "expired", time };
        case MessageState.UNREAD:
        case MessageState.UNSPECIFIED: {
            const { needsPassphrase, isSealed } = response;
            return {
                kind: "unread",
                since: time,
                needsPassphrase,
                isSealed,
                ...optional("expireTime", response.expireTime),
            };
        }
    }
}

/** Returns a field with the time, or no field if the time is undefined. */
function optional<Name extends string>(name: Name, time: Timestamp | undefined): { [name in Name]?: Date } {
    return (time === undefined ? {} : { [name]: timestampDate(time) }) as { [name in Name]?: Date };
}
