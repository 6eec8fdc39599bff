// Takes a picture of every page in light and dark, on a phone and on a desk, into `screenshots/`; of some also in a language of
// long words, and from right to left.
//
//   npm run screenshots              all of them
//   npm run screenshots -- shown     those whose names begin so

import type { Page } from "playwright-core";
import { fileURLToPath } from "node:url";
import { SCENES } from "../tests/support/scenes.ts";
import { Stage } from "../tests/support/stage.ts";

const SIZES = { phone: { width: 390, height: 844 }, desktop: { width: 1280, height: 800 } };
/** Those with the most to lay out. */
const LAID_OUT_ANEW = [
    "create-too-long",
    "created-plain-qr",
    "unread-passphrase-wrong",
    "shown",
    "viewed",
    "admin-configs",
];
const folder = new URL("../screenshots/", import.meta.url);

async function take(page: Page, name: string): Promise<void> {
    for (const colorScheme of ["light", "dark"] as const) {
        await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
        await page.screenshot({ path: fileURLToPath(new URL(`${name}-${colorScheme}.png`, folder)), fullPage: true });
    }
}

const stage = await Stage.set();
try {
    for (const [name, scene] of Object.entries(SCENES)) {
        if (!name.startsWith(process.argv[2] ?? "")) continue;
        for (const [size, viewport] of Object.entries(SIZES)) {
            const origin = name.includes("insecure") ? stage.insecureUrl : stage.url;
            const visitor = await stage.visitor({ viewport, origin });
            const page = await scene(stage, visitor);
            await take(page, `${name}-${size}`);
            if (LAID_OUT_ANEW.includes(name)) {
                await page.locator("footer select").selectOption("de");
                await page.locator("html[lang=de]").waitFor();
                await take(page, `${name}-german-${size}`);
                await page.evaluate(() => (document.documentElement.dir = "rtl"));
                await take(page, `${name}-rtl-${size}`);
            }
            await visitor.leave();
        }
        console.log(name);
    }
} finally {
    await stage.clear();
}
