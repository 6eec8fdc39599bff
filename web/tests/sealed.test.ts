// The format of sealed content, with the test vectors of `docs/sealed.md` and tampered content.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { keyFromText, keyToText, generateKey, open, seal, sealWith, DecryptionError } from "../src/sealed.ts";

const LIMIT = 65_536;
const ID = 7n;
const TOKEN = "9f".repeat(32);

const bytes = (hex: string) => new Uint8Array(Buffer.from(hex, "hex"));
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");

/** The documented vectors: blocks of `name = value` lines. */
const VECTORS = [
    ...readFileSync(new URL("../../docs/sealed.md", import.meta.url), "utf8").matchAll(/```vector\n(.*?)```/gs),
]
    .map(([, block = ""]) =>
        Object.fromEntries(
            block
                .trim()
                .split("\n")
                .map((line) => line.split(" = ")),
        ),
    )
    .map((vector) => vector as Record<"text" | "key" | "nonce" | "id" | "token" | "link_key" | "sealed", string>);

test("the documented vectors are reproduced", async () => {
    assert.ok(VECTORS.length >= 2);
    for (const vector of VECTORS) {
        const text = JSON.parse(vector.text) as string;
        const sealed = await sealWith(text, bytes(vector.key), LIMIT, bytes(vector.nonce));
        assert.equal(hex(sealed), vector.sealed);
        assert.equal(await open(sealed, bytes(vector.key)), text);
        assert.equal(await keyToText(bytes(vector.key), BigInt(vector.id), vector.token), vector.link_key);
    }
});

test("any text is decrypted byte for byte", async () => {
    for (const text of ["", " ", "\uFEFFbom", "a\r\nb\u0000c", "😀".repeat(1000), "x".repeat(LIMIT)]) {
        const key = generateKey();
        assert.equal(await open(await seal(text, key, LIMIT), key), text);
    }
});

test("the length of sealed content reveals only a size class", async () => {
    const lengths = async (text: string) => (await seal(text, generateKey(), LIMIT)).length;
    assert.equal(await lengths(""), await lengths("x".repeat(252)));
    assert.notEqual(await lengths("x".repeat(252)), await lengths("x".repeat(253)));
    for (let length = 253; length < LIMIT; length = Math.ceil(length * 1.3)) {
        assert.ok((await lengths("x".repeat(length))) <= length * 1.13 + 40, `${length}`);
    }
});

test("the longest text fits into the limit of any store", async () => {
    for (const limit of [1, 100, 253, 10_000, LIMIT, 100_001]) {
        const sealed = await seal("x".repeat(limit), generateKey(), limit);
        assert.ok(sealed.length <= limit + 256, `${limit}`);
    }
});

test("two seals of the same text differ", async () => {
    const key = generateKey();
    const [one, other] = [await seal("same", key, LIMIT), await seal("same", key, LIMIT)];
    assert.notDeepEqual(one, other);
});

test("content that is changed, truncated or sealed with another key is rejected", async () => {
    const key = generateKey();
    const sealed = await seal("secret", key, LIMIT);
    for (let index = 0; index < sealed.length; index += 1) {
        const changed = sealed.slice();
        changed[index] = (changed[index] ?? 0) ^ 1;
        await assert.rejects(open(changed, key), DecryptionError, `byte ${index}`);
    }
    for (const length of [0, 1, 12, 28, 29, 33, sealed.length - 1]) {
        await assert.rejects(open(sealed.slice(0, length), key), DecryptionError, `${length} bytes`);
    }
    await assert.rejects(open(sealed, generateKey()), DecryptionError);
});

test("a key is bound to its link", async () => {
    const key = generateKey();
    const text = await keyToText(key, ID, TOKEN);
    assert.match(text, /^[A-Za-z0-9_-]{48}$/);
    assert.deepEqual(await keyFromText(text, ID, TOKEN), key);
    assert.equal(await keyFromText(text, ID + 1n, TOKEN), undefined);
    assert.equal(await keyFromText(text, ID, "9e".repeat(32)), undefined);
});

test("a mistyped key is detected", async () => {
    const text = await keyToText(generateKey(), ID, TOKEN);
    for (let index = 0; index < text.length; index += 1) {
        for (const wrong of ["A", "z", "-", "!", ""]) {
            const mistyped = text.slice(0, index) + wrong + text.slice(index + 1);
            if (mistyped !== text) assert.equal(await keyFromText(mistyped, ID, TOKEN), undefined, mistyped);
        }
    }
    assert.equal(await keyFromText("", ID, TOKEN), undefined);
    assert.equal(await keyFromText(text + "AAAA", ID, TOKEN), undefined);
});
