// The admin page, from the login to a serving bot.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import type { Locator, Page } from "playwright-core";
import { heading } from "./support/actions.ts";
import { Admin, API_HASH, BOT_TOKEN } from "./support/admin.ts";
import { accessibilityViolations } from "./support/browser.ts";
import { Fixture } from "./support/fixture.ts";
import { waitUntil } from "./support/process.ts";
import { FakeTelegram } from "./support/fake-telegram.ts";

let telegram: FakeTelegram;
let fixture: Fixture;
let admin: Admin;
before(async () => {
    telegram = await FakeTelegram.start(BOT_TOKEN);
    fixture = await Fixture.start("--telegram-api-url", telegram.url);
    admin = await Admin.forSystem(fixture.system);
});
after(async () => {
    await fixture?.stop();
    await telegram?.stop();
});

/** The status of the bot on the page. */
function bot(page: Page): Locator {
    return page.getByRole("region", { name: "The bot" }).getByRole("status");
}

function waitForText(page: Page, text: string | RegExp): Promise<void> {
    return page.getByText(text).first().waitFor();
}

test("a token that is not the admin token is rejected", async () => {
    const visitor = await fixture.visitor();
    const page = await visitor.open(`${fixture.url}/admin`);
    const service = (await readFile(join(fixture.system.dataDir, "service.token"), "utf8")).trim();
    for (const [token, text] of [
        ["", "Enter the admin token."],
        ["wrong", "That is not the admin token."],
        [service, "That is not the admin token."],
        ["not even\u00e9a header", "That is not the admin token."],
    ] as const) {
        await page.getByLabel("Admin token").fill(token);
        await page.getByRole("button", { name: "Open" }).click();
        await waitForText(page, text);
        assert.equal(await page.getByLabel("Admin token").inputValue(), "");
        assert.equal(await page.getByRole("heading", { name: "Configurations" }).count(), 0);
    }
    await visitor.close();
});

test("six tabs that watch the bot do not block a seventh", async () => {
    const visitor = await fixture.visitor();
    for (let tab = 1; tab <= 6; tab += 1) {
        await bot(await admin.openDashboard(fixture, visitor)).waitFor();
    }
    await bot(await admin.openDashboard(fixture, visitor)).waitFor();
    await visitor.close();
});

test("an admin adds an app config and the bot replies", async () => {
    const visitor = await fixture.visitor();
    const page = await admin.openDashboard(fixture, visitor);
    await waitForText(page, "There is none yet.");
    await bot(page).getByText("Waits for an active configuration").waitFor();

    // Inactive, so the bot does not use it yet.
    await page.getByRole("button", { name: "Add a configuration" }).click();
    await page.getByLabel("Name", { exact: true }).fill("team bot");
    await page.getByLabel("API id", { exact: true }).fill("7278174");
    await page.getByLabel("API hash", { exact: true }).fill(API_HASH);
    await page.getByLabel("Bot token", { exact: true }).fill(BOT_TOKEN);
    await page.getByRole("switch", { name: "Active" }).uncheck();
    assert.deepEqual(await accessibilityViolations(page), []);
    await page.getByRole("button", { name: "Save" }).click();
    const card = page.getByRole("listitem").filter({ hasText: "team bot" });
    await card.getByText("inactive").waitFor();
    for (const known of ["set, ends in …1184", "set, ends in …Dsaw"]) await card.getByText(known).waitFor();

    await card.getByRole("button", { name: "Test" }).click();
    await card.getByText(/^It works: Telegram knows this bot as @\w+/).waitFor();
    assert.equal(await bot(page).getByText("Waits for an active configuration").count(), 1, "testing changes nothing");

    await card.getByRole("button", { name: "Activate", exact: true }).click();
    await bot(page).getByText("Answers its chats").waitFor();
    await card.getByText("in use").waitFor();
    const pair = await telegram.sendMessage(7, "new:hello");
    assert.match(pair, /^\d+:[0-9a-f]{64}$/);
    assert.equal(await telegram.sendMessage(7, pair), "hello");

    // A new name and unchanged secrets: the bot continues.
    await card.getByRole("button", { name: "Edit" }).click();
    await waitForText(page, /^From the same page\. It is set, ends in …1184\./);
    await page.getByLabel("Name", { exact: true }).fill("our bot");
    assert.equal(await page.getByLabel("Bot token", { exact: true }).inputValue(), "");
    await page.getByRole("button", { name: "Save" }).click();
    const renamed = page.getByRole("listitem").filter({ hasText: "our bot" });
    await renamed.getByText("in use").waitFor();
    assert.match(await telegram.sendMessage(7, "new:again"), /^\d+:[0-9a-f]{64}$/);
    const markup = await page.content();
    for (const secret of [API_HASH, BOT_TOKEN, BOT_TOKEN.slice(11), admin.token]) {
        assert.ok(!markup.includes(secret), "no secret is in the page");
    }

    // A token that Telegram rejects.
    await renamed.getByRole("button", { name: "Edit" }).click();
    await page.getByLabel("Bot token", { exact: true }).fill("1000000000:unknown");
    await page.getByRole("button", { name: "Save" }).click();
    await bot(page).getByText("Telegram refuses its token").waitFor();
    await renamed.getByRole("button", { name: "Test" }).click();
    await renamed.getByText("Telegram refuses the bot token.").waitFor();

    await renamed.getByRole("button", { name: "Deactivate" }).click();
    await bot(page).getByText("Waits for an active configuration").waitFor();
    await renamed.getByRole("button", { name: "Delete" }).click();
    await renamed.getByRole("button", { name: "Keep it" }).click();
    await renamed.getByRole("button", { name: "Delete" }).click();
    await renamed.getByRole("button", { name: "Yes, delete it" }).click();
    await waitForText(page, "There is none yet.");
    await visitor.close();
});

test("a person’s account as the newest active config disables the bot", async () => {
    const visitor = await fixture.visitor();
    const page = await admin.openDashboard(fixture, visitor);
    const add = async (name: string, isBot: boolean): Promise<Locator> => {
        await page.getByRole("button", { name: "Add a configuration" }).click();
        await page.getByLabel("Name", { exact: true }).fill(name);
        await page.getByLabel("API id", { exact: true }).fill("7278174");
        await page.getByLabel("API hash", { exact: true }).fill(API_HASH);
        await page.getByLabel("Bot token", { exact: true }).fill(BOT_TOKEN);
        await page.getByRole("switch", { name: "It is a bot" }).setChecked(isBot);
        await page.getByRole("button", { name: "Save" }).click();
        return page.getByRole("listitem").filter({ hasText: name });
    };
    const first = await add("first of ours", true);
    await first.getByText("in use").waitFor();
    const person = await add("a colleague", false);
    await person.getByText("the newest that is active: the bot uses none").waitFor();
    await first.getByText("A newer one is active, a person’s account: the bot uses none").waitFor();
    await bot(page).getByText("Waits for an active configuration").waitFor();
    const second = await add("second of ours", true);
    await second.getByText("in use").waitFor();
    await first.getByText("A newer one is active: the bot uses that one").waitFor();
    await person.getByText("A person’s account: the bot does not use it").waitFor();
    for (const card of [first, person, second]) {
        await card.getByRole("button", { name: "Delete" }).click();
        await card.getByRole("button", { name: "Yes, delete it" }).click();
    }
    await waitForText(page, "There is none yet.");
    await visitor.close();
});

test("an invalid field is named and nothing is stored", async () => {
    const visitor = await fixture.visitor();
    const page = await admin.openDashboard(fixture, visitor);
    await page.getByRole("button", { name: "Add a configuration" }).click();
    for (const [label, wrong, right, text] of [
        ["Name", "", "x", "Give it a name"],
        ["API id", "seven", "7", "Give a number"],
        ["API hash", "", "h", "Give the hash"],
        ["Bot token", "no token", "1:A", "Give the token"],
    ] as const) {
        const input = page.getByLabel(label, { exact: true });
        await input.fill(wrong);
        await page.getByRole("button", { name: "Save" }).click();
        await page.getByRole("alert").getByText(text).waitFor();
        await waitUntil(`${label} has the focus`, () => input.evaluate((it) => it === document.activeElement));
        await input.fill(right);
    }
    await page.getByRole("button", { name: "Cancel" }).click();
    await waitForText(page, "There is none yet.");
    await visitor.close();
});

test("a stored configuration whose response was lost is in the list", async () => {
    const visitor = await fixture.visitor();
    visitor.expectError(/ERR_FAILED/);
    const page = await admin.openDashboard(fixture, visitor);
    await waitForText(page, "There is none yet.");
    await page.route("**/CreateAppConfig", async (route) => {
        await route.fetch();
        await route.abort();
    });
    await page.getByRole("button", { name: "Add a configuration" }).click();
    await page.getByLabel("Name", { exact: true }).fill("stored all the same");
    await page.getByLabel("API id", { exact: true }).fill("7278174");
    await page.getByLabel("API hash", { exact: true }).fill(API_HASH);
    await page.getByLabel("Bot token", { exact: true }).fill(BOT_TOKEN);
    await page.getByRole("switch", { name: "Active" }).uncheck();
    await page.getByRole("button", { name: "Save" }).click();
    await page.getByRole("alert").waitFor();
    const card = page.getByRole("listitem").filter({ hasText: "stored all the same" });
    await card.waitFor();
    await page.getByRole("button", { name: "Cancel" }).click();
    await card.getByRole("button", { name: "Delete" }).click();
    await card.getByRole("button", { name: "Yes, delete it" }).click();
    await waitForText(page, "There is none yet.");
    await visitor.close();
});

test("the page locks by its button and after idle time", async () => {
    const visitor = await fixture.visitor();
    const page = await admin.openDashboard(fixture, visitor, async (page) => page.clock.install());
    await page.getByRole("button", { name: "Lock" }).click();
    await heading(page, "Administration").waitFor();
    await waitForText(page, "Locked. The token is dropped.");

    await admin.logIn(page);
    await page.clock.fastForward(9 * 60_000);
    await page.keyboard.press("Shift");
    await page.clock.fastForward(9 * 60_000);
    assert.equal(await page.getByRole("heading", { name: "Configurations" }).count(), 1, "it was touched");
    await page.clock.fastForward(2 * 60_000);
    await waitForText(page, "Locked, because the page was idle for a while.");
    assert.equal(await page.getByRole("heading", { name: "Configurations" }).count(), 0);
    await visitor.close();
});

test("a token that is rejected later locks the page", async () => {
    const visitor = await fixture.visitor();
    const page = await admin.openDashboard(fixture, visitor);
    await visitor.context.route("**/mayfly.config.v1.ConfigService/CreateAppConfig", (route) =>
        route.continue({ headers: { ...route.request().headers(), "mayfly-authorization": "Bearer gone" } }),
    );
    await page.getByRole("button", { name: "Add a configuration" }).click();
    await page.getByRole("button", { name: "Save" }).click();
    await waitForText(page, "Locked: the server does not accept the token any more.");
    await visitor.close();
});

test("going back to the page requires the token again", async () => {
    const visitor = await fixture.visitor();
    const page = await admin.openDashboard(fixture, visitor);
    await page.goto(`${fixture.url}/`);
    await page.goBack();
    await page.getByLabel("Admin token").waitFor();
    await visitor.close();
});

test("an unreachable bot is reported until it responds again", async () => {
    const visitor = await fixture.visitor();
    visitor.expectError(/Failed to load resource/);
    await visitor.context.route("**/mayfly.bot.v1.BotService/*", (route) => route.abort());
    const page = await admin.openDashboard(fixture, visitor);
    await bot(page).getByText("The bot does not respond.").waitFor();
    await visitor.context.unroute("**/mayfly.bot.v1.BotService/*");
    await bot(page).getByText("Waits for an active configuration").waitFor();
    await visitor.close();
});
