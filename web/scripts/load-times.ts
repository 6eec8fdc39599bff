// Prints the load of each page: requests, bytes and the time until it is interactive, on a mid-range phone with a slow
// connection (the assumptions of Lighthouse). Times depend on the machine, so they are multiples of the time for a page
// of one line.
//
//   npm run figures

import type { CDPSession, Page } from "playwright-core";
import { Fixture } from "../tests/support/fixture.ts";
import { waitUntil } from "../tests/support/process.ts";

/** The number of loads of each page. The median counts. */
const LOADS = 5;
/** Lighthouse's "slow 4G", in bytes per second and milliseconds, and its CPU slowdown. */
const NETWORK = { offline: false, latency: 150, downloadThroughput: 1_638_400 / 8, uploadThroughput: 675_000 / 8 };
const CPU_SLOWDOWN = 4;

interface Load {
    requests: number;
    bytes: number;
    scripts: number;
    interactive: number;
}

/** Opens a page with an empty cache. */
async function load(fixture: Fixture, path: string): Promise<Load> {
    const visitor = await fixture.visitor({ viewport: { width: 390, height: 844 } });
    const page = await visitor.context.newPage();
    const devtools = await visitor.context.newCDPSession(page);
    const weighed = await sizeOf(devtools);
    await devtools.send("Network.emulateNetworkConditions", NETWORK);
    await devtools.send("Emulation.setCPUThrottlingRate", { rate: CPU_SLOWDOWN });
    await page.addInitScript(observe);
    await page.goto(fixture.url + path);
    const interactive = await untilQuiet(page);
    const { requests, bytes, scripts } = weighed();
    await visitor.context.close();
    return { requests, bytes, scripts, interactive };
}

/** Counts the transferred bytes, including headers. */
async function sizeOf(devtools: CDPSession): Promise<() => Omit<Load, "interactive">> {
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
 * Measures when the page has controls, and when the last long task ended. Runs in the page, which lacks the helper that
 * the compiler adds for functions with names.
 */
function observe() {
    const measured = { messageText: 0, busy: 0 };
    Object.assign(window, { measured });
    new PerformanceObserver((list) => {
        for (const task of list.getEntries()) measured.busy = task.startTime + task.duration;
    }).observe({ type: "longtask", buffered: true });
    new MutationObserver(() => {
        if (measured.messageText === 0 && document.querySelector("main button, main a, pre"))
            measured.messageText = performance.now();
    }).observe(document, { childList: true, subtree: true });
}

/** Waits until the page is interactive and the network is idle. Returns the time to interactive, in milliseconds. */
async function untilQuiet(page: Page): Promise<number> {
    const measured = () =>
        page.evaluate(() => (window as unknown as { measured: { messageText: number; busy: number } }).measured);
    await waitUntil("the page can be used", async () => (await measured()).messageText > 0);
    await page.waitForLoadState("networkidle");
    const { messageText, busy } = await measured();
    return Math.max(messageText, busy);
}

function median(values: number[]): number {
    return values.sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? NaN;
}

async function figures(fixture: Fixture, path: string): Promise<Load> {
    const loads: Load[] = [];
    for (let count = 0; count < LOADS; count += 1) loads.push(await load(fixture, path));
    const of = (figure: keyof Load) => median(loads.map((load) => load[figure]));
    return { requests: of("requests"), bytes: of("bytes"), scripts: of("scripts"), interactive: of("interactive") };
}

const fixture = await Fixture.start();
try {
    const message = await fixture.sealed();
    const pages = { write: "/", read: message.path, admin: "/admin", documentation: "/api/docs" };
    const line = await figures(fixture, "/robots.txt");
    const kibibytes = (bytes: number) => (bytes / 1024).toFixed(1);
    console.log("page           requests  KiB  of them scripts  usable after × a page of one line");
    for (const [name, path] of Object.entries(pages)) {
        const { requests, bytes, scripts, interactive } = await figures(fixture, path);
        const row = [name.padEnd(14), String(requests).padStart(8), kibibytes(bytes).padStart(5)];
        row.push(kibibytes(scripts).padStart(16), (interactive / line.interactive).toFixed(1).padStart(13));
        console.log(row.join(" "));
    }
} finally {
    await fixture.stop();
}
