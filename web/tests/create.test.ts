// Creating messages on the page, and watching their state.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import jsqr from "jsqr";
import type { Page } from "playwright-core";
import {
    waitForHeading,
    copyableText,
    parseMessageRef,
    readMessage,
    messageText,
    createMessage,
} from "./support/actions.ts";
import { Fixture } from "./support/fixture.ts";
import { waitUntil } from "./support/process.ts";

let fixture: Fixture;
before(async () => void (fixture = await Fixture.start()));
after(() => fixture?.stop());

const TEXT = "  two\n\tlines <b>:</b> ü 한 😀 ";

for (const isPlain of [false, true]) {
    const kind = isPlain ? "readable everywhere" : "encrypted in the browser";

    test(`a message ${kind} is created in one browser and read once in another`, async () => {
        const writer = await fixture.visitor();
        const reader = await fixture.visitor();
        const late = await fixture.visitor();
        const { page: writing, link } = await createMessage(fixture, writer, TEXT, { isPlain });
        await writing.getByText("Not read yet").waitFor();

        const reading = await reader.open(link);
        await readMessage(reading);
        await messageText(reading).waitFor();
        assert.equal(await messageText(reading).textContent(), TEXT);

        await writing.getByText(/^Read on /).waitFor();
        await waitForHeading(writing, "This message was read");
        const tooLate = await late.open(link);
        await waitForHeading(tooLate, "This message was read");
        await tooLate.getByText("If that was not you").waitFor();
        assert.equal(await tooLate.getByRole("button", { name: "Read the message" }).count(), 0);
        for (const visitor of [writer, reader, late]) await visitor.close();
    });

    test(`a message ${kind} stays unread until the passphrase is right`, async () => {
        const writer = await fixture.visitor();
        const reader = await fixture.visitor();
        const { link } = await createMessage(fixture, writer, TEXT, { isPlain, passphrase: "blue whale" });
        const reading = await reader.open(link);
        await readMessage(reading);
        await reading.getByText("Enter the passphrase").waitFor();
        await reading.getByLabel("Passphrase").fill("red whale");
        await readMessage(reading);
        await reading.getByText("The passphrase is wrong").waitFor();
        await reading.getByLabel("Passphrase").fill("blue whale");
        await readMessage(reading);
        await messageText(reading).waitFor();
        assert.equal(await messageText(reading).textContent(), TEXT);
        await writer.close();
        await reader.close();
    });
}

test("a burned message cannot be read", async () => {
    const writer = await fixture.visitor();
    const reader = await fixture.visitor();
    const { page, link } = await createMessage(fixture, writer, TEXT);
    await page.getByRole("button", { name: "Burn it" }).click();
    await page.getByRole("button", { name: "Keep it" }).click();
    const reading = await reader.open(link);
    await waitForHeading(reading, "A message is waiting for you");
    await page.getByRole("button", { name: "Burn it" }).click();
    await page.getByRole("button", { name: "Yes, erase it" }).click();
    await page.getByText(/^Burned unread on /).waitFor();
    assert.equal(await page.getByText(link).count(), 0, "the link is still offered");
    await readMessage(reading);
    await waitForHeading(reading, "This message was burned");
    await writer.close();
    await reader.close();
});

test("burning a message that was just read shows that it was read", async () => {
    const writer = await fixture.visitor();
    // The status updates fail.
    await writer.context.route("**/LookupMessage", (route) => route.abort());
    writer.expectError(/ERR_FAILED/);
    const { page, link } = await createMessage(fixture, writer, TEXT, { isPlain: true });
    await fixture.system.rest("view_message", parseMessageRef(link));
    await page.getByRole("button", { name: "Burn it" }).click();
    await page.getByRole("button", { name: "Yes, erase it" }).click();
    await waitForHeading(page, "This message was read");
    await writer.close();
});

test("six tabs that watch messages do not block a seventh", async () => {
    const writer = await fixture.visitor();
    const waiting: { page: Page; link: string }[] = [];
    for (let tab = 1; tab <= 6; tab += 1) {
        const made = await createMessage(fixture, writer, `text ${tab}`, { isPlain: true });
        await made.page.getByText("Not read yet").waitFor();
        waiting.push(made);
    }
    const { page } = await createMessage(fixture, writer, "seventh");
    await page.getByText("Not read yet").waitFor();
    await page.getByRole("button", { name: "Burn it" }).click();
    await page.getByRole("button", { name: "Yes, erase it" }).click();
    await page.getByText(/^Burned unread on /).waitFor();
    for (const { page, link } of waiting) {
        await fixture.system.rest("view_message", parseMessageRef(link));
        await page.getByText(/^Read on /).waitFor();
    }
    await writer.close();
});

test("the status reconnects after a restart of the server", async () => {
    const own = await Fixture.start();
    try {
        const writer = await own.visitor();
        writer.expectError(/ERR_/);
        const { page, link } = await createMessage(own, writer, TEXT, { isPlain: true });
        await page.getByText("Not read yet").waitFor();
        await own.system.kill();
        await page.getByText("The connection is interrupted").waitFor();
        await own.system.launch();
        await page.getByText("The connection is interrupted").waitFor({ state: "detached" });
        await own.system.rest("view_message", parseMessageRef(link));
        await page.getByText(/^Read on /).waitFor();
        await writer.close();
    } finally {
        await own.stop();
    }
});

test("a creation whose response was lost is repeated and stored once", async () => {
    const writer = await fixture.visitor();
    writer.expectError(/ERR_FAILED/);
    const requests: (Buffer | null)[] = [];
    const responses: Buffer[] = [];
    await writer.context.route("**/CreateMessage", async (route) => {
        requests.push(route.request().postDataBuffer());
        const response = await route.fetch();
        responses.push(await response.body());
        await (responses.length === 1 ? route.abort() : route.fulfill({ response }));
    });
    const { link } = await createMessage(fixture, writer, TEXT);
    assert.equal(requests.length, 2);
    assert.deepEqual(requests[0], requests[1]);
    assert.deepEqual(responses[0], responses[1], "another message was stored");
    assert.ok(responses[0]?.includes(parseMessageRef(link).access_token));
    await writer.close();
});

test("the form is read-only while the message is being stored, and editable after an error", async () => {
    const writer = await fixture.visitor();
    let failCreation = () => {};
    const creationFailed = new Promise<void>((done) => (failCreation = done));
    await writer.context.route("**/CreateMessage", async (route) => {
        await creationFailed;
        await route.fulfill({
            status: 200,
            headers: { "content-type": "application/grpc-web+proto", "grpc-status": "13" },
        });
    });
    const page = await writer.open(`${fixture.url}/`);
    const text = page.getByLabel("Message", { exact: true });
    await text.fill(TEXT);
    await page.getByRole("button", { name: "Create link" }).click();
    await page.getByRole("button", { name: "Storing…" }).waitFor();
    await text.press("End");
    await text.pressSequentially("more");
    assert.equal(await text.inputValue(), TEXT);
    for (const control of [page.getByLabel("Keep it for at most"), page.getByRole("switch")])
        assert.ok(await control.isDisabled());
    assert.equal(await page.getByLabel("Passphrase (optional)").getAttribute("readonly"), "");
    failCreation();
    await page.getByRole("alert").waitFor();
    await text.fill("another");
    assert.equal(await text.inputValue(), "another");
    await writer.close();
});

test("an unreachable server loses no input, and a retry sends the same request", async () => {
    const writer = await fixture.visitor();
    writer.expectError(/ERR_FAILED/);
    const bodies = new Set<string>();
    let isUnavailable = true;
    await writer.context.route("**/CreateMessage", async (route) => {
        bodies.add(route.request().postDataBuffer()?.toString("hex") ?? "");
        await (isUnavailable ? route.abort() : route.continue());
    });
    const page = await writer.open(`${fixture.url}/`);
    await page.getByLabel("Message", { exact: true }).fill(TEXT);
    await page.getByRole("button", { name: "Create link" }).click();
    await page.getByText("No response yet").waitFor();
    await page.getByRole("alert").filter({ hasText: "The server does not respond" }).waitFor();
    assert.equal(await page.getByLabel("Message", { exact: true }).inputValue(), TEXT);
    isUnavailable = false;
    await page.getByRole("button", { name: "Create link" }).click();
    await copyableText(page, "Link");
    assert.equal(bodies.size, 1);
    // A new text is a new message.
    await page.getByRole("button", { name: "Write another message" }).click();
    await page.getByLabel("Message", { exact: true }).fill(TEXT);
    await page.getByRole("button", { name: "Create link" }).click();
    await copyableText(page, "Link");
    assert.equal(bodies.size, 2);
    await writer.close();
});

test("the page loads the limits of its server", async () => {
    const small = await Fixture.start("--max-text-bytes", "10000", "--max-ttl", "36h", "--default-ttl", "1h");
    try {
        const writer = await small.visitor();
        const page = await writer.open(`${small.url}/`);
        await page.getByText("0 of 10,000 bytes").waitFor();
        const lifetime = page.getByLabel("Keep it for at most");
        assert.deepEqual(await lifetime.locator("option").allTextContents(), ["1 hour", "1 day", "36 hours"]);
        assert.equal(await lifetime.inputValue(), "3600");
        await lifetime.selectOption({ label: "36 hours" });
        const message = page.getByLabel("Message", { exact: true });
        await message.fill("x".repeat(10_001));
        const submit = page.getByRole("button", { name: "Create link" });
        await submit.click();
        await page.getByRole("alert").filter({ hasText: "at most 10,000 bytes" }).waitFor();
        // With the padding of its size class it would be too long.
        await message.fill("x".repeat(10_000));
        await submit.click();
        await copyableText(page, "Link");
        await writer.close();
    } finally {
        await small.stop();
    }
});

test("a page without the limits of its server learns them from errors", async () => {
    const small = await Fixture.start("--max-text-bytes", "10000", "--max-ttl", "1d", "--default-ttl", "1h");
    try {
        const writer = await small.visitor();
        writer.expectError(/ERR_FAILED/);
        await writer.context.route("**/GetLimits", (route) => route.abort());
        const page = await writer.open(`${small.url}/`);
        const message = page.getByLabel("Message", { exact: true });
        const submit = page.getByRole("button", { name: "Create link" });
        await submit.click();
        await page.getByRole("alert").filter({ hasText: "Write something first" }).waitFor();
        await message.fill("x");
        await submit.click();
        await page.getByRole("alert").filter({ hasText: "Choose a shorter time" }).waitFor();
        await page.getByLabel("Keep it for at most").selectOption({ label: "1 day" });
        await message.fill("x".repeat(10_001));
        await submit.click();
        await page.getByRole("alert").filter({ hasText: "at most 10,000 bytes" }).waitFor();
        await page.getByText("10,001 of 10,000 bytes").waitFor();
        // With the padding of its size class it would be too long.
        await message.fill("ü".repeat(4_999));
        await page.getByText("9,998 of 10,000 bytes").waitFor();
        await submit.click();
        const reader = await small.visitor();
        const reading = await reader.open(await copyableText(page, "Link"));
        await readMessage(reading);
        await messageText(reading).waitFor();
        assert.equal(await messageText(reading).textContent(), "ü".repeat(4_999));
        await writer.close();
        await reader.close();
    } finally {
        await small.stop();
    }
});

test("the QR code contains the link", async () => {
    const writer = await fixture.visitor();
    const { page, link } = await createMessage(fixture, writer, TEXT);
    await page.getByRole("button", { name: "Show QR code" }).click();
    const code = page.getByRole("img", { name: "QR code of the link" });
    const picture = (await code.screenshot()).toString("base64");
    const blank = await fixture.browser.newPage();
    const pixels = await blank.evaluate(async (picture) => {
        const image = await createImageBitmap(await (await fetch(`data:image/png;base64,${picture}`)).blob());
        const context = new OffscreenCanvas(image.width, image.height).getContext("2d");
        context?.drawImage(image, 0, 0);
        const { data, width, height } = context?.getImageData(0, 0, image.width, image.height) ?? new ImageData(1, 1);
        return { data: [...data], width, height };
    }, picture);
    await blank.close();
    assert.equal(jsqr(Uint8ClampedArray.from(pixels.data), pixels.width, pixels.height)?.data, link);
    await writer.close();
});

test("the copy buttons copy the shown texts", async () => {
    const visitor = await fixture.visitor({ permissions: ["clipboard-write"] });
    const { page, link } = await createMessage(fixture, visitor, TEXT, { isPlain: true });
    const pasting = await visitor.open(`${fixture.url}/`);
    const pasted = async () => {
        const message = pasting.getByLabel("Message", { exact: true });
        await message.fill("");
        await message.press("Control+V");
        return message.inputValue();
    };
    for (const name of ["Link", "For Telegram and the terminal"] as const) {
        await page.getByRole("group", { name, exact: true }).getByRole("button").click();
        await page
            .getByRole("group", { name, exact: true })
            .getByRole("status")
            .filter({ hasText: "Copied" })
            .waitFor();
        assert.equal(await pasted(), await copyableText(page, name));
    }
    const reading = await visitor.open(link);
    await readMessage(reading);
    await reading.getByRole("button", { name: "Copy" }).click();
    await reading.getByRole("status").filter({ hasText: "Copied" }).waitFor();
    assert.equal(await pasted(), TEXT);
    await visitor.close();
});

test("a page without HTTPS explains the encryption, and creates messages", async () => {
    const writer = await fixture.visitor({ origin: fixture.insecureUrl });
    const page = await writer.open(`${fixture.insecureUrl}/`);
    await page.getByText("This page has no HTTPS").waitFor();
    assert.equal(await page.getByRole("switch").count(), 0);
    await page.getByLabel("Message", { exact: true }).fill(TEXT);
    await page.getByRole("button", { name: "Create link" }).click();
    const pair = await copyableText(page, "For Telegram and the terminal");
    // The clipboard API needs HTTPS; the older command does not.
    await page.getByRole("group", { name: "Link", exact: true }).getByRole("button").click();
    await page.getByText("Copied").first().waitFor();
    const response = await fixture.system.rest("view_message", parseMessageRef(pair));
    assert.equal(((await response.json()) as { text: string }).text, TEXT);
    await writer.close();
});

test("the keyboard suffices for creating and reading", async () => {
    const writer = await fixture.visitor();
    const reader = await fixture.visitor();
    const writing = await writer.open(`${fixture.url}/`);
    const focused = () => writing.evaluate(() => document.activeElement?.textContent?.trim() ?? "");
    await writing.keyboard.press("Tab");
    await writing.keyboard.press("Tab");
    await writing.keyboard.type("typed");
    for (let presses = 0; presses < 12 && (await focused()) !== "Create link"; presses += 1) {
        await writing.keyboard.press("Tab");
    }
    await writing.keyboard.press("Enter");
    const link = await copyableText(writing, "Link");
    await waitUntil("the new heading has the focus", async () => (await focused()) === "Your link is ready");

    const reading = await reader.open(link);
    await waitUntil("the focus is on the heading", () =>
        reading.evaluate(() => document.activeElement?.textContent === "A message is waiting for you"),
    );
    await reading.keyboard.press("Tab");
    await reading.keyboard.press("Enter");
    await messageText(reading).waitFor();
    assert.equal(await messageText(reading).textContent(), "typed");
    await writer.close();
    await reader.close();
});
