// The state of reading a message, from the link to the text or to an error. Each step has its own view.
//
// The page looks up the message when it opens, which changes nothing. Only a click reads the message. The view has a
// random `view_id` that this tab keeps. So the call can be repeated if its response is lost, and a reload within the
// grace shows the text again. The page does not acknowledge the view when it shows the text, since a reload would then
// fail. It acknowledges the view when the reader hides the text; otherwise the store erases the text at the end of the
// grace.
//
// If a link has a key, its message was encrypted in a browser. For such a link the page accepts sealed content only:
// the server could have written a clear text itself.

import { isTemporary, toApiError, type ApiError, type FinalState } from "../api/errors.ts";
import { acknowledgeView, lookupMessage, viewMessage, type Content } from "../api/messages.ts";
import { parseLink, type Link } from "../link.ts";
import { canSeal, keyFromText, open, DecryptionError, type Key } from "../sealed.ts";
import { randomUuid } from "../uuid.ts";
import { setTabState, tabState } from "./tab-state.ts";

/** An unread message. */
export interface Unread {
    step: "unread";
    since: Date;
    expireTime?: Date;
    isSealed: boolean;
    needsPassphrase: boolean;
    passphrase?: "missing" | "wrong";
}

/** A step of the reading. Each step has its own view. */
export type Step =
    | { step: "loading" }
    | Unread
    /** The message is being read. `isSlow` if the server did not respond to the first call. */
    | { step: "opening"; isSlow: boolean }
    | { step: "shown"; text: string; repeatUntil?: Date }
    /** The reader has hidden the text. Until the erasure is done, a reload shows it again. */
    | { step: "finished"; erasure: "erasing" | "done" | "failed" }
    | { step: "gone"; finalState: FinalState; time: Date }
    | { step: "unknown" }
    /** The link is invalid. */
    | { step: "incomplete" | "mistyped" | "keyMissing" | "keyMistyped" }
    /** The browser does not decrypt on a page without HTTPS. */
    | { step: "insecure" }
    | { step: "locked"; until: Date }
    /** The link has a key, but according to the server the message is not sealed. Nothing was read. */
    | { step: "notSealed" }
    /** The link has a key, and the server returned a text in clear. The server counts the message as read. */
    | { step: "substituted" }
    /** The content was read, but cannot be decrypted. */
    | { step: "unreadable" }
    /** Nothing was lost. A retry may succeed. */
    | { step: "unavailable" | "busy" | "failed" | "signIn" }
    /** The page was left. */
    | { step: "left" };

/** The reading of one link. */
export class ReadState {
    current = $state.raw<Step>({ step: "loading" });

    #link: Link | undefined;
    #unread: Unread | undefined;
    #key: Key | undefined;
    #run = 0;

    /** Parses the address, and looks up the message. Also for retries. */
    async start(): Promise<void> {
        const run = ++this.#run;
        this.current = { step: "loading" };
        this.#key = undefined;
        if (tabState().finishedAt !== undefined) return this.#show({ step: "finished", erasure: "done" }, run);
        const link = parseLink(location);
        if (typeof link === "string") return this.#show({ step: link }, run);
        this.#link = link;
        try {
            this.#show(await this.#lookUp(link), run);
        } catch (error) {
            this.#show(this.#stepFor(toApiError(error)), run);
        }
    }

    /** Reads the message, after a click. */
    async read(passphrase: string): Promise<void> {
        const unread = this.#unread;
        if (this.#link === undefined || unread === undefined || this.current.step !== "unread") return;
        if (unread.needsPassphrase && passphrase === "") {
            this.current = { ...unread, passphrase: "missing" };
            return;
        }
        const run = this.#run;
        const viewId = tabState().viewId ?? randomUuid();
        setTabState({ viewId });
        this.current = { step: "opening", isSlow: false };
        try {
            this.#show(await this.#view(this.#link, viewId, passphrase), run);
        } catch (error) {
            this.#show(this.#stepFor(toApiError(error)), run);
        }
    }

    /** Hides the text, and lets the store erase it. */
    async finish(): Promise<void> {
        const { viewId } = tabState();
        const link = this.#link;
        if (link === undefined || viewId === undefined) return;
        const run = this.#run;
        this.current = { step: "finished", erasure: "erasing" };
        try {
            await acknowledgeView(link.messageRef, viewId);
        } catch (error) {
            // After other errors the store no longer has a text for this view.
            if (isTemporary(toApiError(error))) return this.#show({ step: "finished", erasure: "failed" }, run);
        }
        if (run !== this.#run) return;
        // The link is now useless, so remove its secrets from the address bar and the history.
        setTabState({ finishedAt: Date.now() }, location.pathname + location.search);
        this.current = { step: "finished", erasure: "done" };
    }

    /** Erases everything that is shown. */
    clear(): void {
        this.#run += 1;
        this.#key?.fill(0);
        this.current = { step: "left" };
    }

    /** Returns the first step. Changes nothing, except that it repeats a view of this tab. */
    async #lookUp(link: Link): Promise<Step> {
        const state = await lookupMessage(link.messageRef);
        const { viewId } = tabState();
        const isReadByThisTab = state.kind === "gone" && state.finalState === "viewed" && viewId !== undefined;
        if (state.kind === "gone" && !isReadByThisTab) return { step: "gone", ...state };
        if (link.keyText !== "") {
            if (!canSeal()) return { step: "insecure" };
            const { id, accessToken } = link.messageRef;
            this.#key = await keyFromText(link.keyText, id, accessToken);
            if (this.#key === undefined) return { step: "keyMistyped" };
        }
        if (state.kind === "gone") return this.#view(link, viewId ?? "", "");
        // The state from the server must match the link before anything is read.
        if (state.isSealed && this.#key === undefined) return { step: "keyMissing" };
        if (!state.isSealed && this.#key !== undefined) return { step: "notSealed" };
        const { kind: _, ...unread } = state;
        return (this.#unread = { step: "unread", ...unread });
    }

    async #view(link: Link, viewId: string, passphrase: string): Promise<Step> {
        const options = { viewId, passphrase, acceptsSealed: this.#key !== undefined };
        const view = await viewMessage(
            link.messageRef,
            options,
            () => (this.current = { step: "opening", isSlow: true }),
        );
        if (view.content.case === "text" && link.keyText !== "") return { step: "substituted" };
        try {
            const text = await this.#decrypt(view.content);
            return { step: "shown", text, ...(view.repeatUntil && { repeatUntil: view.repeatUntil }) };
        } catch (error) {
            if (error instanceof DecryptionError) return { step: "unreadable" };
            throw error;
        }
    }

    async #decrypt(content: Content): Promise<string> {
        if (content.case === "text") return content.value;
        if (this.#key === undefined) throw new DecryptionError("no key");
        return open(content.value, this.#key);
    }

    /** Maps errors to steps. */
    #stepFor(error: ApiError): Step {
        switch (error.kind) {
            case "gone":
                return { step: "gone", finalState: error.finalState, time: error.time };
            case "unknown":
            case "mistyped":
            case "unavailable":
            case "busy":
            case "signIn":
                return { step: error.kind };
            case "passphraseRequired":
            case "passphraseWrong":
                if (this.#unread === undefined) return { step: "failed" };
                return {
                    ...this.#unread,
                    needsPassphrase: true,
                    passphrase: error.kind === "passphraseWrong" ? "wrong" : "missing",
                };
            case "passphraseLocked":
                return { step: "locked", until: error.until };
            case "sealed":
                return { step: "keyMissing" };
            case "tooLong":
            case "full":
            case "field":
            case "credentials":
            case "forbidden":
            case "tokenRequired":
            case "tokenEnded":
            case "tokenUnknown":
            case "nameTaken":
            case "configUnknown":
            case "failed":
                return { step: "failed" };
        }
    }

    /** Shows a step, unless the page was left or another link was opened meanwhile. */
    #show(step: Step, run: number): void {
        if (run === this.#run) this.current = step;
    }
}
