// Reading a message: from a link to a text, or to why there is none. Every step is one page.
//
// Opening the page looks the message up, which changes nothing; only a click reads it. The read is made with a random
// `view_id` that this tab keeps, so a lost answer is asked for again, and a reload within the grace shows the text
// again. So the page does not acknowledge the view as soon as the text is shown, which would make a reload fail. It
// does when the reader hides the text; otherwise the store erases it when the grace ends. Until then nobody but this
// tab gets it.
//
// A link with a key says that its message was encrypted in a browser. For such a link the page accepts sealed content
// only: a server that delivers a text in clear instead could have written that text itself.

import { failureOf, type Failure, type Outcome } from "../api/failure.ts";
import { acknowledgeView, lookupMessage, viewMessage, type Content } from "../api/messages.ts";
import { parseLink, type Link } from "../link.ts";
import { canSeal, keyFromText, open, Unreadable, type Key } from "../sealed.ts";
import { randomUuid } from "../uuid.ts";
import { noteTabState, tabState } from "./tab.ts";

/** What can be read, once it is clicked. */
export interface Unread {
    step: "unread";
    since: Date;
    expireTime?: Date;
    isSealed: boolean;
    needsPassphrase: boolean;
    passphrase?: "missing" | "wrong";
}

/** Where the reader stands. Each step is a page of its own. */
export type Step =
    | { step: "looking" }
    | Unread
    /** The read was asked for; `isSlow` when nobody has answered yet. */
    | { step: "opening"; isSlow: boolean }
    | { step: "shown"; text: string; repeatUntil?: Date }
    /** This reader had the text, and hid it; until the erasure is done, a reload shows it again. */
    | { step: "finished"; erasure: "under-way" | "done" | "failed" }
    | { step: "gone"; outcome: Outcome; time: Date }
    | { step: "unknown" }
    /** What is wrong with the link. */
    | { step: "incomplete" | "mistyped" | "keyMissing" | "keyMistyped" }
    /** The browser does not decrypt on a page without HTTPS. */
    | { step: "insecure" }
    | { step: "locked"; until: Date }
    /** The link has a key, and the server says before the read that the message is not sealed. Nothing was read. */
    | { step: "notSealed" }
    /** The link has a key, and the server returned a text in clear. The server counts the message as read. */
    | { step: "substituted" }
    /** The content was delivered and does not decrypt. */
    | { step: "unreadable" }
    /** Nothing was lost; it may work if it is tried again. */
    | { step: "away" | "busy" | "failed" | "signIn" }
    /** The page was left. */
    | { step: "left" };

/** One reading of one link. */
export class Reading {
    current = $state.raw<Step>({ step: "looking" });

    #link: Link | undefined;
    #unread: Unread | undefined;
    #key: Key | undefined;
    #run = 0;

    /** Looks at the address, and at the message behind it. Also for trying again. */
    async start(): Promise<void> {
        const run = ++this.#run;
        this.current = { step: "looking" };
        this.#key = undefined;
        if (tabState().finishedAt !== undefined) return this.#show({ step: "finished", erasure: "done" }, run);
        const link = parseLink(location);
        if (typeof link === "string") return this.#show({ step: link }, run);
        this.#link = link;
        try {
            this.#show(await this.#look(link), run);
        } catch (error) {
            this.#show(this.#stepFor(failureOf(error)), run);
        }
    }

    /** Reads the message. This is the click. */
    async read(passphrase: string): Promise<void> {
        const unread = this.#unread;
        if (this.#link === undefined || unread === undefined || this.current.step !== "unread") return;
        if (unread.needsPassphrase && passphrase === "") {
            this.current = { ...unread, passphrase: "missing" };
            return;
        }
        const run = this.#run;
        const viewId = tabState().viewId ?? randomUuid();
        noteTabState({ viewId });
        this.current = { step: "opening", isSlow: false };
        try {
            this.#show(await this.#view(this.#link, viewId, passphrase), run);
        } catch (error) {
            this.#show(this.#stepFor(failureOf(error)), run);
        }
    }

    /** Takes the text from the screen and has it erased, for good. */
    async finish(): Promise<void> {
        const { viewId } = tabState();
        const link = this.#link;
        if (link === undefined || viewId === undefined) return;
        const run = this.#run;
        this.current = { step: "finished", erasure: "under-way" };
        try {
            await acknowledgeView(link.opener, viewId);
        } catch (error) {
            const { kind } = failureOf(error);
            // Whatever else the store says, it has no text for this view any more.
            if (kind === "away" || kind === "busy" || kind === "failed" || kind === "sign-in") {
                return this.#show({ step: "finished", erasure: "failed" }, run);
            }
        }
        if (run !== this.#run) return;
        // The link opens nothing any more, so nothing of it need stand in the address bar or in the history.
        noteTabState({ finishedAt: Date.now() }, location.pathname + location.search);
        this.current = { step: "finished", erasure: "done" };
    }

    /** Forgets everything that is shown. */
    clear(): void {
        this.#run += 1;
        this.#key?.fill(0);
        this.current = { step: "left" };
    }

    /** What the page says at first. Changes nothing, except that it asks again for a text that this tab has read already. */
    async #look(link: Link): Promise<Step> {
        const state = await lookupMessage(link.opener);
        const { viewId } = tabState();
        const isReadHere = state.kind === "gone" && state.outcome === "viewed" && viewId !== undefined;
        if (state.kind === "gone" && !isReadHere) return { step: "gone", ...state };
        if (link.keyText !== "") {
            if (!canSeal()) return { step: "insecure" };
            const { id, accessToken } = link.opener;
            this.#key = await keyFromText(link.keyText, id, accessToken);
            if (this.#key === undefined) return { step: "keyMistyped" };
        }
        if (state.kind === "gone") return this.#view(link, viewId ?? "", "");
        // What the server says about the message has to agree with the link before anything is read.
        if (state.isSealed && this.#key === undefined) return { step: "keyMissing" };
        if (!state.isSealed && this.#key !== undefined) return { step: "notSealed" };
        const { kind: _, ...unread } = state;
        return (this.#unread = { step: "unread", ...unread });
    }

    async #view(link: Link, viewId: string, passphrase: string): Promise<Step> {
        const how = { viewId, passphrase, acceptsSealed: this.#key !== undefined };
        const view = await viewMessage(link.opener, how, () => (this.current = { step: "opening", isSlow: true }));
        if (view.content.case === "text" && link.keyText !== "") return { step: "substituted" };
        try {
            const text = await this.#decrypt(view.content);
            return { step: "shown", text, ...(view.repeatUntil && { repeatUntil: view.repeatUntil }) };
        } catch (error) {
            if (error instanceof Unreadable) return { step: "unreadable" };
            throw error;
        }
    }

    async #decrypt(content: Content): Promise<string> {
        if (content.case === "text") return content.value;
        if (this.#key === undefined) throw new Unreadable("no key");
        return open(content.value, this.#key);
    }

    /** The one table from failures to pages. */
    #stepFor(failure: Failure): Step {
        switch (failure.kind) {
            case "gone":
                return { step: "gone", outcome: failure.outcome, time: failure.time };
            case "unknown":
            case "mistyped":
            case "away":
            case "busy":
                return { step: failure.kind };
            case "sign-in":
                return { step: "signIn" };
            case "passphrase-required":
            case "passphrase-wrong":
                if (this.#unread === undefined) return { step: "failed" };
                return {
                    ...this.#unread,
                    needsPassphrase: true,
                    passphrase: failure.kind === "passphrase-wrong" ? "wrong" : "missing",
                };
            case "passphrase-locked":
                return { step: "locked", until: failure.until };
            case "sealed":
                return { step: "keyMissing" };
            case "too-long":
            case "full":
            case "field":
            case "credentials":
            case "forbidden":
            case "config-unknown":
            case "failed":
                return { step: "failed" };
        }
    }

    /** Shows a step, unless the page was left or another link was opened in the meantime. */
    #show(step: Step, run: number): void {
        if (run === this.#run) this.current = step;
    }
}
