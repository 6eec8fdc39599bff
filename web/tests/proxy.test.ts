// The page behind nginx that asks for a password.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { arrivesAt, handedOn, read, shown } from "./support/acts.ts";
import { Admin } from "./support/admin.ts";
import { CREDENTIALS, Proxy } from "./support/proxy.ts";
import { INSECURE_HOST, Stage } from "./support/stage.ts";

let stage: Stage;
let proxy: Proxy;
before(async () => {
    stage = await Stage.set("--trusted-proxies", "1");
    proxy = await Proxy.start(stage.url);
});
after(async () => {
    await proxy?.stop();
    await stage?.clear();
});

const visit = (origin = proxy.url) => stage.visitor({ origin, httpCredentials: CREDENTIALS });

test("a message is written, followed and read behind a proxy with a password", async () => {
    await proxy.admit(true);
    const visitor = await visit();
    const page = await visitor.open(`${proxy.url}/`);
    await page.getByLabel("Message", { exact: true }).fill("behind a proxy");
    await page.getByRole("button", { name: "Create link" }).click();
    const link = await handedOn(page, "Link");
    await page.getByText("Not read yet").waitFor();
    const reader = await visitor.open(link);
    await read(reader);
    await shown(reader).waitFor();
    assert.equal(await shown(reader).textContent(), "behind a proxy");
    await page.getByText(/^Read on/).waitFor();
    await visitor.leave();
});

test("a message is burned behind a proxy with a password", async () => {
    await proxy.admit(true);
    const visitor = await visit();
    const page = await visitor.open(`${proxy.url}/`);
    await page.getByLabel("Message", { exact: true }).fill("never mind");
    await page.getByRole("button", { name: "Create link" }).click();
    const reader = await visitor.open(await handedOn(page, "Link"));
    await page.getByRole("button", { name: "Burn it" }).click();
    await page.getByRole("button", { name: "Yes, erase it" }).click();
    await page.getByText(/^Burned unread on /).waitFor();
    await read(reader);
    await arrivesAt(reader, "This message was burned");
    await visitor.leave();
});

test("the page works behind a proxy without HTTPS at a port of its own", async () => {
    await proxy.admit(true);
    // There, browsers do not say of a request which site it comes from, but only from which origin.
    const origin = proxy.url.replace("127.0.0.1", INSECURE_HOST);
    const visitor = await visit(origin);
    visitor.expect(/Cross-Origin-Opener-Policy header has been ignored/);
    const page = await visitor.open(`${origin}/`);
    await page.getByLabel("Message", { exact: true }).fill("no HTTPS here");
    await page.getByRole("button", { name: "Create link" }).click();
    const reader = await visitor.open(await handedOn(page, "Link"));
    await read(reader);
    await shown(reader).waitFor();
    assert.equal(await shown(reader).textContent(), "no HTTPS here");
    await visitor.leave();
});

test("a reader who is not signed in any more is told so, and reads after that", async () => {
    await proxy.admit(true);
    const message = await stage.sealed({ text: "still there" });
    const visitor = await visit();
    visitor.expect(/401/);
    const page = await visitor.open(proxy.url + message.path);
    await proxy.admit(false);
    await read(page);
    await arrivesAt(page, "Sign in first");
    assert.equal(await stage.state(message), "UNREAD");
    await proxy.admit(true);
    await page.reload();
    await read(page);
    await shown(page).waitFor();
    assert.equal(await shown(page).textContent(), "still there");
    await visitor.leave();
});

test("an admin signs in behind a proxy with a password, and is told when the proxy asks again", async () => {
    await proxy.admit(true);
    const visitor = await visit();
    visitor.expect(/401/);
    const page = await visitor.open(`${proxy.url}/admin`);
    await (await Admin.of(stage.system)).open(page);
    await page.getByRole("region", { name: "The bot" }).waitFor();
    await proxy.admit(false);
    await page.getByText("A proxy in front of the server asks you to sign in").waitFor();
    await visitor.leave();
});

test("an admin who is not signed in any more is told so", async () => {
    await proxy.admit(true);
    const visitor = await visit();
    visitor.expect(/401/);
    const page = await visitor.open(`${proxy.url}/admin`);
    await page.getByLabel("Admin token").fill((await Admin.of(stage.system)).token);
    await proxy.admit(false);
    await page.getByRole("button", { name: "Open" }).click();
    await page.getByText("A proxy in front of the server asks you to sign in").waitFor();
    await visitor.leave();
});

test("a writer who is not signed in any more is told so, and what was written stays", async () => {
    await proxy.admit(true);
    const visitor = await visit();
    visitor.expect(/401/);
    const page = await visitor.open(`${proxy.url}/`);
    await page.getByLabel("Message", { exact: true }).fill("still here");
    await proxy.admit(false);
    await page.getByRole("button", { name: "Create link" }).click();
    await page.getByText("A proxy in front of the server").waitFor();
    assert.equal(await page.getByLabel("Message", { exact: true }).inputValue(), "still here");
    await visitor.leave();
});
