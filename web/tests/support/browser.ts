// A browser in which nothing may go wrong unseen: what a page logs as an error, what its security policy refuses, and every
// request to another host fails the test.

import assert from "node:assert/strict";
import axe from "axe-core";
import { chromium, type Browser, type BrowserContext, type BrowserContextOptions, type Page } from "playwright-core";
import { PATIENCE } from "./system.ts";

const EXECUTABLE = process.env["MAYFLY_CHROMIUM"] ?? "/usr/bin/chromium";
/** Headless, and without what a browser does in the background by itself. */
const FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    // A name that is not of this machine, so that what is opened under it counts as opened without HTTPS.
    "--host-resolver-rules=MAP mayfly.example 127.0.0.1",
];

export function launch(): Promise<Browser> {
    return chromium.launch({ executablePath: EXECUTABLE, args: FLAGS });
}

/** One person's browser: nothing in it is shared with another. */
export class Visitor {
    readonly context: BrowserContext;
    readonly #troubles: string[] = [];
    readonly #expected: RegExp[] = [];

    private constructor(context: BrowserContext, origin: string) {
        this.context = context;
        context.on("console", (message) => {
            if (message.type() === "error" || message.type() === "warning") this.#troubles.push(message.text());
        });
        context.on("weberror", (error) => this.#troubles.push(String(error.error())));
        context.on("request", (request) => {
            const { protocol, origin: asked } = new URL(request.url());
            if (asked !== origin && protocol !== "about:") this.#troubles.push(`a request to ${request.url()}`);
        });
    }

    static async arrive(browser: Browser, origin: string, options: BrowserContextOptions = {}): Promise<Visitor> {
        const context = await browser.newContext({ locale: "en-GB", timezoneId: "UTC", ...options });
        context.setDefaultTimeout(PATIENCE);
        return new Visitor(context, origin);
    }

    /** Says that a trouble is meant to happen. It has to. */
    expect(trouble: RegExp): void {
        this.#expected.push(trouble);
    }

    /** Opens an address in a tab of its own, and waits until the page has something to say. */
    async open(url: string): Promise<Page> {
        const page = await this.context.newPage();
        await page.goto(url);
        await page.locator("h1").waitFor();
        return page;
    }

    /** Ends the visit. Nothing may have gone wrong that was not expected, and everything that was. */
    async leave(): Promise<void> {
        await this.context.close();
        const isExpected = (trouble: string) => this.#expected.some((pattern) => pattern.test(trouble));
        assert.deepEqual(
            this.#troubles.filter((trouble) => !isExpected(trouble)),
            [],
        );
        for (const pattern of this.#expected) {
            assert.ok(
                this.#troubles.some((trouble) => pattern.test(trouble)),
                `${pattern} did not happen`,
            );
        }
    }
}

/** Everything that axe has to say against the page as it stands. */
export async function accessibilityFaults(page: Page): Promise<string[]> {
    await page.evaluate(axe.source);
    const { violations } = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
    return violations.flatMap(({ id, nodes }) => nodes.map(({ html }) => `${id}: ${html}`));
}

declare global {
    interface Window {
        axe: typeof axe;
    }
}
