// The page behind nginx with a password.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { waitForHeading, copyableText, readMessage, messageText } from "./support/actions.ts";
import { Admin } from "./support/admin.ts";
import { CREDENTIALS, Proxy } from "./support/proxy.ts";
import { INSECURE_HOST, Fixture } from "./support/fixture.ts";

let fixture: Fixture;
let proxy: Proxy;
before(async () => {
    fixture = await Fixture.start("--trusted-proxies", "1");
    proxy = await Proxy.start(fixture.url);
});
after(async () => {
    await proxy?.stop();
    await fixture?.stop();
});

const newVisitor = (origin = proxy.url) => fixture.visitor({ origin, httpCredentials: CREDENTIALS });

test("a message is created, watched and read behind a proxy with a password", async () => {
    await proxy.acceptPassword(true);
    const visitor = await newVisitor();
    const page = await visitor.open(`${proxy.url}/`);
    await page.getByLabel("Message", { exact: true }).fill("behind a proxy");
    await page.getByRole("button", { name: "Create link" }).click();
    const link = await copyableText(page, "Link");
    await page.getByText("Not read yet").waitFor();
    const reader = await visitor.open(link);
    await readMessage(reader);
    await messageText(reader).waitFor();
    assert.equal(await messageText(reader).textContent(), "behind a proxy");
    await page.getByText(/^Read on/).waitFor();
    await visitor.close();
});

test("a message is burned behind a proxy with a password", async () => {
    await proxy.acceptPassword(true);
    const visitor = await newVisitor();
    const page = await visitor.open(`${proxy.url}/`);
    await page.getByLabel("Message", { exact: true }).fill("never mind");
    await page.getByRole("button", { name: "Create link" }).click();
    const reader = await visitor.open(await copyableText(page, "Link"));
    await page.getByRole("button", { name: "Burn it" }).click();
    await page.getByRole("button", { name: "Yes, erase it" }).click();
    await page.getByText(/^Burned unread on /).waitFor();
    await readMessage(reader);
    await waitForHeading(reader, "This message was burned");
    await visitor.close();
});

test("the page works behind a proxy without HTTPS on its own port", async () => {
    await proxy.acceptPassword(true);
    // Without HTTPS, browsers send the origin of a request, but not its site.
    const origin = proxy.url.replace("127.0.0.1", INSECURE_HOST);
    const visitor = await newVisitor(origin);
    visitor.expectError(/Cross-Origin-Opener-Policy header has been ignored/);
    const page = await visitor.open(`${origin}/`);
    await page.getByLabel("Message", { exact: true }).fill("no HTTPS here");
    await page.getByRole("button", { name: "Create link" }).click();
    const reader = await visitor.open(await copyableText(page, "Link"));
    await readMessage(reader);
    await messageText(reader).waitFor();
    assert.equal(await messageText(reader).textContent(), "no HTTPS here");
    await visitor.close();
});

test("a reader without a login at the proxy is told to log in, then reads the message", async () => {
    await proxy.acceptPassword(true);
    const message = await fixture.sealed({ text: "still there" });
    const visitor = await newVisitor();
    visitor.expectError(/401/);
    const page = await visitor.open(proxy.url + message.path);
    await proxy.acceptPassword(false);
    await readMessage(page);
    await waitForHeading(page, "Sign in first");
    assert.equal(await fixture.state(message), "UNREAD");
    await proxy.acceptPassword(true);
    await page.reload();
    await readMessage(page);
    await messageText(page).waitFor();
    assert.equal(await messageText(page).textContent(), "still there");
    await visitor.close();
});

test("an admin logs in behind a proxy, and is told when the proxy requires a login again", async () => {
    await proxy.acceptPassword(true);
    const visitor = await newVisitor();
    visitor.expectError(/401/);
    const page = await visitor.open(`${proxy.url}/admin`);
    await (await Admin.forSystem(fixture.system)).logIn(page);
    await page.getByRole("region", { name: "The bot" }).waitFor();
    await proxy.acceptPassword(false);
    await page.getByText("A proxy requires you to sign in").waitFor();
    await visitor.close();
});

test("an admin without a login at the proxy is told to log in", async () => {
    await proxy.acceptPassword(true);
    const visitor = await newVisitor();
    visitor.expectError(/401/);
    const page = await visitor.open(`${proxy.url}/admin`);
    await page.getByLabel("Admin token").fill((await Admin.forSystem(fixture.system)).token);
    await proxy.acceptPassword(false);
    await page.getByRole("button", { name: "Open" }).click();
    await page.getByText("A proxy requires you to sign in").waitFor();
    await visitor.close();
});

test("a writer without a login at the proxy is told to log in, and keeps the text", async () => {
    await proxy.acceptPassword(true);
    const visitor = await newVisitor();
    visitor.expectError(/401/);
    const page = await visitor.open(`${proxy.url}/`);
    await page.getByLabel("Message", { exact: true }).fill("still here");
    await proxy.acceptPassword(false);
    await page.getByRole("button", { name: "Create link" }).click();
    await page.getByText("A proxy requires you to sign in").waitFor();
    assert.equal(await page.getByLabel("Message", { exact: true }).inputValue(), "still here");
    await visitor.close();
});
