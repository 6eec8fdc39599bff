// Accessibility of all page states: colour schemes, screen sizes, axe, touch targets and languages. Also checks that
// the pages store nothing in the browser.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { Page } from "playwright-core";
import { LANGUAGES } from "../src/i18n/languages.ts";
import { accessibilityViolations } from "./support/browser.ts";
import { PAGE_STATES } from "./support/states.ts";
import { Fixture } from "./support/fixture.ts";

let fixture: Fixture;
before(async () => void (fixture = await Fixture.start()));
after(() => fixture?.stop());

/** The narrowest screen of WCAG 2.2 (1.4.10), and a wide one. */
const SIZES = [
    { width: 320, height: 640 },
    { width: 1280, height: 800 },
];

function overflowsInline(page: Page): Promise<boolean> {
    return page.evaluate(() => document.documentElement.scrollWidth > document.documentElement.clientWidth);
}

/** Returns everything that the browser stores for the site. */
function storedData(page: Page): Promise<unknown> {
    return page.evaluate(async () => ({
        local: { ...localStorage },
        session: { ...sessionStorage },
        cookies: document.cookie,
        databases: await indexedDB.databases(),
        // Pages without HTTPS have no such API.
        caches: "caches" in globalThis ? await caches.keys() : [],
        workers: "serviceWorker" in navigator ? (await navigator.serviceWorker.getRegistrations()).length : 0,
    }));
}

/** The smallest touch target in pixels (WCAG 2.2, 2.5.5). */
const TOUCH_TARGET = 44;

/** Returns the controls with a target that is too small: a press at that distance from the center misses them. */
function smallTargets(page: Page): Promise<string[]> {
    // Functions in here must have no names: the page lacks the helper that the compiler adds for them.
    return page.evaluate(
        (reach) => {
            // A link within a sentence is as high as its line.
            const pressed = document.querySelectorAll("button, select, input, textarea, a:not(:is(p, li, dd) a)");
            const small = [...pressed].filter((element) => {
                element.scrollIntoView({ block: "center" });
                const { left, right, top, bottom } = element.getBoundingClientRect();
                return [
                    [-reach, 0],
                    [reach, 0],
                    [0, -reach],
                    [0, reach],
                ].some(([x = 0, y = 0]) => {
                    const hit = document.elementFromPoint((left + right) / 2 + x, (top + bottom) / 2 + y);
                    return hit === null || !(element.contains(hit) || hit.closest("label")?.control === element);
                });
            });
            return small.map((element) => element.outerHTML);
        },
        TOUCH_TARGET / 2 - 1,
    );
}

const NO_DATA = { local: {}, session: {}, cookies: "", databases: [], caches: [], workers: 0 };

for (const [name, openState] of Object.entries(PAGE_STATES)) {
    test(`the page state ${name} is accessible and stores nothing`, async () => {
        const origin = name.includes("insecure") ? fixture.insecureUrl : fixture.url;
        const visitor = await fixture.visitor({ origin, reducedMotion: "reduce" });
        const page = await openState(fixture, visitor);
        for (const viewport of SIZES) {
            await page.setViewportSize(viewport);
            assert.equal(await overflowsInline(page), false, `${viewport.width} pixels are too few`);
            for (const colorScheme of ["light", "dark"] as const) {
                await page.emulateMedia({ colorScheme });
                assert.deepEqual(await accessibilityViolations(page), [], `${colorScheme}, ${viewport.width}`);
            }
            assert.deepEqual(await smallTargets(page), []);
        }
        assert.deepEqual(await storedData(page), NO_DATA);
        await visitor.close();
    });
}

test("axe detects an inaccessible page", async () => {
    const visitor = await fixture.visitor();
    const page = await visitor.open(`${fixture.url}/`);
    await page.evaluate(() => document.querySelector("label")?.remove());
    assert.notDeepEqual(await accessibilityViolations(page), []);
    await visitor.close();
});

test("a touch target that is too small is detected", async () => {
    const visitor = await fixture.visitor();
    const page = await visitor.open(`${fixture.url}/`);
    assert.deepEqual(await smallTargets(page), []);
    await page.getByRole("button", { name: "Create link" }).evaluate((button: HTMLElement) => {
        button.style.minBlockSize = button.style.blockSize = "24px";
    });
    assert.equal((await smallTargets(page)).length, 1);
    await visitor.close();
});

test("unexpected errors of a page fail the test", async () => {
    const wrongs: ((page: Page) => Promise<unknown>)[] = [
        (page) => page.evaluate(() => console.error("wrong")),
        (page) => page.evaluate(() => void fetch("http://127.0.0.2:9/").catch(() => undefined)),
        (page) =>
            page.evaluate(() =>
                document.body.append(Object.assign(new Image(), { src: "data:image/gif;base64,R0lGOD" })),
            ),
        (page) => page.evaluate(() => document.body.setAttribute("style", "color: red")),
        (page) => page.evaluate(() => setTimeout(() => (document.body.innerHTML = "<b>trusted?</b>"))),
        (page) => page.evaluate(() => setTimeout(() => Promise.reject(new Error("wrong")))),
    ];
    for (const wrong of wrongs) {
        const visitor = await fixture.visitor();
        const page = await visitor.open(`${fixture.url}/`);
        await wrong(page);
        // Events arrive in order, so this message arrives after the error.
        const marker = page.waitForEvent("console", (message) => message.text() === "marker");
        await page.evaluate(() => setTimeout(() => console.log("marker"), 50));
        await marker;
        await assert.rejects(visitor.close(), wrong.toString());
    }
});

for (const language of Object.keys(LANGUAGES)) {
    test(`the longest words of ${language} fit on a narrow screen`, async () => {
        const visitor = await fixture.visitor({ locale: language, viewport: { width: 320, height: 640 } });
        const { path } = await fixture.sealed({ passphrase: "x" });
        for (const address of ["/", path, "/m/1", "/admin"]) {
            const page = await visitor.open(fixture.url + address);
            assert.equal(await page.locator("html").getAttribute("lang"), language);
            assert.equal(await overflowsInline(page), false, address);
            assert.deepEqual(await accessibilityViolations(page), []);
        }
        await visitor.close();
    });
}

test("reduced motion disables animations", async () => {
    const visitor = await fixture.visitor({ reducedMotion: "reduce" });
    const page = await PAGE_STATES["created"]?.(fixture, visitor);
    assert.ok(page);
    const animations = () => page.evaluate(() => document.getAnimations().length);
    assert.equal(await animations(), 0);
    await page.emulateMedia({ reducedMotion: "no-preference" });
    assert.notEqual(await animations(), 0);
    await visitor.close();
});

test("a page has a right-to-left layout", async () => {
    const visitor = await fixture.visitor({ viewport: { width: 390, height: 844 } });
    const page = await visitor.open(`${fixture.url}/`);
    const startsAt = () => page.locator(".home").evaluate((home) => home.getBoundingClientRect().left);
    const before = await startsAt();
    await page.evaluate(() => (document.documentElement.dir = "rtl"));
    assert.ok((await startsAt()) > before);
    assert.equal(await overflowsInline(page), false);
    await visitor.close();
});
