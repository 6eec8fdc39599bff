// Links: what is taken for one, and what is not.

import assert from "node:assert/strict";
import { test } from "node:test";
import { parseLink } from "../src/link.ts";

const TOKEN = "2a".repeat(32);
const KEY = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh-t7RLq";

const parse = (pathname: string, fragment: string) => parseLink({ pathname, hash: `#${fragment}` });

test("a link has an id, a token and perhaps a key", () => {
    assert.deepEqual(parse("/m/7", TOKEN), { opener: { id: 7n, accessToken: TOKEN }, keyText: "" });
    assert.deepEqual(parse("/m/7/", `${TOKEN}.${KEY}`), { opener: { id: 7n, accessToken: TOKEN }, keyText: KEY });
    assert.equal(parse("/m/9223372036854775807", TOKEN)?.opener.id, 9223372036854775807n);
});

test("what chats and mail programs do to a link is undone", () => {
    for (const fragment of [`${TOKEN}.${KEY} `, `${TOKEN}.\n${KEY}`, `${TOKEN}%2E${KEY}`, `${TOKEN}.${KEY}.`]) {
        assert.equal(parse("/m/7", fragment)?.keyText, KEY, fragment);
    }
    assert.deepEqual(parse("/m/7", `${TOKEN}.`), parse("/m/7", TOKEN));
});

test("a link that is cut off or garbled is none", () => {
    for (const fragment of ["", TOKEN.slice(1), `${TOKEN}0`, TOKEN.toUpperCase(), `${TOKEN},${KEY}`, `%E0%A4%A`]) {
        assert.equal(parse("/m/7", fragment), undefined, fragment);
    }
    for (const path of ["/m/0", "/m/07", "/m/-7", "/m/x", "/m/", "/m/9223372036854775808", "/m/7/8"]) {
        assert.equal(parse(path, TOKEN), undefined, path);
    }
});
