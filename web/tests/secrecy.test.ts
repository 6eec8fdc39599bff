// What is encrypted in a browser is known to the two browsers only: neither the network nor the database, neither the logs
// nor the memory of the server have the text or the key.

import assert from "node:assert/strict";
import { open, readFile, readdir } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { read, shown, write } from "./support/acts.ts";
import type { Visitor } from "./support/browser.ts";
import { Stage } from "./support/stage.ts";

let stage: Stage;
before(async () => void (stage = await Stage.set("--log", "trace")));
after(() => stage?.clear());

const NEEDLE = "a-needle-in-a-haystack-7f3a";

/** A secret in every form in which it may lie around. */
function forms(secret: Buffer): Map<string, Buffer> {
    const base64 = secret.toString("base64").replace(/=+$/, "");
    return new Map([
        ["as it is", secret],
        ["in hexadecimal", Buffer.from(secret.toString("hex"))],
        ["in base64", Buffer.from(base64.slice(0, -2))],
        ["in base64url", Buffer.from(base64.slice(0, -2).replaceAll("+", "-").replaceAll("/", "_"))],
        ["in UTF-16", Buffer.from(secret.toString("latin1"), "utf16le")],
    ]);
}

function found(haystack: Buffer, secret: Buffer): string[] {
    return [...forms(secret)].filter(([, form]) => haystack.includes(form)).map(([name]) => name);
}

/** Everything that a process has in its memory. */
async function memory(processId: number): Promise<Buffer> {
    const maps = await readFile(`/proc/${processId}/maps`, "utf8");
    const file = await open(`/proc/${processId}/mem`);
    const parts: Buffer[] = [];
    for (const [, start = "", end = ""] of maps.matchAll(/^([0-9a-f]+)-([0-9a-f]+) rw/gm)) {
        const first = Number.parseInt(start, 16);
        const length = Number.parseInt(end, 16) - first;
        const part = Buffer.alloc(length);
        // Some mappings of the kernel cannot be read; they are none of ours.
        const { bytesRead } = await file.read(part, 0, length, first).catch(() => ({ bytesRead: 0 }));
        parts.push(part.subarray(0, bytesRead));
    }
    await file.close();
    return Buffer.concat(parts);
}

async function files(folder: string): Promise<Buffer> {
    const entries = await readdir(folder, { recursive: true, withFileTypes: true });
    const names = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
    return Buffer.concat(await Promise.all(names.map((name) => readFile(name))));
}

/** Everything that a browser sends from now on. */
function capture(visitor: Visitor): () => Buffer {
    const sent: Buffer[] = [];
    visitor.context.on("request", (request) => {
        const headers = JSON.stringify(request.headers());
        sent.push(Buffer.from(request.url() + headers), request.postDataBuffer() ?? Buffer.alloc(0));
    });
    return () => Buffer.concat(sent);
}

/** Writes and reads a message; answers where everything went. */
async function follow(isPlain: boolean): Promise<{ key: Buffer | undefined; places: Record<string, Buffer> }> {
    const writer = await stage.visitor();
    const reader = await stage.visitor();
    const sent = [capture(writer), capture(reader)];
    const { link } = await write(stage, writer, NEEDLE, { isPlain });
    const database = await files(stage.system.dataDir);
    const reading = await reader.open(link);
    await read(reading);
    await shown(reading).waitFor();
    assert.equal(await shown(reading).textContent(), NEEDLE);
    const keyText = link.split(".").at(-1) ?? "";
    const places = {
        network: Buffer.concat(sent.map((all) => all())),
        database: Buffer.concat([database, await files(stage.system.dataDir)]),
        logs: Buffer.from(stage.system.output),
        memory: await memory(stage.system.processId),
    };
    await writer.leave();
    await reader.leave();
    return { key: isPlain ? undefined : Buffer.from(keyText, "base64url").subarray(0, 32), places };
}

test("neither network, database, logs nor memory have the text or the key of an encrypted message", async () => {
    const { key, places } = await follow(false);
    assert.equal(key?.length, 32);
    for (const [name, place] of Object.entries(places)) {
        assert.ok(place.length > 1000, `${name} was not looked at`);
        assert.deepEqual(found(place, Buffer.from(NEEDLE)), [], `the text is in the ${name}`);
        assert.deepEqual(found(place, key), [], `the key is in the ${name}`);
    }
});

test("the search finds what is there: the network has a text that the server encrypts, the memory what it was started with", async () => {
    const { places } = await follow(true);
    assert.deepEqual(found(places["network"] ?? Buffer.alloc(0), Buffer.from(NEEDLE)), ["as it is"]);
    assert.ok(found(places["memory"] ?? Buffer.alloc(0), Buffer.from(stage.system.dataDir)).includes("as it is"));
    assert.deepEqual(found(places["database"] ?? Buffer.alloc(0), Buffer.from(NEEDLE)), []);
    assert.deepEqual(found(places["logs"] ?? Buffer.alloc(0), Buffer.from(NEEDLE)), []);
});
