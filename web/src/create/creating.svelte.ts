// Writing a message: what stands in the form, and how it becomes a link.

import { createMessage, getLimits, type Draft, type Limits, type Opener } from "../api/messages.ts";
import { failureOf } from "../api/failure.ts";
import { linkTo } from "../link.ts";
import { ALLOWANCE, canSeal, keyToText, newKey, seal, type Key } from "../sealed.ts";
import { DAY } from "../units.ts";
import { randomUuid } from "../uuid.ts";
import { choices, first, longestWithin } from "./lifetimes.ts";

/** What a store takes unless it was told otherwise; what this one takes is asked for. */
const USUAL_LIMITS: Limits = { textBytes: 65_536, lifetimes: { longest: 90 * DAY, default: 30 * DAY } };
const LONGEST_PASSPHRASE = 1_024;

/** What is wrong, in words of `texts.create`. */
export type Trouble =
    "empty" | "tooLong" | "passphraseTooLong" | "lifetimeRefused" | "away" | "busy" | "full" | "failed" | "signIn";

/** A message that is stored. */
export interface Created {
    opener: Opener;
    link: string;
    isSealed: boolean;
    hasPassphrase: boolean;
    expireTime?: Date;
}

/** What was sent, to be sent again unchanged if nobody answered: then nothing is stored twice. */
interface Attempt {
    of: string;
    draft: Draft;
    key: Key | undefined;
}

/** The form. */
export class Creating {
    text = $state("");
    passphrase = $state("");
    isPlain = $state(!canSeal());
    step = $state<"writing" | "storing" | "asking-again">("writing");
    trouble = $state<Trouble>();
    created = $state.raw<Created>();

    #limits = $state.raw(USUAL_LIMITS);
    #chosenTtl = $state<number>();

    readonly limit = $derived(this.#limits.textBytes);
    readonly lifetimes = $derived(choices(this.#limits.lifetimes));
    readonly bytes = $derived(utf8Length(this.text));
    readonly isTooLong = $derived(this.bytes > this.limit);

    #attempt: Attempt | undefined;

    /** How long the message is to wait, in seconds: as chosen, as far as the store goes along with that. */
    get ttl(): number {
        if (this.#chosenTtl === undefined) return first(this.#limits.lifetimes);
        return longestWithin(this.lifetimes, this.#chosenTtl);
    }

    set ttl(seconds: number) {
        this.#chosenTtl = seconds;
    }

    /** Asks the store what it takes. Whoever gets no answer is told by a refusal. */
    async askForLimits(): Promise<void> {
        const limits = await getLimits().catch(() => undefined);
        // What was sent already may have to be sent again, unchanged.
        if (limits !== undefined && this.step === "writing" && this.#attempt === undefined) this.#limits = limits;
    }

    /** Stores what is written. On failure everything stays as it is, and calling this again is safe. */
    async submit(): Promise<void> {
        if (this.step !== "writing") return;
        this.trouble = this.#fault();
        if (this.trouble !== undefined) return;
        this.step = "storing";
        try {
            await this.#store();
        } catch (error) {
            const failure = failureOf(error);
            const limit = failure.kind === "too-long" ? textLimit(failure.field, failure.maxBytes) : this.limit;
            if (limit < this.limit) {
                // This store takes less than usual. What was refused may have been the padding: then it fits now.
                this.#limits = { ...this.#limits, textBytes: limit };
                this.step = "writing";
                return this.submit();
            }
            this.trouble =
                failure.kind === "too-long"
                    ? "tooLong"
                    : failure.kind === "field" && failure.field === "ttl"
                      ? "lifetimeRefused"
                      : failure.kind === "away" || failure.kind === "busy" || failure.kind === "full"
                        ? failure.kind
                        : failure.kind === "sign-in"
                          ? "signIn"
                          : "failed";
        }
        this.step = "writing";
    }

    /** Forgets everything, for another message or because the page is left. */
    clear(): void {
        this.#forget();
        this.created = undefined;
        this.trouble = undefined;
    }

    #fault(): Trouble | undefined {
        if (this.text === "") return "empty";
        if (this.isTooLong) return "tooLong";
        if (utf8Length(this.passphrase.normalize()) > LONGEST_PASSPHRASE) return "passphraseTooLong";
        return undefined;
    }

    async #store(): Promise<void> {
        const { draft, key } = await this.#prepare();
        const { id, accessToken, expireTime } = await createMessage(draft, () => (this.step = "asking-again"));
        const keyText = key === undefined ? "" : await keyToText(key, id, accessToken);
        this.created = {
            opener: { id, accessToken },
            link: linkTo({ id, accessToken }, keyText),
            isSealed: key !== undefined,
            hasPassphrase: draft.passphrase !== "",
            ...(expireTime && { expireTime }),
        };
        this.#forget();
    }

    /** The same attempt as before if nothing was changed since, with the same request id, key and nonce. */
    async #prepare(): Promise<Attempt> {
        const of = JSON.stringify([this.text, this.ttl, this.passphrase, this.isPlain, this.limit]);
        if (this.#attempt?.of !== of) {
            const key = this.isPlain ? undefined : newKey();
            const content: Draft["content"] =
                key === undefined
                    ? { case: "text", value: this.text }
                    : { case: "sealed", value: await seal(this.text, key, this.limit) };
            const draft = { content, ttl: this.ttl, passphrase: this.passphrase, requestId: randomUuid() };
            this.#attempt = { of, draft, key };
        }
        return this.#attempt;
    }

    #forget(): void {
        this.#attempt?.key?.fill(0);
        this.#attempt = undefined;
        this.text = "";
        this.passphrase = "";
    }
}

/** The limit for texts that follows from what a store said of a field. */
function textLimit(field: string, maxBytes: number): number {
    return field === "sealed" ? maxBytes - ALLOWANCE : maxBytes;
}

function utf8Length(text: string): number {
    return new TextEncoder().encode(text).length;
}
