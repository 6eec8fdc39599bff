// API tokens: creating messages on a server that requires one, and managing tokens on the admin page.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { Page } from "playwright-core";
import { copyableText } from "./support/actions.ts";
import { Admin } from "./support/admin.ts";
import { accessibilityViolations } from "./support/browser.ts";
import { Fixture } from "./support/fixture.ts";

let fixture: Fixture;
let admin: Admin;
before(async () => {
    fixture = await Fixture.start("--create-access", "token");
    admin = await Admin.forSystem(fixture.system);
});
after(() => fixture?.stop());

const TEXT = "read once";
const message = (page: Page) => page.getByLabel("Message", { exact: true });
const token = (page: Page) => page.getByLabel("Your token");
const submit = (page: Page) => page.getByRole("button", { name: "Create link" }).click();
const alert = (page: Page, text: string) => page.getByRole("alert").filter({ hasText: text }).waitFor();
const tokensPanel = (page: Page) => page.getByRole("region", { name: "API tokens" });

/** Runs `mayfly tokens` as an admin. */
const tokens = (...command: string[]) => fixture.system.run("tokens", ...command, "--data-dir", fixture.system.dataDir);

/** Makes an API token with the command line. */
async function addToken(name: string, scope: string): Promise<string> {
    const { code, out, err } = await tokens("add", name, "--scope", scope);
    assert.equal(code, 0, err);
    return out.trim();
}

test("the page says that it needs a token, and creates messages with one", async () => {
    const creator = await addToken("creator", "create");
    const writer = await fixture.visitor();
    const page = await writer.open(`${fixture.url}/`);
    await page.getByText("only people with a token write messages").waitFor();
    await message(page).fill(TEXT);
    await submit(page);
    await alert(page, "Enter your token.");
    assert.equal(await token(page).evaluate((field) => field === document.activeElement), true, "the focus");
    assert.deepEqual(await accessibilityViolations(page), []);
    for (const wrong of ["unknown", "ü😀"]) {
        await token(page).fill(wrong);
        await submit(page);
        await alert(page, "The server does not know this token.");
    }
    assert.equal(await message(page).inputValue(), TEXT, "the text stays");
    await token(page).fill(` ${creator}\n`);
    await submit(page);
    const link = await copyableText(page, "Link");

    // The token is kept for another message, and nowhere but in the memory of the tab.
    await page.getByRole("button", { name: "Write another message" }).click();
    await message(page).fill("another");
    await submit(page);
    await copyableText(page, "Link");
    const stored = await page.evaluate(() =>
        JSON.stringify([localStorage, sessionStorage, document.cookie, history.state]),
    );
    assert.ok(!stored.includes(creator) && !page.url().includes(creator));
    await page.reload();
    await message(page).waitFor();
    await token(page).waitFor();
    assert.equal(await token(page).inputValue(), "");

    const reading = await writer.open(link);
    await reading.getByRole("button", { name: "Read the message" }).click();
    await reading.getByText(TEXT, { exact: true }).waitFor();
    await writer.close();
});

test("a token that may not write, and one that was revoked, are named", async () => {
    const metrics = await addToken("metrics", "metrics");
    const revoked = await addToken("revoked", "create");
    assert.equal((await tokens("revoke", "revoked")).code, 0);
    const writer = await fixture.visitor();
    const page = await writer.open(`${fixture.url}/`);
    await message(page).fill(TEXT);
    for (const [wrong, text] of [
        [metrics, "does not allow writing messages"],
        [revoked, "was revoked or has expired"],
    ] as const) {
        await token(page).fill(wrong);
        await submit(page);
        await alert(page, text);
    }
    await writer.close();
});

test("a page without the limits of its server learns from an error that it needs a token", async () => {
    const writer = await fixture.visitor();
    writer.expectError(/ERR_FAILED/);
    await writer.context.route("**/GetLimits", (route) => route.abort());
    const page = await writer.open(`${fixture.url}/`);
    await message(page).fill(TEXT);
    assert.equal(await token(page).count(), 0);
    await submit(page);
    await alert(page, "Enter your token.");
    await token(page).waitFor();
    await writer.close();
});

test("a server that requires no token asks for none", async () => {
    const open = await Fixture.start();
    try {
        const writer = await open.visitor();
        const page = await writer.open(`${open.url}/`);
        await message(page).fill(TEXT);
        await submit(page);
        await copyableText(page, "Link");
        await page.getByRole("button", { name: "Write another message" }).click();
        await message(page).waitFor();
        assert.equal(await token(page).count(), 0);
        await writer.close();
    } finally {
        await open.stop();
    }
});

test("an admin adds, lists and revokes tokens", async () => {
    const visitor = await fixture.visitor();
    const page = await admin.openDashboard(fixture, visitor);
    const panel = tokensPanel(page);
    await panel.getByRole("button", { name: "Add a token" }).click();
    await panel.getByRole("button", { name: "Make the token" }).click();
    await panel.getByRole("alert").filter({ hasText: "Give it a name" }).waitFor();
    await panel.getByLabel("Token name").fill("page");
    await panel.getByRole("switch", { name: "Create messages" }).uncheck();
    await panel.getByRole("button", { name: "Make the token" }).click();
    await panel.getByRole("alert").filter({ hasText: "Choose what the token allows." }).waitFor();
    assert.deepEqual(await accessibilityViolations(page), []);
    await panel.getByRole("switch", { name: "Administrate" }).check();
    await panel.getByLabel("Valid for").selectOption({ label: "30 days" });
    await panel.getByRole("button", { name: "Make the token" }).click();

    const secret =
        (await panel.getByRole("group", { name: "The new token “page”" }).locator("code").textContent()) ?? "";
    assert.match(secret, /^mayfly_[0-9a-f]{72}$/);
    assert.deepEqual(await accessibilityViolations(page), []);
    const listed = await fixture.system.run("tokens", "list", "--admin-token", secret);
    assert.match(listed.out, /^page {2}admin {2}created .* expires 2/m, listed.err);
    await panel.getByRole("button", { name: "Hide it" }).click();
    assert.ok(!(await page.content()).includes(secret), "the secret is shown once");

    // The same name again.
    await panel.getByRole("button", { name: "Add a token" }).click();
    await panel.getByLabel("Token name").fill("page");
    await panel.getByRole("button", { name: "Make the token" }).click();
    await panel.getByRole("alert").filter({ hasText: "Another token has this name." }).waitFor();
    await panel.getByRole("button", { name: "Cancel" }).click();

    const card = panel.getByRole("listitem").filter({ hasText: "page" });
    await card.getByRole("button", { name: "Revoke", exact: true }).click();
    await card.getByRole("button", { name: "Keep it" }).click();
    await card.getByRole("button", { name: "Revoke", exact: true }).click();
    await card.getByRole("button", { name: "Yes, revoke it" }).click();
    await card.waitFor({ state: "detached" });
    const rejected = await fixture.system.run("tokens", "list", "--admin-token", secret);
    assert.match(rejected.err, /was revoked/);
    await visitor.close();
});

test("a token for admins opens the admin page, until it is revoked", async () => {
    const secret = await addToken("root", "admin");
    const visitor = await fixture.visitor();
    const page = await visitor.open(`${fixture.url}/admin`);
    await page.getByLabel("Admin token").fill(secret);
    await page.getByRole("button", { name: "Open" }).click();
    const card = tokensPanel(page).getByRole("listitem").filter({ hasText: "root" });
    await card.getByRole("button", { name: "Revoke", exact: true }).click();
    await card.getByRole("button", { name: "Yes, revoke it" }).click();
    await page.getByText("Locked: the server does not accept the token any more.").waitFor();
    await page.getByLabel("Admin token").fill(secret);
    await page.getByRole("button", { name: "Open" }).click();
    await alert(page, "That is not the admin token.");
    await visitor.close();
});
