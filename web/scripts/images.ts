// Takes the pictures of the README from the running program, into `docs/images/`: the web page, and a chat with the bot.
//
//   npm run images

import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Page } from "playwright-core";
import { fileURLToPath } from "node:url";
import { SCENES } from "../tests/support/scenes.ts";
import { Stage } from "../tests/support/stage.ts";

const folder = fileURLToPath(new URL("../../docs/images/", import.meta.url));
const VIEWPORT = { width: 900, height: 720 };

const take = (page: Page, name: string) => page.screenshot({ path: join(folder, `${name}.png`) });

async function say(page: Page, text: string): Promise<string> {
    const messages = page.getByRole("log").getByRole("listitem");
    const before = await messages.count();
    await page.getByLabel("Message").fill(text);
    await page.getByRole("button", { name: "Send", exact: true }).click();
    const reply = messages.nth(before + 1).locator(".bubble");
    await reply.waitFor();
    return ((await reply.textContent()) ?? "").replace(/^Bot: /, "");
}

await mkdir(folder, { recursive: true });
const stage = await Stage.set("--simulator");
try {
    const visitor = await stage.visitor({ viewport: VIEWPORT, reducedMotion: "reduce" });
    await take(await SCENES["created"]!(stage, visitor), "page");
    await visitor.leave();

    const token = await readFile(join(stage.system.dataDir, "simulator.token"), "utf8");
    const chat = await stage.visitor({ viewport: VIEWPORT, reducedMotion: "reduce", origin: stage.system.botUrl });
    const page = await chat.open(`${stage.system.botUrl}/#${token.trim()}`);
    await page.getByText("Waiting for a config").waitFor();
    await say(page, await say(page, "new:The door code is 4711."));
    const log = page.getByRole("log");
    // The whole chat, and not what fits its frame.
    await log.evaluate((element) => Object.assign(element.style, { height: "auto", maxHeight: "none" }));
    await log.screenshot({ path: join(folder, "chat.png") });
    await chat.leave();
} finally {
    await stage.clear();
}
