// Parsing of links.

import assert from "node:assert/strict";
import { test } from "node:test";
import { parseLink } from "../src/link.ts";

const TOKEN = "2a".repeat(32);
const KEY = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh-t7RLq";

const parse = (pathname: string, fragment: string) => parseLink({ pathname, hash: `#${fragment}` });
const link = (id: bigint, keyText: string) => ({ messageRef: { id, accessToken: TOKEN }, keyText });

test("a link has an id, a token and an optional key", () => {
    assert.deepEqual(parse("/m/7", TOKEN), link(7n, ""));
    assert.deepEqual(parse("/m/7/", `${TOKEN}.${KEY}`), link(7n, KEY));
    assert.deepEqual(parse("/m/9223372036854775807", TOKEN), link(9223372036854775807n, ""));
});

test("changes by chat and mail programs are undone", () => {
    for (const fragment of [`${TOKEN}.${KEY} `, `${TOKEN}.\n${KEY}`, `${TOKEN}%2E${KEY}`, `${TOKEN}.${KEY}.`]) {
        assert.deepEqual(parse("/m/7", fragment), link(7n, KEY), fragment);
    }
    assert.deepEqual(parse("/m/7", `${TOKEN}.`), link(7n, ""));
});

test("truncated and malformed links are rejected", () => {
    for (const fragment of ["", TOKEN.slice(1), TOKEN.slice(0, 8)]) {
        assert.equal(parse("/m/7", fragment), "incomplete", fragment);
    }
    for (const fragment of [`${TOKEN}0`, TOKEN.toUpperCase(), `${TOKEN},${KEY}`, `${TOKEN}%E0%A4%A`]) {
        assert.equal(parse("/m/7", fragment), "mistyped", fragment);
    }
    for (const path of ["/m/0", "/m/07", "/m/-7", "/m/x", "/m/", "/m/9223372036854775808", "/m/7/8"]) {
        assert.equal(parse(path, TOKEN), "mistyped", path);
    }
});
