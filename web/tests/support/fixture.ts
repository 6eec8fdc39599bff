// The environment of a test: a browser, the program, and messages that were created without the page.

import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { createClient, type Client } from "@connectrpc/connect";
import { createGrpcWebTransport } from "@connectrpc/connect-web";
import type { Browser, BrowserContextOptions } from "playwright-core";
import { MessageService } from "../../src/gen/mayfly/message/v1/message_service_pb.ts";
import { MessageState } from "../../src/gen/mayfly/message/v1/message_state_pb.ts";
import { keyToText, generateKey, seal } from "../../src/sealed.ts";
import { launch, Visitor } from "./browser.ts";
import { System, waitUntil } from "./process.ts";

/** An unread message. */
export interface TestMessage {
    id: bigint;
    accessToken: string;
    /** Its link without the origin. */
    path: string;
}

/** The properties of a new message. */
export interface MessageOptions {
    text?: string;
    passphrase?: string;
    /** In seconds. */
    ttl?: number;
}

/** A name that is not localhost; `browser.ts` maps it to this machine. */
export const INSECURE_HOST = "mayfly.example";

export class Fixture {
    readonly messages: Client<typeof MessageService>;
    private constructor(
        readonly browser: Browser,
        readonly system: System,
    ) {
        this.messages = createClient(MessageService, createGrpcWebTransport({ baseUrl: system.gatewayUrl }));
    }

    static async start(...more: string[]): Promise<Fixture> {
        // Behind proxies all names are allowed, unless some are named.
        const hosts = more.includes("--trusted-proxies") ? [] : ["--allowed-hosts", INSECURE_HOST];
        const [browser, system] = await Promise.all([launch(), System.start(...hosts, ...more)]);
        return new Fixture(browser, system);
    }

    async stop(): Promise<void> {
        await Promise.all([this.browser.close(), this.system.stop()]);
    }

    /** The address of the page. */
    get url(): string {
        return this.system.gatewayUrl;
    }

    /** The address of the page under a name that is not localhost, so that browsers treat it as insecure. */
    get insecureUrl(): string {
        return this.url.replace("127.0.0.1", INSECURE_HOST);
    }

    /** Opens a new browser context. */
    async visitor(options: BrowserContextOptions & { origin?: string } = {}): Promise<Visitor> {
        const { origin = this.url, ...rest } = options;
        const visitor = await Visitor.create(this.browser, origin, rest);
        // Chromium logs that it ignores this header on pages without HTTPS.
        if (origin === this.insecureUrl) visitor.expectError(/Cross-Origin-Opener-Policy header has been ignored/);
        return visitor;
    }

    /** Creates a text, which the store encrypts. */
    async text({ text = "hello", passphrase = "", ttl = 3600 }: MessageOptions = {}): Promise<TestMessage> {
        const content = { case: "text", value: text } as const;
        const made = await this.messages.createMessage({ content, passphrase, ttl: durationFromMs(ttl * 1000) });
        return { ...made, path: `/m/${made.id}#${made.accessToken}` };
    }

    /** Creates sealed content, as the page does. */
    async sealed({ text = "hello", passphrase = "", ttl = 3600 }: MessageOptions = {}): Promise<TestMessage> {
        const key = generateKey();
        const content = { case: "sealed", value: await seal(text, key, 65_536) } as const;
        const made = await this.messages.createMessage({ content, passphrase, ttl: durationFromMs(ttl * 1000) });
        const keyText = await keyToText(key, made.id, made.accessToken);
        return { ...made, path: `/m/${made.id}#${made.accessToken}.${keyText}` };
    }

    /** Creates content that cannot be decrypted. Its link has a valid key. */
    async damaged(): Promise<TestMessage> {
        const content = { case: "sealed", value: new Uint8Array(300).fill(1) } as const;
        const made = await this.messages.createMessage({ content });
        const keyText = await keyToText(generateKey(), made.id, made.accessToken);
        return { ...made, path: `/m/${made.id}#${made.accessToken}.${keyText}` };
    }

    /** Creates a text whose link has a key, as if it had been encrypted in a browser. */
    async textWithKey({ text = "hello" }: MessageOptions = {}): Promise<TestMessage> {
        const { id, accessToken, path } = await this.text({ text });
        return { id, accessToken, path: `${path}.${await keyToText(generateKey(), id, accessToken)}` };
    }

    async view({ id, accessToken }: TestMessage): Promise<void> {
        await this.messages.viewMessage({ id, accessToken, acceptsSealed: true });
    }

    async burn({ id, accessToken }: TestMessage): Promise<void> {
        await this.messages.burnMessage({ id, accessToken });
    }

    /** Returns the state of a message. */
    async state({ id, accessToken }: TestMessage): Promise<keyof typeof MessageState> {
        const { state } = await this.messages.lookupMessage({ id, accessToken });
        return MessageState[state] as keyof typeof MessageState;
    }

    /** Waits until a message has this state. */
    async waitForState(message: TestMessage, state: keyof typeof MessageState): Promise<void> {
        await waitUntil(`the message is ${state}`, async () => (await this.state(message)) === state);
    }
}
