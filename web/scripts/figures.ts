// Prints what the pages cost whoever opens them: requests, bytes, and how long until they can be used, on a phone of the middle
// class with a slow connection, as Lighthouse assumes it. Times depend on the machine, so they are printed as multiples of what
// the same browser needs for a page of one line.
//
//   npm run figures

import type { CDPSession, Page } from "playwright-core";
import { Stage } from "../tests/support/stage.ts";
import { until } from "../tests/support/system.ts";

/** How often each page is opened; the median counts. */
const LOADS = 5;
/** Lighthouse's "slow 4G", in bytes per second and milliseconds, and how much slower a phone computes. */
const NETWORK = { offline: false, latency: 150, downloadThroughput: 1_638_400 / 8, uploadThroughput: 675_000 / 8 };
const SLOWER = 4;

interface Load {
    requests: number;
    bytes: number;
    scripts: number;
    interactive: number;
}

/** Opens a page in a browser that has nothing of it yet. */
async function load(stage: Stage, path: string): Promise<Load> {
    const visitor = await stage.visitor({ viewport: { width: 390, height: 844 } });
    const page = await visitor.context.newPage();
    const devtools = await visitor.context.newCDPSession(page);
    const weighed = await weigh(devtools);
    await devtools.send("Network.emulateNetworkConditions", NETWORK);
    await devtools.send("Emulation.setCPUThrottlingRate", { rate: SLOWER });
    await page.addInitScript(observe);
    await page.goto(stage.url + path);
    const interactive = await untilQuiet(page);
    const { requests, bytes, scripts } = weighed();
    await visitor.context.close();
    return { requests, bytes, scripts, interactive };
}

/** Counts what comes over the wire, headers included. */
async function weigh(devtools: CDPSession): Promise<() => Omit<Load, "interactive">> {
    await devtools.send("Network.enable");
    const types = new Map<string, string>();
    let bytes = 0;
    let scripts = 0;
    devtools.on("Network.responseReceived", ({ requestId, type }) => types.set(requestId, type));
    devtools.on("Network.loadingFinished", ({ requestId, encodedDataLength }) => {
        bytes += encodedDataLength;
        if (types.get(requestId) === "Script") scripts += encodedDataLength;
    });
    return () => ({ requests: types.size, bytes, scripts });
}

/**
 * Notes when there is something to use, and when the last task ended that kept the page from answering. Runs in the page, where
 * what the compiler adds to functions with names is missing.
 */
function observe() {
    const noted = { shown: 0, busy: 0 };
    Object.assign(window, { noted });
    new PerformanceObserver((list) => {
        for (const task of list.getEntries()) noted.busy = task.startTime + task.duration;
    }).observe({ type: "longtask", buffered: true });
    new MutationObserver(() => {
        if (noted.shown === 0 && document.querySelector("main button, main a, pre")) noted.shown = performance.now();
    }).observe(document, { childList: true, subtree: true });
}

/** Waits until the page can be used and nothing more comes; answers when it could be, in milliseconds since it was asked for. */
async function untilQuiet(page: Page): Promise<number> {
    const noted = () => page.evaluate(() => (window as unknown as { noted: { shown: number; busy: number } }).noted);
    await until("the page can be used", async () => (await noted()).shown > 0);
    await page.waitForLoadState("networkidle");
    const { shown, busy } = await noted();
    return Math.max(shown, busy);
}

function median(values: number[]): number {
    return values.sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? NaN;
}

async function figures(stage: Stage, path: string): Promise<Load> {
    const loads: Load[] = [];
    for (let count = 0; count < LOADS; count += 1) loads.push(await load(stage, path));
    const of = (figure: keyof Load) => median(loads.map((load) => load[figure]));
    return { requests: of("requests"), bytes: of("bytes"), scripts: of("scripts"), interactive: of("interactive") };
}

const stage = await Stage.set();
try {
    const message = await stage.sealed();
    const pages = { write: "/", read: message.path, admin: "/admin", documentation: "/api/docs" };
    const line = await figures(stage, "/robots.txt");
    const kibibytes = (bytes: number) => (bytes / 1024).toFixed(1);
    console.log("page           requests  KiB  of them scripts  usable after × a page of one line");
    for (const [name, path] of Object.entries(pages)) {
        const { requests, bytes, scripts, interactive } = await figures(stage, path);
        const row = [name.padEnd(14), String(requests).padStart(8), kibibytes(bytes).padStart(5)];
        row.push(kibibytes(scripts).padStart(16), (interactive / line.interactive).toFixed(1).padStart(13));
        console.log(row.join(" "));
    }
} finally {
    await stage.clear();
}
