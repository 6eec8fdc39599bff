// Writing a message on the page, and what becomes of it.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import jsqr from "jsqr";
import type { Page } from "playwright-core";
import { arrivesAt, handedOn, openerOf, read, shown, write } from "./support/acts.ts";
import { Stage } from "./support/stage.ts";
import { until } from "./support/system.ts";

let stage: Stage;
before(async () => void (stage = await Stage.set()));
after(() => stage?.clear());

const TEXT = "  two\n\tlines <b>:</b> ü 한 😀 ";

for (const isPlain of [false, true]) {
    const kind = isPlain ? "readable everywhere" : "encrypted in the browser";

    test(`a message ${kind} is written in one browser, read in another, and gone`, async () => {
        const writer = await stage.visitor();
        const reader = await stage.visitor();
        const late = await stage.visitor();
        const { page: writing, link } = await write(stage, writer, TEXT, { isPlain });
        await writing.getByText("Not read yet").waitFor();

        const reading = await reader.open(link);
        await read(reading);
        await shown(reading).waitFor();
        assert.equal(await shown(reading).textContent(), TEXT);

        await writing.getByText(/^Read on /).waitFor();
        await arrivesAt(writing, "This message was read");
        const tooLate = await late.open(link);
        await arrivesAt(tooLate, "This message was read");
        await tooLate.getByText("If that was not you").waitFor();
        assert.equal(await tooLate.getByRole("button", { name: "Read the message" }).count(), 0);
        for (const visitor of [writer, reader, late]) await visitor.leave();
    });

    test(`a message ${kind} asks for its passphrase before anything is lost`, async () => {
        const writer = await stage.visitor();
        const reader = await stage.visitor();
        const { link } = await write(stage, writer, TEXT, { isPlain, passphrase: "blue whale" });
        const reading = await reader.open(link);
        await read(reading);
        await reading.getByText("Enter the passphrase").waitFor();
        await reading.getByLabel("Passphrase").fill("red whale");
        await read(reading);
        await reading.getByText("That is not the passphrase").waitFor();
        await reading.getByLabel("Passphrase").fill("blue whale");
        await read(reading);
        await shown(reading).waitFor();
        assert.equal(await shown(reading).textContent(), TEXT);
        await writer.leave();
        await reader.leave();
    });
}

test("a burned message opens nothing any more", async () => {
    const writer = await stage.visitor();
    const reader = await stage.visitor();
    const { page, link } = await write(stage, writer, TEXT);
    await page.getByRole("button", { name: "Burn it" }).click();
    await page.getByRole("button", { name: "Keep it" }).click();
    const reading = await reader.open(link);
    await arrivesAt(reading, "A message is waiting for you");
    await page.getByRole("button", { name: "Burn it" }).click();
    await page.getByRole("button", { name: "Yes, erase it" }).click();
    await page.getByText(/^Burned unread on /).waitFor();
    assert.equal(await page.getByText(link).count(), 0, "the link is still offered");
    await read(reading);
    await arrivesAt(reading, "This message was burned");
    await writer.leave();
    await reader.leave();
});

test("who burns a message that was just read is told that it was read", async () => {
    const writer = await stage.visitor();
    // The live line comes too late.
    await writer.context.route("**/LookupMessage", (route) => route.abort());
    writer.expect(/ERR_FAILED/);
    const { page, link } = await write(stage, writer, TEXT, { isPlain: true });
    await stage.system.rest("view_message", openerOf(link));
    await page.getByRole("button", { name: "Burn it" }).click();
    await page.getByRole("button", { name: "Yes, erase it" }).click();
    await arrivesAt(page, "This message was read");
    await writer.leave();
});

test("six tabs that wait for their readers leave a seventh its connections", async () => {
    const writer = await stage.visitor();
    const waiting: { page: Page; link: string }[] = [];
    for (let tab = 1; tab <= 6; tab += 1) {
        const made = await write(stage, writer, `text ${tab}`, { isPlain: true });
        await made.page.getByText("Not read yet").waitFor();
        waiting.push(made);
    }
    const { page } = await write(stage, writer, "seventh");
    await page.getByText("Not read yet").waitFor();
    await page.getByRole("button", { name: "Burn it" }).click();
    await page.getByRole("button", { name: "Yes, erase it" }).click();
    await page.getByText(/^Burned unread on /).waitFor();
    for (const { page, link } of waiting) {
        await stage.system.rest("view_message", openerOf(link));
        await page.getByText(/^Read on /).waitFor();
    }
    await writer.leave();
});

test("the live line outlives a restart of everything", async () => {
    const own = await Stage.set();
    try {
        const writer = await own.visitor();
        writer.expect(/ERR_/);
        const { page, link } = await write(own, writer, TEXT, { isPlain: true });
        await page.getByText("Not read yet").waitFor();
        await own.system.halt();
        await page.getByText("The connection is interrupted").waitFor();
        await own.system.resume();
        await page.getByText("The connection is interrupted").waitFor({ state: "detached" });
        await own.system.rest("view_message", openerOf(link));
        await page.getByText(/^Read on /).waitFor();
        await writer.leave();
    } finally {
        await own.clear();
    }
});

test("a message whose confirmation was lost is asked for again and stored once", async () => {
    const writer = await stage.visitor();
    writer.expect(/ERR_FAILED/);
    const requests: (Buffer | null)[] = [];
    const answers: Buffer[] = [];
    await writer.context.route("**/CreateMessage", async (route) => {
        requests.push(route.request().postDataBuffer());
        const answer = await route.fetch();
        answers.push(await answer.body());
        await (answers.length === 1 ? route.abort() : route.fulfill({ response: answer }));
    });
    const { link } = await write(stage, writer, TEXT);
    assert.equal(requests.length, 2);
    assert.deepEqual(requests[0], requests[1]);
    assert.deepEqual(answers[0], answers[1], "another message was stored");
    assert.ok(answers[0]?.includes(openerOf(link).access_token));
    await writer.leave();
});

test("nothing can be changed while it is being stored, and changed again when that failed", async () => {
    const writer = await stage.visitor();
    let refuse = () => {};
    const refused = new Promise<void>((done) => (refuse = done));
    await writer.context.route("**/CreateMessage", async (route) => {
        await refused;
        await route.fulfill({
            status: 200,
            headers: { "content-type": "application/grpc-web+proto", "grpc-status": "13" },
        });
    });
    const page = await writer.open(`${stage.url}/`);
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
    refuse();
    await page.getByRole("alert").waitFor();
    await text.fill("another");
    assert.equal(await text.inputValue(), "another");
    await writer.leave();
});

test("while nobody answers, nothing that was written is lost, and trying again repeats the same request", async () => {
    const writer = await stage.visitor();
    writer.expect(/ERR_FAILED/);
    const bodies = new Set<string>();
    let isAway = true;
    await writer.context.route("**/CreateMessage", async (route) => {
        bodies.add(route.request().postDataBuffer()?.toString("hex") ?? "");
        await (isAway ? route.abort() : route.continue());
    });
    const page = await writer.open(`${stage.url}/`);
    await page.getByLabel("Message", { exact: true }).fill(TEXT);
    await page.getByRole("button", { name: "Create link" }).click();
    await page.getByText("No answer yet").waitFor();
    await page.getByRole("alert").filter({ hasText: "The server does not answer" }).waitFor();
    assert.equal(await page.getByLabel("Message", { exact: true }).inputValue(), TEXT);
    isAway = false;
    await page.getByRole("button", { name: "Create link" }).click();
    await handedOn(page, "Link");
    assert.equal(bodies.size, 1);
    // Another text is another message.
    await page.getByRole("button", { name: "Write another message" }).click();
    await page.getByLabel("Message", { exact: true }).fill(TEXT);
    await page.getByRole("button", { name: "Create link" }).click();
    await handedOn(page, "Link");
    assert.equal(bodies.size, 2);
    await writer.leave();
});

test("the page says the limits of its server before anything is written", async () => {
    const small = await Stage.set("--max-text-bytes", "10000", "--max-ttl", "36h", "--default-ttl", "1h");
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
        // Padded to its size class this would be too long.
        await message.fill("x".repeat(10_000));
        await submit.click();
        await handedOn(page, "Link");
        await writer.leave();
    } finally {
        await small.clear();
    }
});

test("a page that could not ask for the limits of its server learns them from refusals", async () => {
    const small = await Stage.set("--max-text-bytes", "10000", "--max-ttl", "1d", "--default-ttl", "1h");
    try {
        const writer = await small.visitor();
        writer.expect(/ERR_FAILED/);
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
        // Padded to its size class this would be too long.
        await message.fill("ü".repeat(4_999));
        await page.getByText("9,998 of 10,000 bytes").waitFor();
        await submit.click();
        const reader = await small.visitor();
        const reading = await reader.open(await handedOn(page, "Link"));
        await read(reading);
        await shown(reading).waitFor();
        assert.equal(await shown(reading).textContent(), "ü".repeat(4_999));
        await writer.leave();
        await reader.leave();
    } finally {
        await small.clear();
    }
});

test("the QR code says what the link says", async () => {
    const writer = await stage.visitor();
    const { page, link } = await write(stage, writer, TEXT);
    await page.getByRole("button", { name: "Show QR code" }).click();
    const code = page.getByRole("img", { name: "QR code of the link" });
    const picture = (await code.screenshot()).toString("base64");
    const blank = await stage.browser.newPage();
    const pixels = await blank.evaluate(async (picture) => {
        const image = await createImageBitmap(await (await fetch(`data:image/png;base64,${picture}`)).blob());
        const context = new OffscreenCanvas(image.width, image.height).getContext("2d");
        context?.drawImage(image, 0, 0);
        const { data, width, height } = context?.getImageData(0, 0, image.width, image.height) ?? new ImageData(1, 1);
        return { data: [...data], width, height };
    }, picture);
    await blank.close();
    assert.equal(jsqr(Uint8ClampedArray.from(pixels.data), pixels.width, pixels.height)?.data, link);
    await writer.leave();
});

test("what is copied is what is shown", async () => {
    const visitor = await stage.visitor({ permissions: ["clipboard-write"] });
    const { page, link } = await write(stage, visitor, TEXT, { isPlain: true });
    const pasting = await visitor.open(`${stage.url}/`);
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
        assert.equal(await pasted(), await handedOn(page, name));
    }
    const reading = await visitor.open(link);
    await read(reading);
    await reading.getByRole("button", { name: "Copy" }).click();
    await reading.getByRole("status").filter({ hasText: "Copied" }).waitFor();
    assert.equal(await pasted(), TEXT);
    await visitor.leave();
});

test("on a page without HTTPS the writer is told who encrypts, and can write all the same", async () => {
    const writer = await stage.visitor({ origin: stage.insecureUrl });
    const page = await writer.open(`${stage.insecureUrl}/`);
    await page.getByText("opened without HTTPS").waitFor();
    assert.equal(await page.getByRole("switch").count(), 0);
    await page.getByLabel("Message", { exact: true }).fill(TEXT);
    await page.getByRole("button", { name: "Create link" }).click();
    const pair = await handedOn(page, "For Telegram and the terminal");
    // There is no clipboard without HTTPS either; the browser's older command does.
    await page.getByRole("group", { name: "Link", exact: true }).getByRole("button").click();
    await page.getByText("Copied").first().waitFor();
    const answer = await stage.system.rest("view_message", openerOf(pair));
    assert.equal(((await answer.json()) as { text: string }).text, TEXT);
    await writer.leave();
});

test("everything can be done with the keyboard alone", async () => {
    const writer = await stage.visitor();
    const reader = await stage.visitor();
    const writing = await writer.open(`${stage.url}/`);
    const focused = () => writing.evaluate(() => document.activeElement?.textContent?.trim() ?? "");
    await writing.keyboard.press("Tab");
    await writing.keyboard.press("Tab");
    await writing.keyboard.type("typed");
    for (let presses = 0; presses < 12 && (await focused()) !== "Create link"; presses += 1) {
        await writing.keyboard.press("Tab");
    }
    await writing.keyboard.press("Enter");
    const link = await handedOn(writing, "Link");
    await until("the focus is on what is new", async () => (await focused()) === "Your link is ready");

    const reading = await reader.open(link);
    await until("the focus is on the title", () =>
        reading.evaluate(() => document.activeElement?.textContent === "A message is waiting for you"),
    );
    await reading.keyboard.press("Tab");
    await reading.keyboard.press("Enter");
    await shown(reading).waitFor();
    assert.equal(await shown(reading).textContent(), "typed");
    await writer.leave();
    await reader.leave();
});
