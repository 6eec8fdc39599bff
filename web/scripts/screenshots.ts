// Takes screenshots of every page state in light and dark, on a phone and a desktop, into `screenshots/`. Some states
// also get a language with long words, and a right-to-left layout.
//
//   npm run screenshots              all of them
//   npm run screenshots -- shown     states whose name has this prefix

import type { Page } from "playwright-core";
import { fileURLToPath } from "node:url";
import { PAGE_STATES } from "../tests/support/states.ts";
import { Fixture } from "../tests/support/fixture.ts";

const SIZES = { phone: { width: 390, height: 844 }, desktop: { width: 1280, height: 800 } };
/** The states with the most complex layouts. */
const LAYOUT_STATES = [
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

const fixture = await Fixture.start();
try {
    for (const [name, openState] of Object.entries(PAGE_STATES)) {
        if (!name.startsWith(process.argv[2] ?? "")) continue;
        for (const [size, viewport] of Object.entries(SIZES)) {
            const origin = name.includes("insecure") ? fixture.insecureUrl : fixture.url;
            const visitor = await fixture.visitor({ viewport, origin });
            const page = await openState(fixture, visitor);
            await take(page, `${name}-${size}`);
            if (LAYOUT_STATES.includes(name)) {
                await page.locator("footer select").selectOption("de");
                await page.locator("html[lang=de]").waitFor();
                await take(page, `${name}-german-${size}`);
                await page.evaluate(() => (document.documentElement.dir = "rtl"));
                await take(page, `${name}-rtl-${size}`);
            }
            await visitor.close();
        }
        console.log(name);
    }
} finally {
    await fixture.stop();
}
