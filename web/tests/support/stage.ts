// Everything that a test of the page plays on: a browser, the program, and messages that were made without the page.

import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { createClient, type Client } from "@connectrpc/connect";
import { createGrpcWebTransport } from "@connectrpc/connect-web";
import type { Browser, BrowserContextOptions } from "playwright-core";
import { MessageService } from "../../src/gen/mayfly/message/v1/message_service_pb.ts";
import { MessageState } from "../../src/gen/mayfly/message/v1/message_state_pb.ts";
import { keyToText, newKey, seal } from "../../src/sealed.ts";
import { launch, Visitor } from "./browser.ts";
import { System, until } from "./system.ts";

/** A message that waits for its reader. */
export interface Waiting {
    id: bigint;
    accessToken: string;
    /** What opens it on the page, without the origin. */
    path: string;
}

/** What a message is made of. */
export interface Making {
    text?: string;
    passphrase?: string;
    /** In seconds. */
    ttl?: number;
}

/** A name that no browser takes for this machine; `browser.ts` has it resolve to it. */
export const INSECURE_HOST = "mayfly.example";

export class Stage {
    readonly messages: Client<typeof MessageService>;
    private constructor(
        readonly browser: Browser,
        readonly system: System,
    ) {
        this.messages = createClient(MessageService, createGrpcWebTransport({ baseUrl: system.gatewayUrl }));
    }

    static async set(...more: string[]): Promise<Stage> {
        // Behind proxies all names are allowed, unless some are named.
        const hosts = more.includes("--trusted-proxies") ? [] : ["--allowed-hosts", INSECURE_HOST];
        const [browser, system] = await Promise.all([launch(), System.start(...hosts, ...more)]);
        return new Stage(browser, system);
    }

    async clear(): Promise<void> {
        await Promise.all([this.browser.close(), this.system.stop()]);
    }

    /** Where the page is. */
    get url(): string {
        return this.system.gatewayUrl;
    }

    /** Where the page is under a name that no browser takes for this machine, so that it counts as opened without HTTPS. */
    get insecureUrl(): string {
        return this.url.replace("127.0.0.1", INSECURE_HOST);
    }

    /** Somebody with a browser of their own. */
    async visitor(options: BrowserContextOptions & { origin?: string } = {}): Promise<Visitor> {
        const { origin = this.url, ...rest } = options;
        const visitor = await Visitor.arrive(this.browser, origin, rest);
        // Chromium says of a page without HTTPS that this protection does not work there.
        if (origin === this.insecureUrl) visitor.expect(/Cross-Origin-Opener-Policy header has been ignored/);
        return visitor;
    }

    /** A text that the store has sealed. */
    async text({ text = "hello", passphrase = "", ttl = 3600 }: Making = {}): Promise<Waiting> {
        const content = { case: "text", value: text } as const;
        const made = await this.messages.createMessage({ content, passphrase, ttl: durationFromMs(ttl * 1000) });
        return { ...made, path: `/m/${made.id}#${made.accessToken}` };
    }

    /** A text that was sealed as the page does it. */
    async sealed({ text = "hello", passphrase = "", ttl = 3600 }: Making = {}): Promise<Waiting> {
        const key = newKey();
        const content = { case: "sealed", value: await seal(text, key, 65_536) } as const;
        const made = await this.messages.createMessage({ content, passphrase, ttl: durationFromMs(ttl * 1000) });
        const keyText = await keyToText(key, made.id, made.accessToken);
        return { ...made, path: `/m/${made.id}#${made.accessToken}.${keyText}` };
    }

    /** Bytes that nobody can open, under a key that fits the link. */
    async damaged(): Promise<Waiting> {
        const content = { case: "sealed", value: new Uint8Array(300).fill(1) } as const;
        const made = await this.messages.createMessage({ content });
        const keyText = await keyToText(newKey(), made.id, made.accessToken);
        return { ...made, path: `/m/${made.id}#${made.accessToken}.${keyText}` };
    }

    /** A text that the store has sealed, under a link with a key, as if it had been encrypted in a browser. */
    async textWithKey({ text = "hello" }: Making = {}): Promise<Waiting> {
        const { id, accessToken, path } = await this.text({ text });
        return { id, accessToken, path: `${path}.${await keyToText(newKey(), id, accessToken)}` };
    }

    async view({ id, accessToken }: Waiting): Promise<void> {
        await this.messages.viewMessage({ id, accessToken, acceptsSealed: true });
    }

    async burn({ id, accessToken }: Waiting): Promise<void> {
        await this.messages.burnMessage({ id, accessToken });
    }

    /** Where a message stands. */
    async state({ id, accessToken }: Waiting): Promise<keyof typeof MessageState> {
        const { state } = await this.messages.lookupMessage({ id, accessToken });
        return MessageState[state] as keyof typeof MessageState;
    }

    /** Waits until a message stands so. */
    async untilState(message: Waiting, state: keyof typeof MessageState): Promise<void> {
        await until(`the message is ${state}`, async () => (await this.state(message)) === state);
    }
}
