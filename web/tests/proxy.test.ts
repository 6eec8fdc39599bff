// The page behind a proxy that asks for a password.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { arrivesAt, handedOn, read, shown } from "./support/acts.ts";
import { Admin } from "./support/admin.ts";
import { CREDENTIALS, Proxy } from "./support/proxy.ts";
import { Stage } from "./support/stage.ts";

let stage: Stage;
let proxy: Proxy;
before(async () => {
    stage = await Stage.set();
    proxy = await Proxy.start(stage.url);
});
after(async () => {
    await proxy?.stop();
    await stage?.clear();
});

const visit = () => stage.visitor({ origin: proxy.url, httpCredentials: CREDENTIALS });

test("a message is written, followed and read behind a proxy with a password", async () => {
    proxy.isOpen = true;
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

test("a reader who is not signed in any more is told so, and reads after that", async () => {
    proxy.isOpen = true;
    const message = await stage.sealed({ text: "still there" });
    const visitor = await visit();
    visitor.expect(/401/);
    const page = await visitor.open(proxy.url + message.path);
    proxy.isOpen = false;
    await read(page);
    await arrivesAt(page, "Sign in first");
    assert.equal(await stage.state(message), "UNREAD");
    proxy.isOpen = true;
    await page.reload();
    await read(page);
    await shown(page).waitFor();
    assert.equal(await shown(page).textContent(), "still there");
    await visitor.leave();
});

test("the admin page says what a proxy with a password does to its token", async () => {
    proxy.isOpen = true;
    const visitor = await visit();
    visitor.expect(/401/);
    const page = await visitor.open(`${proxy.url}/admin`);
    // The token takes the place of the password in the header that both need.
    await page.getByLabel("Admin token").fill((await Admin.of(stage.system)).token);
    proxy.isOpen = false;
    await page.getByRole("button", { name: "Open" }).click();
    await page.getByText("A proxy that asks for a password by HTTP Basic").waitFor();
    await visitor.leave();
});

test("an open admin page says when a proxy asks to sign in", async () => {
    const free = await Proxy.start(stage.url, { asksForPassword: false });
    try {
        const visitor = await stage.visitor({ origin: free.url });
        visitor.expect(/401/);
        const page = await visitor.open(`${free.url}/admin`);
        await page.getByLabel("Admin token").fill((await Admin.of(stage.system)).token);
        await page.getByRole("button", { name: "Open" }).click();
        await page.getByRole("region", { name: "The bot" }).waitFor();
        free.isOpen = false;
        await page.getByText("A proxy in front of the server asks you to sign in").waitFor();
        await visitor.leave();
    } finally {
        await free.stop();
    }
});

test("a writer who is not signed in any more is told so, and what was written stays", async () => {
    proxy.isOpen = true;
    const visitor = await visit();
    visitor.expect(/401/);
    const page = await visitor.open(`${proxy.url}/`);
    await page.getByLabel("Message", { exact: true }).fill("still here");
    proxy.isOpen = false;
    await page.getByRole("button", { name: "Create link" }).click();
    await page.getByText("A proxy in front of the server").waitFor();
    assert.equal(await page.getByLabel("Message", { exact: true }).inputValue(), "still here");
    await visitor.leave();
});
