// Every page, for everybody: in light and dark, on narrow and wide screens, for eyes, keyboards and screen readers. And
// nothing of it stays in the browser.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { Page } from "playwright-core";
import { LANGUAGES } from "../src/i18n/languages.ts";
import { accessibilityFaults } from "./support/browser.ts";
import { SCENES } from "./support/scenes.ts";
import { Stage } from "./support/stage.ts";

let stage: Stage;
before(async () => void (stage = await Stage.set()));
after(() => stage?.clear());

/** The narrowest screen that WCAG 2.2 asks for (1.4.10), and a wide one. */
const SIZES = [
    { width: 320, height: 640 },
    { width: 1280, height: 800 },
];

function scrollsSideways(page: Page): Promise<boolean> {
    return page.evaluate(() => document.documentElement.scrollWidth > document.documentElement.clientWidth);
}

/** Everything that a browser keeps for a site. */
function kept(page: Page): Promise<unknown> {
    return page.evaluate(async () => ({
        local: { ...localStorage },
        session: { ...sessionStorage },
        cookies: document.cookie,
        databases: await indexedDB.databases(),
        // On a page without HTTPS there are none of these.
        caches: "caches" in globalThis ? await caches.keys() : [],
        workers: "serviceWorker" in navigator ? (await navigator.serviceWorker.getRegistrations()).length : 0,
    }));
}

/** The least that a thumb hits surely, in pixels (WCAG 2.2, 2.5.5). */
const THUMB = 44;

/** What can be pressed, and is smaller than a thumb: where a press that far from its middle goes elsewhere. */
function tooSmall(page: Page): Promise<string[]> {
    // No function in here may have a name: the page lacks what the compiler adds to those.
    return page.evaluate(
        (reach) => {
            // In the middle of a sentence, a link is as high as its line.
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
        THUMB / 2 - 1,
    );
}

const NOTHING = { local: {}, session: {}, cookies: "", databases: [], caches: [], workers: 0 };

for (const [name, scene] of Object.entries(SCENES)) {
    test(`axe finds nothing, nothing is cut off, nothing is too small for a thumb, and nothing is kept: ${name}`, async () => {
        const origin = name.includes("insecure") ? stage.insecureUrl : stage.url;
        const visitor = await stage.visitor({ origin, reducedMotion: "reduce" });
        const page = await scene(stage, visitor);
        for (const viewport of SIZES) {
            await page.setViewportSize(viewport);
            assert.equal(await scrollsSideways(page), false, `${viewport.width} pixels are too few`);
            for (const colorScheme of ["light", "dark"] as const) {
                await page.emulateMedia({ colorScheme });
                assert.deepEqual(await accessibilityFaults(page), [], `${colorScheme}, ${viewport.width}`);
            }
            assert.deepEqual(await tooSmall(page), []);
        }
        assert.deepEqual(await kept(page), NOTHING);
        await visitor.leave();
    });
}

test("axe finds what is wrong with a page that is wrong", async () => {
    const visitor = await stage.visitor();
    const page = await visitor.open(`${stage.url}/`);
    await page.evaluate(() => document.querySelector("label")?.remove());
    assert.notDeepEqual(await accessibilityFaults(page), []);
    await visitor.leave();
});

test("a button that is smaller than a thumb is found", async () => {
    const visitor = await stage.visitor();
    const page = await visitor.open(`${stage.url}/`);
    assert.deepEqual(await tooSmall(page), []);
    await page.getByRole("button", { name: "Create link" }).evaluate((button: HTMLElement) => {
        button.style.minBlockSize = button.style.blockSize = "24px";
    });
    assert.equal((await tooSmall(page)).length, 1);
    await visitor.leave();
});

test("a visit in which something went wrong does not pass", async () => {
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
        const visitor = await stage.visitor();
        const page = await visitor.open(`${stage.url}/`);
        await wrong(page);
        // What went wrong is told in order, so a further message of the page comes after it.
        const told = page.waitForEvent("console", (message) => message.text() === "told");
        await page.evaluate(() => setTimeout(() => console.log("told"), 50));
        await told;
        await assert.rejects(visitor.leave(), wrong.toString());
    }
});

for (const language of Object.keys(LANGUAGES)) {
    test(`the longest words of ${language} fit on a narrow screen`, async () => {
        const visitor = await stage.visitor({ locale: language, viewport: { width: 320, height: 640 } });
        const { path } = await stage.sealed({ passphrase: "x" });
        for (const address of ["/", path, "/m/1", "/admin"]) {
            const page = await visitor.open(stage.url + address);
            assert.equal(await page.locator("html").getAttribute("lang"), language);
            assert.equal(await scrollsSideways(page), false, address);
            assert.deepEqual(await accessibilityFaults(page), []);
        }
        await visitor.leave();
    });
}

test("who wants no motion gets none", async () => {
    const visitor = await stage.visitor({ reducedMotion: "reduce" });
    const page = await SCENES["created"]?.(stage, visitor);
    assert.ok(page);
    const animations = () => page.evaluate(() => document.getAnimations().length);
    assert.equal(await animations(), 0);
    await page.emulateMedia({ reducedMotion: "no-preference" });
    assert.notEqual(await animations(), 0);
    await visitor.leave();
});

test("a page can be laid out from right to left", async () => {
    const visitor = await stage.visitor({ viewport: { width: 390, height: 844 } });
    const page = await visitor.open(`${stage.url}/`);
    const startsAt = () => page.locator(".home").evaluate((home) => home.getBoundingClientRect().left);
    const before = await startsAt();
    await page.evaluate(() => (document.documentElement.dir = "rtl"));
    assert.ok((await startsAt()) > before);
    assert.equal(await scrollsSideways(page), false);
    await visitor.leave();
});
