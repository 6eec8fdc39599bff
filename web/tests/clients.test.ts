// Messages between the page and the other clients.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { copyableText, parseMessageRef, readMessage, messageText, createMessage } from "./support/actions.ts";
import { Fixture } from "./support/fixture.ts";
import { FakeTelegram } from "./support/fake-telegram.ts";

const BOT_TOKEN = "1000000000:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw";
const CHAT = 7;

let fixture: Fixture;
let telegram: FakeTelegram;
before(async () => {
    telegram = await FakeTelegram.start(BOT_TOKEN);
    fixture = await Fixture.start("--telegram-api-url", telegram.url);
    const config = ["--session-name", "bot", "--api-id", "1", "--api-hash", "b1", "--bot-token", BOT_TOKEN];
    const output = await fixture.system.run("config", "add", ...config, "--data-dir", fixture.system.dataDir);
    assert.equal(output.code, 0, output.err);
});
after(async () => {
    await fixture?.stop();
    await telegram?.stop();
});

const TEXT = "over all the ways: ü 한 😀\n";

/** Creates a message on the page, and returns its `id:token`. */
async function writePair(text: string, isPlain: boolean): Promise<string> {
    const visitor = await fixture.visitor();
    const { page, link } = await createMessage(fixture, visitor, text, { isPlain });
    const { id, access_token } = parseMessageRef(link);
    const pair = `${id}:${access_token}`;
    if (isPlain) assert.equal(await copyableText(page, "For Telegram and the terminal"), pair);
    else assert.equal(await page.getByText("For Telegram and the terminal").count(), 0);
    await visitor.close();
    return pair;
}

/** Returns the text that the page shows for a link. */
async function readOnThePage(path: string): Promise<string | null> {
    const visitor = await fixture.visitor();
    const page = await visitor.open(fixture.url + path);
    await readMessage(page);
    await messageText(page).waitFor();
    const text = await messageText(page).textContent();
    await visitor.close();
    return text;
}

test("the terminal reads a plain message of the page", async () => {
    const output = await fixture.system.run("view", await writePair(TEXT, true));
    assert.deepEqual([output.code, output.out], [0, TEXT]);
});

test("REST reads a plain message of the page", async () => {
    const response = await fixture.system.rest("view_message", parseMessageRef(await writePair(TEXT, true)));
    assert.equal(response.status, 200);
    assert.equal(((await response.json()) as { text: string }).text, TEXT);
});

test("Telegram reads a plain message of the page", async () => {
    assert.equal(await telegram.sendMessage(CHAT, await writePair(TEXT, true)), TEXT);
});

test("other clients cannot read a sealed message, and it stays unread", async () => {
    const pair = await writePair(TEXT, false);
    const { id, access_token } = parseMessageRef(pair);
    const output = await fixture.system.run("view", pair);
    assert.notEqual(output.code, 0);
    assert.match(output.err, /browser/);
    const response = await fixture.system.rest("view_message", { id, access_token });
    assert.ok(response.status >= 400 && response.status < 500, `${response.status}`);
    assert.match(await response.text(), /browser/);
    assert.match(await telegram.sendMessage(CHAT, pair), /browser/);
    const lookup = await fixture.messages.lookupMessage({ id: BigInt(id), accessToken: access_token });
    assert.deepEqual([lookup.state, lookup.isSealed], [1, true]);
});

test("the page reads a message from a terminal", async () => {
    const { out } = await fixture.system.run("new", TEXT);
    const { id, access_token } = parseMessageRef(out);
    assert.equal(await readOnThePage(`/m/${id}#${access_token}`), TEXT);
});

test("the page reads a message from REST", async () => {
    const response = await fixture.system.rest("create_message", { text: TEXT });
    const { id, access_token } = (await response.json()) as { id: number; access_token: string };
    assert.equal(await readOnThePage(`/m/${id}#${access_token}`), TEXT);
});

test("the page reads a message from Telegram", async () => {
    const { id, access_token } = parseMessageRef(await telegram.sendMessage(CHAT, `new:${TEXT.trim()}`));
    assert.equal(await readOnThePage(`/m/${id}#${access_token}`), TEXT.trim());
});
