// The state of the form for a new message, and the creation of the message and its link.

import { createMessage, getLimits, type Draft, type Limits, type MessageRef } from "../api/messages.ts";
import { toApiError, type ApiError } from "../api/errors.ts";
import { linkTo } from "../link.ts";
import { SEALED_OVERHEAD, canSeal, keyToText, generateKey, seal, type Key } from "../sealed.ts";
import { DAY } from "../units.ts";
import { randomUuid } from "../uuid.ts";
import { choices, defaultChoice, maxWithin } from "./lifetimes.ts";

/** The default limits of a store. The page replaces them with the limits of its store. */
const DEFAULT_LIMITS: Limits = {
    maxTextBytes: 65_536,
    lifetimes: { max: 90 * DAY, default: 30 * DAY },
    createNeedsToken: false,
};
const MAX_PASSPHRASE_BYTES = 1_024;

/** Why a message was not created, as a key of `texts.create`. */
export type CreateError =
    | "empty"
    | "tooLong"
    | "passphraseTooLong"
    | "lifetimeRejected"
    | "unavailable"
    | "busy"
    | "full"
    | "failed"
    | "signIn"
    | "tokenMissing"
    | "tokenWrong"
    | "tokenEnded"
    | "tokenForbidden";

/** The errors that another token can mend. */
const TOKEN_ERRORS: readonly (CreateError | undefined)[] = [
    "tokenMissing",
    "tokenWrong",
    "tokenEnded",
    "tokenForbidden",
];

/** A stored message. */
export interface Created {
    messageRef: MessageRef;
    link: string;
    isSealed: boolean;
    hasPassphrase: boolean;
    expireTime?: Date;
}

/** The last request. If the server did not respond, the page sends it again unchanged, so nothing is stored twice. */
interface Attempt {
    /** The inputs that the request was made from. */
    inputs: string;
    draft: Draft;
    key: Key | undefined;
}

/** The state of the form. */
export class CreateState {
    text = $state("");
    passphrase = $state("");
    /** The API token, for a server that lets only known people create messages. It stays in the memory of this tab. */
    token = $state("");
    needsToken = $state(false);
    isPlain = $state(!canSeal());
    step = $state<"writing" | "storing" | "retrying">("writing");
    error = $state<CreateError>();
    created = $state.raw<Created>();

    #limits = $state.raw(DEFAULT_LIMITS);
    #chosenTtl = $state<number>();

    readonly maxTextBytes = $derived(this.#limits.maxTextBytes);
    readonly lifetimes = $derived(choices(this.#limits.lifetimes));
    readonly bytes = $derived(utf8Length(this.text));
    readonly isTokenRejected = $derived(TOKEN_ERRORS.includes(this.error));
    readonly isTooLong = $derived(this.bytes > this.maxTextBytes);

    #attempt: Attempt | undefined;

    /** The lifetime in seconds: the chosen one, or the longest that the store allows. */
    get ttl(): number {
        if (this.#chosenTtl === undefined) return defaultChoice(this.#limits.lifetimes);
        return maxWithin(this.lifetimes, this.#chosenTtl);
    }

    set ttl(seconds: number) {
        this.#chosenTtl = seconds;
    }

    /** Loads the limits of the store. If this fails, a rejected creation returns them. */
    async loadLimits(): Promise<void> {
        const limits = await getLimits().catch(() => undefined);
        this.needsToken ||= limits?.createNeedsToken === true;
        // A request that was already sent may have to be repeated unchanged.
        if (limits !== undefined && this.step === "writing" && this.#attempt === undefined) this.#limits = limits;
    }

    /** Stores the message. After an error the form is unchanged, and the call can be repeated. */
    async submit(): Promise<void> {
        if (this.step !== "writing") return;
        this.error = this.#validate();
        if (this.error !== undefined) return;
        this.step = "storing";
        try {
            await this.#store();
        } catch (error) {
            const apiError = toApiError(error);
            const limit =
                apiError.kind === "tooLong" ? textLimit(apiError.field, apiError.maxBytes) : this.maxTextBytes;
            if (limit < this.maxTextBytes) {
                // This store's limit is below the default. Perhaps only the padding exceeded it, so try once more.
                this.#limits = { ...this.#limits, maxTextBytes: limit };
                this.step = "writing";
                return this.submit();
            }
            this.error = createErrorFor(apiError);
            this.needsToken ||= this.isTokenRejected;
        }
        this.step = "writing";
    }

    /** Erases everything, because the page is left. */
    leave(): void {
        this.clear();
        this.token = "";
    }

    /** Erases everything but the token, for another message. */
    clear(): void {
        this.#eraseInputs();
        this.created = undefined;
        this.error = undefined;
    }

    #validate(): CreateError | undefined {
        if (this.text === "") return "empty";
        if (this.isTooLong) return "tooLong";
        if (utf8Length(this.passphrase.normalize()) > MAX_PASSPHRASE_BYTES) return "passphraseTooLong";
        if (this.needsToken && this.token.trim() === "") return "tokenMissing";
        return undefined;
    }

    async #store(): Promise<void> {
        const { draft, key } = await this.#prepare();
        const { id, accessToken, expireTime } = await createMessage(
            draft,
            this.needsToken ? this.token.trim() : "",
            () => (this.step = "retrying"),
        );
        const keyText = key === undefined ? "" : await keyToText(key, id, accessToken);
        this.created = {
            messageRef: { id, accessToken },
            link: linkTo({ id, accessToken }, keyText),
            isSealed: key !== undefined,
            hasPassphrase: draft.passphrase !== "",
            ...(expireTime && { expireTime }),
        };
        this.#eraseInputs();
    }

    /** Returns the last attempt if the inputs are unchanged, with the same request id, key and nonce. */
    async #prepare(): Promise<Attempt> {
        const inputs = JSON.stringify([this.text, this.ttl, this.passphrase, this.isPlain, this.maxTextBytes]);
        if (this.#attempt?.inputs !== inputs) {
            const key = this.isPlain ? undefined : generateKey();
            const content: Draft["content"] =
                key === undefined
                    ? { case: "text", value: this.text }
                    : { case: "sealed", value: await seal(this.text, key, this.maxTextBytes) };
            const draft = { content, ttl: this.ttl, passphrase: this.passphrase, requestId: randomUuid() };
            this.#attempt = { inputs, draft, key };
        }
        return this.#attempt;
    }

    #eraseInputs(): void {
        this.#attempt?.key?.fill(0);
        this.#attempt = undefined;
        this.text = "";
        this.passphrase = "";
    }
}

function createErrorFor(error: ApiError): CreateError {
    switch (error.kind) {
        case "tooLong":
        case "unavailable":
        case "busy":
        case "full":
        case "signIn":
        case "tokenEnded":
            return error.kind;
        case "tokenRequired":
            return "tokenMissing";
        case "credentials":
            return "tokenWrong";
        case "forbidden":
            return "tokenForbidden";
        default:
            return error.kind === "field" && error.field === "ttl" ? "lifetimeRejected" : "failed";
    }
}

/** Returns the limit for texts that follows from the limit of a field. */
function textLimit(field: string, maxBytes: number): number {
    return field === "sealed" ? maxBytes - SEALED_OVERHEAD : maxBytes;
}

function utf8Length(text: string): number {
    return new TextEncoder().encode(text).length;
}
