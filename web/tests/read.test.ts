// Reading messages on the page: exactly once, in spite of lost responses, wrong links and prefetches.

import assert from "node:assert/strict";
import { request } from "node:http";
import { after, before, test } from "node:test";
import { waitForHeading, readMessage, messageText, heading } from "./support/actions.ts";
import { serveViewed, PAGE_STATES, serveSubstitutedText } from "./support/states.ts";
import { Fixture } from "./support/fixture.ts";

let fixture: Fixture;
before(async () => void (fixture = await Fixture.start()));
after(() => fixture?.stop());

test("opening a link reads nothing", async () => {
    const message = await fixture.sealed();
    for (let times = 0; times < 3; times += 1) {
        const visitor = await fixture.visitor();
        const page = await visitor.open(fixture.url + message.path);
        await waitForHeading(page, "A message is waiting for you");
        await page.reload();
        await waitForHeading(page, "A message is waiting for you");
        await visitor.close();
    }
    assert.equal(await fixture.state(message), "UNREAD");
});

test("link previews, mail scanners and prefetches read nothing", async () => {
    const message = await fixture.text();
    const url = new URL(message.path, fixture.url);
    const send = (method: string, headers: Record<string, string>) =>
        new Promise<number | undefined>((resolve, reject) => {
            const sent = request(url, { method, headers }, (response) => {
                response.resume().on("end", () => resolve(response.statusCode));
            });
            sent.on("error", reject).end();
        });
    const passiveRequests: [string, Record<string, string>][] = [
        ["GET", { "user-agent": "TelegramBot (like TwitterBot)" }],
        ["GET", { "user-agent": "Slackbot-LinkExpanding 1.0" }],
        ["GET", { "sec-purpose": "prefetch;prerender" }],
        ["GET", { purpose: "prefetch" }],
        ["HEAD", {}],
        ["OPTIONS", {}],
    ];
    for (const [method, headers] of passiveRequests) await send(method, headers);
    // A scanner that runs scripts and waits for the network to be idle.
    const scanner = await fixture.visitor();
    const page = await scanner.open(url.href);
    await page.waitForLoadState("networkidle");
    await scanner.close();
    assert.equal(await fixture.state(message), "UNREAD");
});

test("a prefetch by the browser reads nothing", async () => {
    const message = await fixture.text();
    const visitor = await fixture.visitor();
    const page = await visitor.open(`${fixture.url}/`);
    const fetched = visitor.context.waitForEvent("response", (response) => response.url().includes("/m/"));
    await page.evaluate((path) => {
        const link = document.createElement("link");
        link.rel = "prefetch";
        link.href = path;
        document.head.append(link);
    }, message.path);
    assert.equal((await fetched).status(), 200);
    await visitor.close();
    assert.equal(await fixture.state(message), "UNREAD");
});

test("a reload shows the text again in this tab only", async () => {
    const message = await fixture.sealed({ text: "again" });
    const visitor = await fixture.visitor();
    const page = await visitor.open(fixture.url + message.path);
    await readMessage(page);
    await messageText(page).waitFor();
    const otherTab = await visitor.open(fixture.url + message.path);
    await waitForHeading(otherTab, "This message was read");
    for (let times = 0; times < 2; times += 1) {
        await page.reload();
        await messageText(page).waitFor();
        assert.equal(await messageText(page).textContent(), "again");
    }
    await visitor.close();
});

test("only one of two concurrent tabs gets the text", async () => {
    const message = await fixture.sealed({ text: "once" });
    const visitor = await fixture.visitor();
    const pages = await Promise.all([1, 2].map(() => visitor.open(fixture.url + message.path)));
    await Promise.all(pages.map(readMessage));
    await Promise.all(pages.map((page) => messageText(page).or(heading(page, "This message was read")).waitFor()));
    const texts = await Promise.all(pages.map((page) => messageText(page).count()));
    assert.deepEqual(texts.sort(), [0, 1]);
    await visitor.close();
});

test("an offline page retries when it is online again", async () => {
    const message = await fixture.text();
    const visitor = await fixture.visitor();
    visitor.expectError(/ERR_INTERNET_DISCONNECTED/);
    const page = await visitor.open(fixture.url + message.path);
    await visitor.context.setOffline(true);
    await page.evaluate((hash) => (location.hash = hash), `${new URL(message.path, fixture.url).hash}.`);
    await waitForHeading(page, "The server does not respond");
    await visitor.context.setOffline(false);
    await waitForHeading(page, "A message is waiting for you");
    await visitor.close();
});

test("a reload needs no passphrase again", async () => {
    const message = await fixture.text({ text: "again", passphrase: "blue whale" });
    const visitor = await fixture.visitor();
    const page = await visitor.open(fixture.url + message.path);
    await page.getByLabel("Passphrase").fill("blue whale");
    await readMessage(page);
    await messageText(page).waitFor();
    await page.reload();
    await messageText(page).waitFor();
    await visitor.close();
});

test("a reload after a wrong passphrase reads nothing", async () => {
    const message = await fixture.text({ passphrase: "blue whale" });
    const visitor = await fixture.visitor();
    const page = await visitor.open(fixture.url + message.path);
    await page.getByLabel("Passphrase").fill("red whale");
    await readMessage(page);
    await page.getByRole("alert").waitFor();
    await page.reload();
    await waitForHeading(page, "A message is waiting for you");
    assert.equal(await fixture.state(message), "UNREAD");
    await visitor.close();
});

test("a hidden text is erased from the screen, the address and the store", async () => {
    const message = await fixture.sealed({ text: "needle" });
    const visitor = await fixture.visitor();
    const page = await visitor.open(fixture.url + message.path);
    const viewRequest = page.waitForRequest("**/ViewMessage");
    await readMessage(page);
    await messageText(page).waitFor();
    const viewId = /[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}/.exec(
        (await viewRequest).postDataBuffer()?.toString("latin1") ?? "",
    )?.[0];
    assert.ok(viewId);
    const { id, accessToken } = message;
    const repeat = () => fixture.messages.viewMessage({ id, accessToken, viewId, acceptsSealed: true });
    // Control: until then, the view id of the tab returns the text again.
    assert.equal((await repeat()).content.case, "sealed");

    await page.getByRole("button", { name: "Hide and erase" }).click();
    await page.getByText("It is erased").waitFor();
    assert.ok(!(await page.content()).includes("needle"));
    assert.equal(new URL(page.url()).hash, "");
    await assert.rejects(repeat(), /viewed before/);
    await page.reload();
    await waitForHeading(page, "You have read this message");
    await visitor.close();
});

test("an erasure without a response can be repeated", async () => {
    const message = await fixture.text();
    const visitor = await fixture.visitor();
    visitor.expectError(/ERR_FAILED/);
    let isUnavailable = true;
    await visitor.context.route("**/AcknowledgeView", (route) => (isUnavailable ? route.abort() : route.continue()));
    const page = await visitor.open(fixture.url + message.path);
    await readMessage(page);
    await page.getByRole("button", { name: "Hide and erase" }).click();
    await page.getByText("The server does not respond").waitFor();
    isUnavailable = false;
    await page.getByRole("button", { name: "Try again" }).click();
    await page.getByText("It is erased").waitFor();
    await visitor.close();
});

test("a view whose response was lost is repeated", async () => {
    const message = await fixture.sealed({ text: "arrived" });
    const visitor = await fixture.visitor();
    visitor.expectError(/ERR_FAILED/);
    let lost = 0;
    await visitor.context.route("**/ViewMessage", async (route) => {
        const response = await route.fetch();
        if (lost++ < 2) await route.abort();
        else await route.fulfill({ response });
    });
    const page = await visitor.open(fixture.url + message.path);
    await readMessage(page);
    await page.getByText("No response yet").waitFor();
    await messageText(page).waitFor();
    assert.equal(await messageText(page).textContent(), "arrived");
    assert.equal(lost, 3);
    await visitor.close();
});

test("a tab that got no response shows the text after a reload", async () => {
    const message = await fixture.sealed({ text: "arrived" });
    const visitor = await fixture.visitor();
    visitor.expectError(/ERR_FAILED/);
    let isLost = true;
    await visitor.context.route("**/ViewMessage", async (route) => {
        const response = await route.fetch().catch(() => undefined);
        if (isLost || response === undefined) await route.abort();
        else await route.fulfill({ response });
    });
    const page = await visitor.open(fixture.url + message.path);
    await readMessage(page);
    await page.getByText("No response yet").waitFor();
    isLost = false;
    await page.reload();
    await messageText(page).waitFor();
    assert.equal(await messageText(page).textContent(), "arrived");
    await visitor.close();
});

test("an unreachable server loses no message, and a retry reads it", async () => {
    const own = await Fixture.start();
    try {
        const message = await own.sealed({ text: "still there" });
        const visitor = await own.visitor();
        visitor.expectError(/ERR_/);
        const page = await visitor.open(own.url + message.path);
        await own.system.kill();
        await readMessage(page);
        await page.getByText("No response yet").waitFor();
        await waitForHeading(page, "The server does not respond");
        await own.system.launch();
        await page.getByRole("button", { name: "Try again" }).click();
        await waitForHeading(page, "A message is waiting for you");
        await readMessage(page);
        await messageText(page).waitFor();
        assert.equal(await messageText(page).textContent(), "still there");
        await visitor.close();
    } finally {
        await own.stop();
    }
});

const PAGES: Record<string, string> = {
    "unread-passphrase-wrong": "A message is waiting for you",
    locked: "Too many wrong passphrases",
    viewed: "This message was read",
    burned: "This message was burned",
    expired: "This message has expired",
    unknown: "There is no such message",
    incomplete: "This link is incomplete",
    mistyped: "This link is mistyped",
    "key-missing": "The key is missing from this link",
    "key-mistyped": "The key in this link is mistyped",
    insecure: "Open this page over HTTPS",
    "not-sealed": "The server contradicts the link",
    substituted: "This text is not shown",
    unreadable: "The message cannot be decrypted",
    unavailable: "The server does not respond",
    busy: "The server is busy",
    failed: "Something went wrong",
};

for (const [openState, name] of Object.entries(PAGES)) {
    test(`the page shows “${name}” (${openState})`, async () => {
        const origin = openState === "insecure" ? fixture.insecureUrl : fixture.url;
        const visitor = await fixture.visitor({ origin });
        const page = await PAGE_STATES[openState]?.(fixture, visitor);
        assert.ok(page);
        await waitForHeading(page, name);
        const link = /\/m\/(\d+)#([0-9a-f]{64})/.exec(page.url());
        const isStillThere = ["unread", "locked", "key", "not", "insecure", "unavailable", "busy", "failed"].includes(
            openState.split("-")[0] ?? "",
        );
        if (isStillThere) {
            const { state } = await fixture.messages.lookupMessage({
                id: BigInt(link?.[1] ?? 0),
                accessToken: link?.[2] ?? "",
            });
            assert.equal(state, 1, "the message is not unread any more");
        }
        await visitor.close();
    });
}

test("a link with a key never shows a clear text", async () => {
    const message = await fixture.sealed({ text: "original" });
    const visitor = await fixture.visitor();
    const substitute = "substitute";
    await serveSubstitutedText(visitor, substitute);
    const page = await visitor.open(fixture.url + message.path);
    await readMessage(page);
    await waitForHeading(page, "This text is not shown");
    assert.ok(!(await page.content()).includes(substitute));
    await serveViewed(visitor);
    await page.reload();
    await waitForHeading(page, "This text is not shown");
    assert.ok(!(await page.content()).includes(substitute));
    await visitor.close();
});

test("a message is not read if its link contradicts the server", async () => {
    const visitor = await fixture.visitor();
    let views = 0;
    await visitor.context.route("**/ViewMessage", (route) => {
        views += 1;
        return route.continue();
    });
    const message = await fixture.textWithKey();
    const page = await visitor.open(fixture.url + message.path);
    await waitForHeading(page, "The server contradicts the link");
    assert.equal(await page.getByRole("button", { name: "Read the message" }).count(), 0);
    assert.equal(views, 0);
    assert.equal(await fixture.state(message), "UNREAD");
    await visitor.close();
});

test("the title of the document is the heading", async () => {
    const visitor = await fixture.visitor();
    const page = await visitor.open(`${fixture.url}/m/1`);
    assert.equal(await page.title(), "This link is incomplete · Mayfly");
    await visitor.close();
});

test("a text cannot become markup", async () => {
    const text = `\r\n<img src=x onerror="alert(1)"><script>alert(2)</script>\u202Eevil\u0000\uFEFF&lt;\t  end  \n`;
    const visitor = await fixture.visitor();
    for (const message of [await fixture.text({ text }), await fixture.sealed({ text })]) {
        const page = await visitor.open(fixture.url + message.path);
        await readMessage(page);
        await messageText(page).waitFor();
        assert.equal(await messageText(page).textContent(), text);
        assert.equal(await messageText(page).locator("*").count(), 0);
    }
    await visitor.close();
});

test("another link in the same tab opens another message", async () => {
    const one = await fixture.text({ text: "one" });
    const other = await fixture.text({ text: "other" });
    const visitor = await fixture.visitor();
    const page = await visitor.open(fixture.url + one.path);
    await readMessage(page);
    await messageText(page).waitFor();
    // The same path is the same document: only the fragment changes.
    await page.evaluate((hash) => (location.hash = hash), `#${other.accessToken}`);
    await waitForHeading(page, "There is no such message");
    await page.goto(fixture.url + other.path);
    await readMessage(page);
    await messageText(page).waitFor();
    assert.equal(await messageText(page).textContent(), "other");
    await visitor.close();
});

test("a page that is left contains no text", async () => {
    const message = await fixture.text({ text: "needle" });
    const visitor = await fixture.visitor();
    const page = await visitor.open(fixture.url + message.path);
    await readMessage(page);
    await messageText(page).waitFor();
    assert.ok((await page.content()).includes("needle"));
    await page.evaluate(() => dispatchEvent(new PageTransitionEvent("pagehide", { persisted: true })));
    assert.ok(!(await page.content()).includes("needle"));
    // Going back within the grace shows the text again.
    await page.evaluate(() => dispatchEvent(new PageTransitionEvent("pageshow", { persisted: true })));
    await messageText(page).waitFor();
    await visitor.close();
});

test("the page has the language of the browser or the selected one, and keeps the link", async () => {
    const message = await fixture.text({ text: "안녕" });
    const visitor = await fixture.visitor({ locale: "ko-KR" });
    const page = await visitor.open(fixture.url + message.path);
    await heading(page, "메시지가 기다리고 있습니다").waitFor();
    assert.equal(await page.locator("html").getAttribute("lang"), "ko");
    await page.locator("select").selectOption("de");
    await heading(page, "Eine Nachricht wartet auf Sie").waitFor();
    await page.reload();
    await heading(page, "Eine Nachricht wartet auf Sie").waitFor();
    await page.getByRole("button", { name: "Nachricht lesen" }).click();
    const text = page.getByRole("region", { name: "Nachricht" });
    await text.waitFor();
    assert.equal(await text.textContent(), "안녕");
    await visitor.close();
});
