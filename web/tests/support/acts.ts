// What people do on the page, one function for each act.

import type { Locator, Page } from "playwright-core";
import type { Visitor } from "./browser.ts";
import type { Stage } from "./stage.ts";

export interface Writing {
    /** Also readable in Telegram and over REST. */
    isPlain?: boolean;
    passphrase?: string;
}

/** Writes a message on the page, and answers the page and the link that it shows. */
export async function write(
    stage: Stage,
    visitor: Visitor,
    text: string,
    { isPlain = false, passphrase = "" }: Writing = {},
): Promise<{ page: Page; link: string }> {
    const page = await visitor.open(`${stage.url}/`);
    await page.getByLabel("Message", { exact: true }).fill(text);
    await page.getByLabel("Passphrase (optional)").fill(passphrase);
    if (isPlain) await page.getByRole("switch").check();
    await page.getByRole("button", { name: "Create link" }).click();
    return { page, link: await handedOn(page, "Link") };
}

/** What the page gives to hand on. */
export async function handedOn(page: Page, name: "Link" | "For Telegram and the terminal"): Promise<string> {
    return (await page.getByRole("group", { name, exact: true }).locator("code").textContent()) ?? "";
}

/** Clicks what reads the message. */
export async function read(page: Page): Promise<void> {
    await page.getByRole("button", { name: "Read the message" }).click();
}

/** Where the text is shown. */
export function shown(page: Page): Locator {
    return page.getByRole("region", { name: "Message" });
}

/** The page's title, as it is shown. */
export function title(page: Page, name: string): Locator {
    return page.getByRole("heading", { level: 1, name, exact: true });
}

/** Waits for the page with this title. */
export async function arrivesAt(page: Page, name: string): Promise<void> {
    await title(page, name).waitFor();
}

/** `id` and `access_token` of a link or of an `id:token`. */
export function openerOf(link: string): { id: number; access_token: string } {
    const [, id, access_token = ""] = /(\d+)[#:]([0-9a-f]{64})/.exec(link) ?? [];
    return { id: Number(id), access_token };
}
