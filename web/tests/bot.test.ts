// The page of the bot, with the chat simulator. The bot serves it, but it has the same quality requirements.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import type { Locator, Page } from "playwright-core";
import { parseMessageRef } from "./support/actions.ts";
import { API_HASH, BOT_TOKEN } from "./support/admin.ts";
import { accessibilityViolations, type Visitor } from "./support/browser.ts";
import { Fixture } from "./support/fixture.ts";
import { FakeTelegram } from "./support/fake-telegram.ts";

let fixture: Fixture;
let telegram: FakeTelegram;
before(async () => {
    telegram = await FakeTelegram.start(BOT_TOKEN);
    fixture = await Fixture.start("--simulator", "--telegram-api-url", telegram.url);
});
after(async () => {
    await fixture?.stop();
    await telegram?.stop();
});

const newVisitor = (options = {}): Promise<Visitor> => fixture.visitor({ origin: fixture.system.botUrl, ...options });

/** Returns the page's address with the simulator's token, as `mayfly up` prints it. */
async function address(): Promise<string> {
    const token = await readFile(join(fixture.system.dataDir, "simulator.token"), "utf8");
    return `${fixture.system.botUrl}/#${token.trim()}`;
}

/** Sends a message to the bot, and returns the reply. */
async function send(page: Page, text: string): Promise<Locator> {
    const output = page.getByRole("log").getByRole("listitem");
    const before = await output.count();
    await page.getByLabel("Message").fill(text);
    await page.getByRole("button", { name: "Send", exact: true }).click();
    const reply = output.nth(before + 1);
    await reply.waitFor();
    return reply;
}

/** Returns the text of a message without its sender. */
const textOf = async (reply: Locator): Promise<string> =>
    ((await reply.locator(".bubble").textContent()) ?? "").replace(/^(Bot|You): /, "");

async function isForEverybody(page: Page): Promise<void> {
    for (const viewport of [
        { width: 320, height: 640 },
        { width: 1280, height: 800 },
    ]) {
        await page.setViewportSize(viewport);
        const isCutOff = await page.evaluate(() => document.documentElement.scrollWidth > innerWidth);
        assert.equal(isCutOff, false, `${viewport.width} pixels are too few`);
        const tail = await page.evaluate(() => {
            const { scrollHeight } = document.documentElement;
            return scrollHeight - Math.max(innerHeight, document.body.getBoundingClientRect().bottom + scrollY);
        });
        assert.ok(tail <= 1, `${tail} pixels of nothing follow the page`);
        for (const colorScheme of ["light", "dark"] as const) {
            await page.emulateMedia({ colorScheme });
            assert.deepEqual(await accessibilityViolations(page), [], `${colorScheme}, ${viewport.width}`);
        }
    }
}

test("the simulator replies without Telegram", async () => {
    const visitor = await newVisitor();
    const page = await visitor.open(await address());
    await page.getByText("Waiting for a config").waitFor();
    await page.getByRole("button", { name: "new:hello" }).click();
    const back = page.getByRole("button", { name: "Send it back to read it" });
    await back.click();
    await page
        .getByRole("listitem")
        .filter({ hasText: /^Bot: hello$/ })
        .waitFor();
    const messageRef = await textOf(page.getByRole("log").getByRole("listitem").nth(1));
    assert.match(await textOf(await send(page, messageRef)), /was read on/);
    await isForEverybody(page);
    await visitor.close();
});

test("a text cannot become markup in the chat", async () => {
    const visitor = await newVisitor();
    const page = await visitor.open(await address());
    const text = `<img src="https://elsewhere.example/x"><script>alert(1)</script> &amp; {{state}}`;
    const messageRef = await textOf(await send(page, `new:${text}`));
    assert.equal(await textOf(await send(page, messageRef)), text);
    assert.equal(await page.locator("#log img, #log script").count(), 0);
    await visitor.close();
});

test("the buttons of a message work with the keyboard", async () => {
    const visitor = await newVisitor();
    const page = await visitor.open(await address());
    const reply = await send(page, "new:to burn");
    const messageRef = await textOf(reply);
    await reply.getByRole("button", { name: "Read yet?" }).click();
    const notice = page.getByRole("dialog");
    await notice.getByText("Not read yet").waitFor();
    assert.deepEqual(await accessibilityViolations(page), []);
    await page.keyboard.press("Escape");
    await notice.waitFor({ state: "hidden" });
    await reply.getByRole("button", { name: "Burn" }).focus();
    await page.keyboard.press("Enter");
    await reply.getByRole("button", { name: "Yes, burn it unread" }).waitFor();
    const focused = await page.evaluate(() => document.activeElement?.textContent);
    assert.equal(focused, "Yes, burn it unread", "the focus stays where it was");
    await page.keyboard.press("Enter");
    const { id, access_token: accessToken } = parseMessageRef(messageRef);
    await fixture.waitForState({ id: BigInt(id), accessToken, path: "" }, "BURNED");
    await visitor.close();
});

test("a page without the token shows the status and explains the token", async () => {
    const visitor = await newVisitor();
    const page = await visitor.open(fixture.system.botUrl);
    await page.getByText("To chat, open the address").waitFor();
    assert.equal(await page.getByRole("button", { name: "Send", exact: true }).count(), 0);
    await isForEverybody(page);
    visitor.expectError(/401/);
    await page.goto(`${fixture.system.botUrl}/#wrong`);
    assert.match(await textOf(await send(page, "new:hello")), /needs its token/);
    await visitor.close();
});

test("the page updates the status, and shows it without its script too", async () => {
    const plain = await newVisitor({ javaScriptEnabled: false });
    await (await plain.open(fixture.system.botUrl)).getByText("Waiting for a config").waitFor();
    await plain.close();

    const visitor = await newVisitor();
    const page = await visitor.open(fixture.system.botUrl);
    await page.getByText("Waiting for a config").waitFor();
    const config = ["--session-name", "bot", "--api-id", "1", "--api-hash", API_HASH, "--bot-token", BOT_TOKEN];
    const output = await fixture.system.run("config", "add", ...config, "--data-dir", fixture.system.dataDir);
    assert.equal(output.code, 0, output.err);
    await page
        .getByText("Serving", { exact: true })
        .or(page.getByText("serving", { exact: true }))
        .waitFor();
    assert.match((await page.getByRole("heading", { level: 1 }).textContent()) ?? "", /^@/);
    await isForEverybody(page);

    visitor.expectError(/ERR_CONNECTION_REFUSED/);
    await fixture.system.kill();
    await page.getByText("the bot does not answer").waitFor();
    await visitor.close();
});
