// Reading a message on the page: once, without losing it to a lost answer, a wrong link or a curious machine.

import assert from "node:assert/strict";
import { request } from "node:http";
import { after, before, test } from "node:test";
import { arrivesAt, read, shown, title } from "./support/acts.ts";
import { answeringViewed, SCENES, substituting } from "./support/scenes.ts";
import { Stage } from "./support/stage.ts";

let stage: Stage;
before(async () => void (stage = await Stage.set()));
after(() => stage?.clear());

test("opening a link, however often, reads nothing", async () => {
    const message = await stage.sealed();
    for (let times = 0; times < 3; times += 1) {
        const visitor = await stage.visitor();
        const page = await visitor.open(stage.url + message.path);
        await arrivesAt(page, "A message is waiting for you");
        await page.reload();
        await arrivesAt(page, "A message is waiting for you");
        await visitor.leave();
    }
    assert.equal(await stage.state(message), "UNREAD");
});

test("link previews, mail scanners and prefetches read nothing", async () => {
    const message = await stage.text();
    const url = new URL(message.path, stage.url);
    const ask = (method: string, headers: Record<string, string>) =>
        new Promise<number | undefined>((resolve, reject) => {
            const asked = request(url, { method, headers }, (answer) => {
                answer.resume().on("end", () => resolve(answer.statusCode));
            });
            asked.on("error", reject).end();
        });
    const curious: [string, Record<string, string>][] = [
        ["GET", { "user-agent": "TelegramBot (like TwitterBot)" }],
        ["GET", { "user-agent": "Slackbot-LinkExpanding 1.0" }],
        ["GET", { "sec-purpose": "prefetch;prerender" }],
        ["GET", { purpose: "prefetch" }],
        ["HEAD", {}],
        ["OPTIONS", {}],
    ];
    for (const [method, headers] of curious) await ask(method, headers);
    // One that runs scripts, and waits until all is quiet.
    const scanner = await stage.visitor();
    const page = await scanner.open(url.href);
    await page.waitForLoadState("networkidle");
    await scanner.leave();
    assert.equal(await stage.state(message), "UNREAD");
});

test("a browser that fetches the page ahead of a click reads nothing", async () => {
    const message = await stage.text();
    const visitor = await stage.visitor();
    const page = await visitor.open(`${stage.url}/`);
    const fetched = visitor.context.waitForEvent("response", (response) => response.url().includes("/m/"));
    await page.evaluate((path) => {
        const link = document.createElement("link");
        link.rel = "prefetch";
        link.href = path;
        document.head.append(link);
    }, message.path);
    assert.equal((await fetched).status(), 200);
    await visitor.leave();
    assert.equal(await stage.state(message), "UNREAD");
});

test("a reload shows the text again, in that tab and in no other", async () => {
    const message = await stage.sealed({ text: "again" });
    const visitor = await stage.visitor();
    const page = await visitor.open(stage.url + message.path);
    await read(page);
    await shown(page).waitFor();
    const otherTab = await visitor.open(stage.url + message.path);
    await arrivesAt(otherTab, "This message was read");
    for (let times = 0; times < 2; times += 1) {
        await page.reload();
        await shown(page).waitFor();
        assert.equal(await shown(page).textContent(), "again");
    }
    await visitor.leave();
});

test("of two tabs that read at once one has the text", async () => {
    const message = await stage.sealed({ text: "once" });
    const visitor = await stage.visitor();
    const pages = await Promise.all([1, 2].map(() => visitor.open(stage.url + message.path)));
    await Promise.all(pages.map(read));
    await Promise.all(pages.map((page) => shown(page).or(title(page, "This message was read")).waitFor()));
    const texts = await Promise.all(pages.map((page) => shown(page).count()));
    assert.deepEqual(texts.sort(), [0, 1]);
    await visitor.leave();
});

test("a page that lost its network looks again as soon as it has one", async () => {
    const message = await stage.text();
    const visitor = await stage.visitor();
    visitor.expect(/ERR_INTERNET_DISCONNECTED/);
    const page = await visitor.open(stage.url + message.path);
    await visitor.context.setOffline(true);
    await page.evaluate((hash) => (location.hash = hash), `${new URL(message.path, stage.url).hash}.`);
    await arrivesAt(page, "The server does not answer");
    await visitor.context.setOffline(false);
    await arrivesAt(page, "A message is waiting for you");
    await visitor.leave();
});

test("a reload asks for no passphrase again", async () => {
    const message = await stage.text({ text: "again", passphrase: "blue whale" });
    const visitor = await stage.visitor();
    const page = await visitor.open(stage.url + message.path);
    await page.getByLabel("Passphrase").fill("blue whale");
    await read(page);
    await shown(page).waitFor();
    await page.reload();
    await shown(page).waitFor();
    await visitor.leave();
});

test("a reload after a wrong passphrase reads nothing", async () => {
    const message = await stage.text({ passphrase: "blue whale" });
    const visitor = await stage.visitor();
    const page = await visitor.open(stage.url + message.path);
    await page.getByLabel("Passphrase").fill("red whale");
    await read(page);
    await page.getByRole("alert").waitFor();
    await page.reload();
    await arrivesAt(page, "A message is waiting for you");
    assert.equal(await stage.state(message), "UNREAD");
    await visitor.leave();
});

test("a hidden text is erased: from the screen, from the address and from the store", async () => {
    const message = await stage.sealed({ text: "needle" });
    const visitor = await stage.visitor();
    const page = await visitor.open(stage.url + message.path);
    const asked = page.waitForRequest("**/ViewMessage");
    await read(page);
    await shown(page).waitFor();
    const viewId = /[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}/.exec(
        (await asked).postDataBuffer()?.toString("latin1") ?? "",
    )?.[0];
    assert.ok(viewId);
    const { id, accessToken } = message;
    const repeat = () => stage.messages.viewMessage({ id, accessToken, viewId, acceptsSealed: true });
    // The control: until then, who has the tab's id gets the text again.
    assert.equal((await repeat()).content.case, "sealed");

    await page.getByRole("button", { name: "Hide and erase" }).click();
    await page.getByText("It is erased").waitFor();
    assert.ok(!(await page.content()).includes("needle"));
    assert.equal(new URL(page.url()).hash, "");
    await assert.rejects(repeat(), /viewed before/);
    await page.reload();
    await arrivesAt(page, "You have read this message");
    await visitor.leave();
});

test("a hidden text whose erasure nobody confirms can be erased again", async () => {
    const message = await stage.text();
    const visitor = await stage.visitor();
    visitor.expect(/ERR_FAILED/);
    let isAway = true;
    await visitor.context.route("**/AcknowledgeView", (route) => (isAway ? route.abort() : route.continue()));
    const page = await visitor.open(stage.url + message.path);
    await read(page);
    await page.getByRole("button", { name: "Hide and erase" }).click();
    await page.getByText("The server does not answer").waitFor();
    isAway = false;
    await page.getByRole("button", { name: "Try again" }).click();
    await page.getByText("It is erased").waitFor();
    await visitor.leave();
});

test("a text whose answer was lost arrives all the same", async () => {
    const message = await stage.sealed({ text: "arrived" });
    const visitor = await stage.visitor();
    visitor.expect(/ERR_FAILED/);
    let lost = 0;
    await visitor.context.route("**/ViewMessage", async (route) => {
        const answer = await route.fetch();
        if (lost++ < 2) await route.abort();
        else await route.fulfill({ response: answer });
    });
    const page = await visitor.open(stage.url + message.path);
    await read(page);
    await page.getByText("No answer yet").waitFor();
    await shown(page).waitFor();
    assert.equal(await shown(page).textContent(), "arrived");
    assert.equal(lost, 3);
    await visitor.leave();
});

test("a tab that was closed to answers gets the text after a reload", async () => {
    const message = await stage.sealed({ text: "arrived" });
    const visitor = await stage.visitor();
    visitor.expect(/ERR_FAILED/);
    let isLost = true;
    await visitor.context.route("**/ViewMessage", async (route) => {
        const answer = await route.fetch().catch(() => undefined);
        if (isLost || answer === undefined) await route.abort();
        else await route.fulfill({ response: answer });
    });
    const page = await visitor.open(stage.url + message.path);
    await read(page);
    await page.getByText("No answer yet").waitFor();
    isLost = false;
    await page.reload();
    await shown(page).waitFor();
    assert.equal(await shown(page).textContent(), "arrived");
    await visitor.leave();
});

test("a server that is away loses nothing, and is asked again", async () => {
    const own = await Stage.set();
    try {
        const message = await own.sealed({ text: "still there" });
        const visitor = await own.visitor();
        visitor.expect(/ERR_/);
        const page = await visitor.open(own.url + message.path);
        await own.system.halt();
        await read(page);
        await page.getByText("No answer yet").waitFor();
        await arrivesAt(page, "The server does not answer");
        await own.system.resume();
        await page.getByRole("button", { name: "Try again" }).click();
        await arrivesAt(page, "A message is waiting for you");
        await read(page);
        await shown(page).waitFor();
        assert.equal(await shown(page).textContent(), "still there");
        await visitor.leave();
    } finally {
        await own.clear();
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
    "not-sealed": "The server does not say what the link says",
    substituted: "This text is not shown",
    unreadable: "The message cannot be decrypted",
    away: "The server does not answer",
    busy: "The server is busy",
    failed: "Something went wrong",
};

for (const [scene, name] of Object.entries(PAGES)) {
    test(`a page of its own says “${name}” (${scene})`, async () => {
        const origin = scene === "insecure" ? stage.insecureUrl : stage.url;
        const visitor = await stage.visitor({ origin });
        const page = await SCENES[scene]?.(stage, visitor);
        assert.ok(page);
        await arrivesAt(page, name);
        const link = /\/m\/(\d+)#([0-9a-f]{64})/.exec(page.url());
        const isStillThere = ["unread", "locked", "key", "not", "insecure", "away", "busy", "failed"].includes(
            scene.split("-")[0] ?? "",
        );
        if (isStillThere) {
            const { state } = await stage.messages.lookupMessage({
                id: BigInt(link?.[1] ?? 0),
                accessToken: link?.[2] ?? "",
            });
            assert.equal(state, 1, "the message is not unread any more");
        }
        await visitor.leave();
    });
}

test("a link with a key shows no text in clear, neither at the click nor after a reload", async () => {
    const message = await stage.sealed({ text: "original" });
    const visitor = await stage.visitor();
    const substitute = "substitute";
    await substituting(visitor, substitute);
    const page = await visitor.open(stage.url + message.path);
    await read(page);
    await arrivesAt(page, "This text is not shown");
    assert.ok(!(await page.content()).includes(substitute));
    await answeringViewed(visitor);
    await page.reload();
    await arrivesAt(page, "This text is not shown");
    assert.ok(!(await page.content()).includes(substitute));
    await visitor.leave();
});

test("a message whose link contradicts the server is not read", async () => {
    const visitor = await stage.visitor();
    let views = 0;
    await visitor.context.route("**/ViewMessage", (route) => {
        views += 1;
        return route.continue();
    });
    const message = await stage.textWithKey();
    const page = await visitor.open(stage.url + message.path);
    await arrivesAt(page, "The server does not say what the link says");
    assert.equal(await page.getByRole("button", { name: "Read the message" }).count(), 0);
    assert.equal(views, 0);
    assert.equal(await stage.state(message), "UNREAD");
    await visitor.leave();
});

test("each page says so in its title too", async () => {
    const visitor = await stage.visitor();
    const page = await visitor.open(`${stage.url}/m/1`);
    assert.equal(await page.title(), "This link is incomplete · Mayfly");
    await visitor.leave();
});

test("a text is a text, whatever it contains", async () => {
    const text = `\r\n<img src=x onerror="alert(1)"><script>alert(2)</script>\u202Eevil\u0000\uFEFF&lt;\t  end  \n`;
    const visitor = await stage.visitor();
    for (const message of [await stage.text({ text }), await stage.sealed({ text })]) {
        const page = await visitor.open(stage.url + message.path);
        await read(page);
        await shown(page).waitFor();
        assert.equal(await shown(page).textContent(), text);
        assert.equal(await shown(page).locator("*").count(), 0);
    }
    await visitor.leave();
});

test("another link in the same tab is another message", async () => {
    const one = await stage.text({ text: "one" });
    const other = await stage.text({ text: "other" });
    const visitor = await stage.visitor();
    const page = await visitor.open(stage.url + one.path);
    await read(page);
    await shown(page).waitFor();
    // The same document as long as the path is the same: only what stands behind the # changes.
    await page.evaluate((hash) => (location.hash = hash), `#${other.accessToken}`);
    await arrivesAt(page, "There is no such message");
    await page.goto(stage.url + other.path);
    await read(page);
    await shown(page).waitFor();
    assert.equal(await shown(page).textContent(), "other");
    await visitor.leave();
});

test("nothing stays in a page that is left", async () => {
    const message = await stage.text({ text: "needle" });
    const visitor = await stage.visitor();
    const page = await visitor.open(stage.url + message.path);
    await read(page);
    await shown(page).waitFor();
    assert.ok((await page.content()).includes("needle"));
    await page.evaluate(() => dispatchEvent(new PageTransitionEvent("pagehide", { persisted: true })));
    assert.ok(!(await page.content()).includes("needle"));
    // And who comes back to it within the grace has it again.
    await page.evaluate(() => dispatchEvent(new PageTransitionEvent("pageshow", { persisted: true })));
    await shown(page).waitFor();
    await visitor.leave();
});

test("the page speaks the browser's language, or the one that is chosen, and keeps the link", async () => {
    const message = await stage.text({ text: "안녕" });
    const visitor = await stage.visitor({ locale: "ko-KR" });
    const page = await visitor.open(stage.url + message.path);
    await title(page, "메시지가 기다리고 있습니다").waitFor();
    assert.equal(await page.locator("html").getAttribute("lang"), "ko");
    await page.locator("select").selectOption("de");
    await title(page, "Eine Nachricht wartet auf Sie").waitFor();
    await page.reload();
    await title(page, "Eine Nachricht wartet auf Sie").waitFor();
    await page.getByRole("button", { name: "Nachricht lesen" }).click();
    const text = page.getByRole("region", { name: "Nachricht" });
    await text.waitFor();
    assert.equal(await text.textContent(), "안녕");
    await visitor.leave();
});
