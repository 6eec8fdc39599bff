// End-to-end encryption: network, database, logs and memory of the server contain neither text nor key.

import assert from "node:assert/strict";
import { open, readFile, readdir } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { readMessage, messageText, createMessage } from "./support/actions.ts";
import type { Visitor } from "./support/browser.ts";
import { Fixture } from "./support/fixture.ts";

let fixture: Fixture;
before(async () => void (fixture = await Fixture.start("--log", "trace")));
after(() => fixture?.stop());

const SECRET_TEXT = "a-needle-in-a-haystack-7f3a";

/** Returns the encodings of a secret to search for. */
function encodings(secret: Buffer): Map<string, Buffer> {
    const base64 = secret.toString("base64").replace(/=+$/, "");
    return new Map([
        ["as it is", secret],
        ["in hexadecimal", Buffer.from(secret.toString("hex"))],
        ["in base64", Buffer.from(base64.slice(0, -2))],
        ["in base64url", Buffer.from(base64.slice(0, -2).replaceAll("+", "-").replaceAll("/", "_"))],
        ["in UTF-16", Buffer.from(secret.toString("latin1"), "utf16le")],
    ]);
}

function findEncodings(haystack: Buffer, secret: Buffer): string[] {
    return [...encodings(secret)].filter(([, form]) => haystack.includes(form)).map(([name]) => name);
}

/** Returns the memory of a process. */
async function readMemory(processId: number): Promise<Buffer> {
    const maps = await readFile(`/proc/${processId}/maps`, "utf8");
    const file = await open(`/proc/${processId}/mem`);
    const parts: Buffer[] = [];
    for (const [, start = "", end = ""] of maps.matchAll(/^([0-9a-f]+)-([0-9a-f]+) rw/gm)) {
        const first = Number.parseInt(start, 16);
        const length = Number.parseInt(end, 16) - first;
        const part = Buffer.alloc(length);
        // Some mappings of the kernel are not readable.
        const { bytesRead } = await file.read(part, 0, length, first).catch(() => ({ bytesRead: 0 }));
        parts.push(part.subarray(0, bytesRead));
    }
    await file.close();
    return Buffer.concat(parts);
}

async function readFiles(folder: string): Promise<Buffer> {
    const entries = await readdir(folder, { recursive: true, withFileTypes: true });
    const names = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
    return Buffer.concat(await Promise.all(names.map((name) => readFile(name))));
}

/** Records everything that the browser sends from now on. */
function capture(visitor: Visitor): () => Buffer {
    const sent: Buffer[] = [];
    visitor.context.on("request", (request) => {
        const headers = JSON.stringify(request.headers());
        sent.push(Buffer.from(request.url() + headers), request.postDataBuffer() ?? Buffer.alloc(0));
    });
    return () => Buffer.concat(sent);
}

/** Creates and reads a message. Returns the data of everything that could contain it. */
async function follow(isPlain: boolean): Promise<{ key: Buffer | undefined; contents: Record<string, Buffer> }> {
    const writer = await fixture.visitor();
    const reader = await fixture.visitor();
    const sent = [capture(writer), capture(reader)];
    const { link } = await createMessage(fixture, writer, SECRET_TEXT, { isPlain });
    const database = await readFiles(fixture.system.dataDir);
    const reading = await reader.open(link);
    await readMessage(reading);
    await messageText(reading).waitFor();
    assert.equal(await messageText(reading).textContent(), SECRET_TEXT);
    const keyText = link.split(".").at(-1) ?? "";
    const contents = {
        network: Buffer.concat(sent.map((all) => all())),
        database: Buffer.concat([database, await readFiles(fixture.system.dataDir)]),
        logs: Buffer.from(fixture.system.output),
        memory: await readMemory(fixture.system.processId),
    };
    await writer.close();
    await reader.close();
    return { key: isPlain ? undefined : Buffer.from(keyText, "base64url").subarray(0, 32), contents };
}

test("network, database, logs and memory contain neither text nor key of a sealed message", async () => {
    const { key, contents } = await follow(false);
    assert.equal(key?.length, 32);
    for (const [name, content] of Object.entries(contents)) {
        assert.ok(content.length > 1000, `${name} is empty`);
        assert.deepEqual(findEncodings(content, Buffer.from(SECRET_TEXT)), [], `the text is in the ${name}`);
        assert.deepEqual(findEncodings(content, key), [], `the key is in the ${name}`);
    }
});

test("control: the search finds a plain text in the network, and an argument in the memory", async () => {
    const { contents } = await follow(true);
    assert.deepEqual(findEncodings(contents["network"] ?? Buffer.alloc(0), Buffer.from(SECRET_TEXT)), ["as it is"]);
    assert.ok(
        findEncodings(contents["memory"] ?? Buffer.alloc(0), Buffer.from(fixture.system.dataDir)).includes("as it is"),
    );
    assert.deepEqual(findEncodings(contents["database"] ?? Buffer.alloc(0), Buffer.from(SECRET_TEXT)), []);
    assert.deepEqual(findEncodings(contents["logs"] ?? Buffer.alloc(0), Buffer.from(SECRET_TEXT)), []);
});
