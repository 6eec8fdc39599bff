// Takes the pictures of the README from the running program, into `docs/images/`: the web page, and a chat with the
// bot.
//
//   npm run images

import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Page } from "playwright-core";
import { fileURLToPath } from "node:url";
import { PAGE_STATES } from "../tests/support/states.ts";
import { Fixture } from "../tests/support/fixture.ts";

const folder = fileURLToPath(new URL("../../docs/images/", import.meta.url));
const VIEWPORT = { width: 900, height: 720 };

const take = (page: Page, name: string) => page.screenshot({ path: join(folder, `${name}.png`) });

async function send(page: Page, text: string): Promise<string> {
    const messages = page.getByRole("log").getByRole("listitem");
    const before = await messages.count();
    await page.getByLabel("Message").fill(text);
    await page.getByRole("button", { name: "Send", exact: true }).click();
    const reply = messages.nth(before + 1).locator(".bubble");
    await reply.waitFor();
    return ((await reply.textContent()) ?? "").replace(/^Bot: /, "");
}

await mkdir(folder, { recursive: true });
const fixture = await Fixture.start("--simulator");
try {
    const visitor = await fixture.visitor({ viewport: VIEWPORT, reducedMotion: "reduce" });
    await take(await PAGE_STATES["created"]!(fixture, visitor), "page");
    await visitor.close();

    const token = await readFile(join(fixture.system.dataDir, "simulator.token"), "utf8");
    const chat = await fixture.visitor({ viewport: VIEWPORT, reducedMotion: "reduce", origin: fixture.system.botUrl });
    const page = await chat.open(`${fixture.system.botUrl}/#${token.trim()}`);
    await page.getByText("Waiting for a config").waitFor();
    await send(page, await send(page, "new:The door code is 4711."));
    const log = page.getByRole("log");
    // The whole chat, not only its visible part.
    await log.evaluate((element) => Object.assign(element.style, { height: "auto", maxHeight: "none" }));
    await log.screenshot({ path: join(folder, "chat.png") });
    await chat.close();
} finally {
    await fixture.stop();
}
