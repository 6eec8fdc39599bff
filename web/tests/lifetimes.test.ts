// The lifetimes that a writer can choose from, at any store.

import assert from "node:assert/strict";
import { test } from "node:test";
import { choices, first } from "../src/create/lifetimes.ts";
import { DAY, HOUR, MINUTE } from "../src/units.ts";

test("nobody can choose more than the store keeps, and what it names can be chosen", () => {
    assert.deepEqual(choices({ longest: 90 * DAY, default: 30 * DAY }), [HOUR, DAY, 7 * DAY, 30 * DAY, 90 * DAY]);
    assert.deepEqual(choices({ longest: 2 * DAY, default: 3 * HOUR }), [HOUR, 3 * HOUR, DAY, 2 * DAY]);
    assert.deepEqual(choices({ longest: 365 * DAY }).at(-1), 365 * DAY);
    assert.deepEqual(choices({}), [HOUR, DAY, 7 * DAY, 30 * DAY, 90 * DAY]);
    assert.deepEqual(choices({ longest: 10 * MINUTE }), [10 * MINUTE]);
    assert.deepEqual(choices({ longest: 1 }), [1]);
});

test("what the store names is rounded down to what people say", () => {
    assert.equal(choices({ longest: 2_630_016 }).at(-1), 30 * DAY);
    assert.equal(choices({ longest: 36 * HOUR + 61 }).at(-1), 36 * HOUR);
    assert.equal(choices({ longest: 100 }).at(-1), 100);
});

test("the store's own choice comes first", () => {
    assert.equal(first({ longest: 90 * DAY, default: 30 * DAY }), 30 * DAY);
    assert.equal(first({ longest: 90 * DAY, default: 2_630_016 }), 30 * DAY);
    assert.equal(first({ longest: 90 * DAY }), 7 * DAY);
    assert.equal(first({ longest: HOUR }), HOUR);
});
