// One message, several ways: what is written on the page and read elsewhere, and the other way round.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { handedOn, openerOf, read, shown, write } from "./support/acts.ts";
import { Stage } from "./support/stage.ts";
import { Telegram } from "./support/telegram.ts";

const BOT_TOKEN = "1000000000:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw";
const CHAT = 7;

let stage: Stage;
let telegram: Telegram;
before(async () => {
    telegram = await Telegram.start(BOT_TOKEN);
    stage = await Stage.set("--telegram-api-url", telegram.url);
    const config = ["--session-name", "bot", "--api-id", "1", "--api-hash", "b1", "--bot-token", BOT_TOKEN];
    const said = await stage.system.run("config", "add", ...config, "--data-dir", stage.system.dataDir);
    assert.equal(said.code, 0, said.err);
});
after(async () => {
    await stage?.clear();
    await telegram?.stop();
});

const TEXT = "over all the ways: ü 한 😀\n";

/** Writes a message on the page and answers its `id:token`. */
async function writePair(text: string, isPlain: boolean): Promise<string> {
    const visitor = await stage.visitor();
    const { page, link } = await write(stage, visitor, text, { isPlain });
    const { id, access_token } = openerOf(link);
    const pair = `${id}:${access_token}`;
    if (isPlain) assert.equal(await handedOn(page, "For Telegram and the terminal"), pair);
    else assert.equal(await page.getByText("For Telegram and the terminal").count(), 0);
    await visitor.leave();
    return pair;
}

/** What the page shows under a link. */
async function readOnThePage(path: string): Promise<string | null> {
    const visitor = await stage.visitor();
    const page = await visitor.open(stage.url + path);
    await read(page);
    await shown(page).waitFor();
    const text = await shown(page).textContent();
    await visitor.leave();
    return text;
}

test("a message from the page that is readable everywhere is read from a terminal", async () => {
    const said = await stage.system.run("view", await writePair(TEXT, true));
    assert.deepEqual([said.code, said.out], [0, TEXT]);
});

test("a message from the page that is readable everywhere is read over REST", async () => {
    const answer = await stage.system.rest("view_message", openerOf(await writePair(TEXT, true)));
    assert.equal(answer.status, 200);
    assert.equal(((await answer.json()) as { text: string }).text, TEXT);
});

test("a message from the page that is readable everywhere is read in Telegram", async () => {
    assert.equal(await telegram.say(CHAT, await writePair(TEXT, true)), TEXT);
});

test("a message that was encrypted in a browser stays unread everywhere else", async () => {
    const pair = await writePair(TEXT, false);
    const { id, access_token } = openerOf(pair);
    const said = await stage.system.run("view", pair);
    assert.notEqual(said.code, 0);
    assert.match(said.err, /browser/);
    const answer = await stage.system.rest("view_message", { id, access_token });
    assert.ok(answer.status >= 400 && answer.status < 500, `${answer.status}`);
    assert.match(await answer.text(), /browser/);
    assert.match(await telegram.say(CHAT, pair), /browser/);
    const lookup = await stage.messages.lookupMessage({ id: BigInt(id), accessToken: access_token });
    assert.deepEqual([lookup.state, lookup.isSealed], [1, true]);
});

test("a message from a terminal is read on the page", async () => {
    const { out } = await stage.system.run("new", TEXT);
    const { id, access_token } = openerOf(out);
    assert.equal(await readOnThePage(`/m/${id}#${access_token}`), TEXT);
});

test("a message from REST is read on the page", async () => {
    const answer = await stage.system.rest("create_message", { text: TEXT });
    const { id, access_token } = (await answer.json()) as { id: number; access_token: string };
    assert.equal(await readOnThePage(`/m/${id}#${access_token}`), TEXT);
});

test("a message from Telegram is read on the page", async () => {
    const { id, access_token } = openerOf(await telegram.say(CHAT, `new:${TEXT.trim()}`));
    assert.equal(await readOnThePage(`/m/${id}#${access_token}`), TEXT.trim());
});
