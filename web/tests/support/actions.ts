// The actions of users on the page.

import type { Locator, Page } from "playwright-core";
import type { Visitor } from "./browser.ts";
import type { Fixture } from "./fixture.ts";

export interface MessageForm {
    /** Whether Telegram and REST can read the message too. */
    isPlain?: boolean;
    passphrase?: string;
}

/** Creates a message on the page. Returns the page and the link. */
export async function createMessage(
    fixture: Fixture,
    visitor: Visitor,
    text: string,
    { isPlain = false, passphrase = "" }: MessageForm = {},
): Promise<{ page: Page; link: string }> {
    const page = await visitor.open(`${fixture.url}/`);
    await page.getByLabel("Message", { exact: true }).fill(text);
    await page.getByLabel("Passphrase (optional)").fill(passphrase);
    if (isPlain) await page.getByRole("switch").check();
    await page.getByRole("button", { name: "Create link" }).click();
    return { page, link: await copyableText(page, "Link") };
}

/** Returns a text that the page offers for copying. */
export async function copyableText(page: Page, name: "Link" | "For Telegram and the terminal"): Promise<string> {
    return (await page.getByRole("group", { name, exact: true }).locator("code").textContent()) ?? "";
}

/** Clicks the button that reads the message. */
export async function readMessage(page: Page): Promise<void> {
    await page.getByRole("button", { name: "Read the message" }).click();
}

/** The element with the text. */
export function messageText(page: Page): Locator {
    return page.getByRole("region", { name: "Message" });
}

/** The page's heading. */
export function heading(page: Page, name: string): Locator {
    return page.getByRole("heading", { level: 1, name, exact: true });
}

/** Waits for a page with this heading. */
export async function waitForHeading(page: Page, name: string): Promise<void> {
    await heading(page, name).waitFor();
}

/** Parses a link or an `id:token`. */
export function parseMessageRef(link: string): { id: number; access_token: string } {
    const [, id, access_token = ""] = /(\d+)[#:]([0-9a-f]{64})/.exec(link) ?? [];
    return { id: Number(id), access_token };
}
