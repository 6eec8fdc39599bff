// The page in a browser, in front of the program itself.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { Browser } from "playwright-core";
import { accessibilityFaults, launch, Visitor } from "./support/browser.ts";
import { Front } from "./support/front.ts";
import { System } from "./support/system.ts";

let browser: Browser;
let system: System;
let front: Front;

before(async () => {
    [browser, system] = await Promise.all([launch(), System.start()]);
    front = await Front.start(system.gatewayUrl);
});
after(async () => {
    front?.stop();
    await Promise.all([browser?.close(), system?.stop()]);
});

test("a message for everybody is written in one browser and read in another, once", async () => {
    const writer = await Visitor.arrive(browser, front.url);
    const reader = await Visitor.arrive(browser, front.url);
    const writing = await writer.open(`${front.url}/`);
    assert.deepEqual(await accessibilityFaults(writing), []);
    await writing.getByLabel("Message").fill("  two\n\tlines <b>:</b> ");
    await writing.getByRole("switch").check();
    await writing.getByRole("button", { name: "Create link" }).click();
    const link = await writing.getByRole("group", { name: "Link" }).locator("code").textContent();
    assert.deepEqual(await accessibilityFaults(writing), []);
    await writing.getByText("Not read yet").waitFor();

    const reading = await reader.open(link ?? "");
    assert.deepEqual(await accessibilityFaults(reading), []);
    await reading.getByRole("button", { name: "Read the message" }).click();
    const shown = reading.getByRole("region", { name: "Message" });
    await shown.waitFor();
    assert.equal(await shown.textContent(), "  two\n\tlines <b>:</b> ");
    assert.deepEqual(await accessibilityFaults(reading), []);
    await writing.getByText(/^Read on /).waitFor();
    await writer.leave();
    await reader.leave();
});
