// A browser that fails the test for every logged error, every violation of the content security policy, and every
// request to another host.

import assert from "node:assert/strict";
import axe from "axe-core";
import { chromium, type Browser, type BrowserContext, type BrowserContextOptions, type Page } from "playwright-core";
import { TIMEOUT } from "./process.ts";

const EXECUTABLE = process.env["MAYFLY_CHROMIUM"] ?? "/usr/bin/chromium";
/** Headless, without background activity. */
const FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    // A name that is not localhost, so that browsers treat it as insecure.
    "--host-resolver-rules=MAP mayfly.example 127.0.0.1",
];

export function launch(): Promise<Browser> {
    return chromium.launch({ executablePath: EXECUTABLE, args: FLAGS });
}

/** A browser context, which shares nothing with others. */
export class Visitor {
    readonly context: BrowserContext;
    readonly #errors: string[] = [];
    readonly #expected: RegExp[] = [];

    private constructor(context: BrowserContext, origin: string) {
        this.context = context;
        context.on("console", (message) => {
            if (message.type() === "error" || message.type() === "warning") this.#errors.push(message.text());
        });
        context.on("weberror", (error) => this.#errors.push(String(error.error())));
        context.on("request", (request) => {
            const { protocol, origin: requested } = new URL(request.url());
            if (requested !== origin && protocol !== "about:") this.#errors.push(`a request to ${request.url()}`);
        });
    }

    static async create(browser: Browser, origin: string, options: BrowserContextOptions = {}): Promise<Visitor> {
        const context = await browser.newContext({ locale: "en-GB", timezoneId: "UTC", ...options });
        context.setDefaultTimeout(TIMEOUT);
        return new Visitor(context, origin);
    }

    /** Declares an expected error. `close` fails if it does not occur. */
    expectError(error: RegExp): void {
        this.#expected.push(error);
    }

    /** Opens an address in a new tab, and waits for its heading. */
    async open(url: string): Promise<Page> {
        const page = await this.context.newPage();
        await page.goto(url);
        await page.locator("h1").waitFor();
        return page;
    }

    /** Closes the context. Fails on unexpected errors, and on expected errors that did not occur. */
    async close(): Promise<void> {
        await this.context.close();
        const isExpected = (error: string) => this.#expected.some((pattern) => pattern.test(error));
        assert.deepEqual(
            this.#errors.filter((error) => !isExpected(error)),
            [],
        );
        for (const pattern of this.#expected) {
            assert.ok(
                this.#errors.some((error) => pattern.test(error)),
                `${pattern} did not happen`,
            );
        }
    }
}

/** Returns the violations that axe finds on the page. */
export async function accessibilityViolations(page: Page): Promise<string[]> {
    await page.evaluate(axe.source);
    const { violations } = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
    return violations.flatMap(({ id, nodes }) => nodes.map(({ html }) => `${id}: ${html}`));
}

declare global {
    interface Window {
        axe: typeof axe;
    }
}
