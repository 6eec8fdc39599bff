// The bot's own page, with the chat for those who have no bot yet. It comes from the bot, not from here, but has to stand up
// to the same.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import type { Locator, Page } from "playwright-core";
import { API_HASH, BOT_TOKEN } from "./support/admin.ts";
import { accessibilityFaults, type Visitor } from "./support/browser.ts";
import { Stage } from "./support/stage.ts";
import { Telegram } from "./support/telegram.ts";

let stage: Stage;
let telegram: Telegram;
before(async () => {
    telegram = await Telegram.start(BOT_TOKEN);
    stage = await Stage.set("--simulator", "--telegram-api-url", telegram.url);
});
after(async () => {
    await stage?.clear();
    await telegram?.stop();
});

const visit = (options = {}): Promise<Visitor> => stage.visitor({ origin: stage.system.botUrl, ...options });

/** The page's address with the simulator's token, as `mayfly up` prints it. */
async function address(): Promise<string> {
    const token = await readFile(join(stage.system.dataDir, "simulator.token"), "utf8");
    return `${stage.system.botUrl}/#${token.trim()}`;
}

/** Writes to the bot, and answers what it writes back. */
async function say(page: Page, text: string): Promise<Locator> {
    const said = page.getByRole("log").getByRole("listitem");
    const before = await said.count();
    await page.getByLabel("Message").fill(text);
    await page.getByRole("button", { name: "Send", exact: true }).click();
    const answer = said.nth(before + 1);
    await answer.waitFor();
    return answer;
}

/** Its text, without who it is from. */
const textOf = async (answer: Locator): Promise<string> =>
    ((await answer.locator(".bubble").textContent()) ?? "").replace(/^(Bot|You): /, "");

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
            assert.deepEqual(await accessibilityFaults(page), [], `${colorScheme}, ${viewport.width}`);
        }
    }
}

test("a newcomer tries the bot without Telegram", async () => {
    const visitor = await visit();
    const page = await visitor.open(await address());
    await page.getByText("Waiting for a config").waitFor();
    await page.getByRole("button", { name: "new:hello" }).click();
    const back = page.getByRole("button", { name: "Send it back to read it" });
    await back.click();
    await page
        .getByRole("listitem")
        .filter({ hasText: /^Bot: hello$/ })
        .waitFor();
    const opener = await textOf(page.getByRole("log").getByRole("listitem").nth(1));
    assert.match(await textOf(await say(page, opener)), /was read on/);
    await isForEverybody(page);
    await visitor.leave();
});

test("what the bot is told is a text, whatever it looks like", async () => {
    const visitor = await visit();
    const page = await visitor.open(await address());
    const text = `<img src="https://elsewhere.example/x"><script>alert(1)</script> &amp; {{state}}`;
    const opener = await textOf(await say(page, `new:${text}`));
    assert.equal(await textOf(await say(page, opener)), text);
    assert.equal(await page.locator("#log img, #log script").count(), 0);
    await visitor.leave();
});

test("the buttons under a message work, and what they say can be closed with the keyboard", async () => {
    const visitor = await visit();
    const page = await visitor.open(await address());
    const answer = await say(page, "new:to burn");
    const opener = await textOf(answer);
    await answer.getByRole("button", { name: "Read yet?" }).click();
    const notice = page.getByRole("dialog");
    await notice.getByText("Not read yet").waitFor();
    assert.deepEqual(await accessibilityFaults(page), []);
    await page.keyboard.press("Escape");
    await notice.waitFor({ state: "hidden" });
    await answer.getByRole("button", { name: "Burn" }).focus();
    await page.keyboard.press("Enter");
    await answer.getByRole("button", { name: "Yes, burn it unread" }).waitFor();
    const focused = await page.evaluate(() => document.activeElement?.textContent);
    assert.equal(focused, "Yes, burn it unread", "the focus stays where it was");
    await page.keyboard.press("Enter");
    await stage.untilState(
        { id: BigInt(opener.split(":")[0]!), accessToken: opener.split(":")[1]!, path: "" },
        "BURNED",
    );
    await visitor.leave();
});

test("a page without the token shows how the bot is doing, and says where the token is", async () => {
    const visitor = await visit();
    const page = await visitor.open(stage.system.botUrl);
    await page.getByText("To chat, open the address").waitFor();
    assert.equal(await page.getByRole("button", { name: "Send", exact: true }).count(), 0);
    await isForEverybody(page);
    visitor.expect(/401/);
    await page.goto(`${stage.system.botUrl}/#wrong`);
    assert.match(await textOf(await say(page, "new:hello")), /needs its token/);
    await visitor.leave();
});

test("the page follows the bot, and is whole without its script", async () => {
    const plain = await visit({ javaScriptEnabled: false });
    await (await plain.open(stage.system.botUrl)).getByText("Waiting for a config").waitFor();
    await plain.leave();

    const visitor = await visit();
    const page = await visitor.open(stage.system.botUrl);
    await page.getByText("Waiting for a config").waitFor();
    const config = ["--session-name", "bot", "--api-id", "1", "--api-hash", API_HASH, "--bot-token", BOT_TOKEN];
    const said = await stage.system.run("config", "add", ...config, "--data-dir", stage.system.dataDir);
    assert.equal(said.code, 0, said.err);
    await page
        .getByText("Serving", { exact: true })
        .or(page.getByText("serving", { exact: true }))
        .waitFor();
    assert.match((await page.getByRole("heading", { level: 1 }).textContent()) ?? "", /^@/);
    await isForEverybody(page);

    visitor.expect(/ERR_CONNECTION_REFUSED/);
    await stage.system.halt();
    await page.getByText("the bot does not answer").waitFor();
    await visitor.leave();
});
