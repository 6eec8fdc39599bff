// Takes a picture of every page in light and dark, on a phone and on a desk, into `screenshots/`.
//
//   npm run screenshots              all of them
//   npm run screenshots -- shown     those whose names begin so

import { fileURLToPath } from "node:url";
import { SCENES } from "../tests/support/scenes.ts";
import { Stage } from "../tests/support/stage.ts";

const SIZES = { phone: { width: 390, height: 844 }, desktop: { width: 1280, height: 800 } };
const folder = new URL("../screenshots/", import.meta.url);

const stage = await Stage.set();
try {
    for (const [name, scene] of Object.entries(SCENES)) {
        if (!name.startsWith(process.argv[2] ?? "")) continue;
        for (const [size, viewport] of Object.entries(SIZES)) {
            const origin = name.includes("insecure") ? stage.insecureUrl : stage.url;
            const visitor = await stage.visitor({ viewport, origin });
            const page = await scene(stage, visitor);
            for (const colorScheme of ["light", "dark"] as const) {
                await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
                const path = fileURLToPath(new URL(`${name}-${size}-${colorScheme}.png`, folder));
                await page.screenshot({ path, fullPage: true });
            }
            await visitor.leave();
        }
        console.log(name);
    }
} finally {
    await stage.clear();
}
