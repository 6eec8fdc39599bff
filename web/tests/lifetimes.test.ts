// The lifetimes in the form.

import assert from "node:assert/strict";
import { test } from "node:test";
import { choices, defaultChoice } from "../src/create/lifetimes.ts";
import { DAY, HOUR, MINUTE } from "../src/units.ts";

test("choices are within the maximum of the store and include its limits", () => {
    assert.deepEqual(choices({ max: 90 * DAY, default: 30 * DAY }), [HOUR, DAY, 7 * DAY, 30 * DAY, 90 * DAY]);
    assert.deepEqual(choices({ max: 2 * DAY, default: 3 * HOUR }), [HOUR, 3 * HOUR, DAY, 2 * DAY]);
    assert.deepEqual(choices({ max: 365 * DAY }).at(-1), 365 * DAY);
    assert.deepEqual(choices({}), [HOUR, DAY, 7 * DAY, 30 * DAY, 90 * DAY]);
    assert.deepEqual(choices({ max: 10 * MINUTE }), [10 * MINUTE]);
    assert.deepEqual(choices({ max: 1 }), [1]);
});

test("limits of the store are rounded down to whole units", () => {
    assert.equal(choices({ max: 2_630_016 }).at(-1), 30 * DAY);
    assert.equal(choices({ max: 36 * HOUR + 61 }).at(-1), 36 * HOUR);
    assert.equal(choices({ max: 100 }).at(-1), 100);
});

test("the initial choice is the default of the store", () => {
    assert.equal(defaultChoice({ max: 90 * DAY, default: 30 * DAY }), 30 * DAY);
    assert.equal(defaultChoice({ max: 90 * DAY, default: 2_630_016 }), 30 * DAY);
    assert.equal(defaultChoice({ max: 90 * DAY }), 7 * DAY);
    assert.equal(defaultChoice({ max: HOUR }), HOUR);
});
