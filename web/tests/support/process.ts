// A process of Mayfly, with its own ports and folder.

import { execFile, spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** The timeout of every wait, in milliseconds. */
export const TIMEOUT = 30_000;
/** The time between two checks of a condition, in milliseconds. */
const POLL_INTERVAL = 50;

const program = process.env["MAYFLY_BIN"] ?? fileURLToPath(new URL("../../../target/debug/mayfly", import.meta.url));

/** The result of a command. */
export interface CommandOutput {
    code: number;
    out: string;
    err: string;
}

/** Waits until `condition` returns a value, and returns it. */
export async function waitUntil<Value>(
    what: string,
    condition: () => Promise<Value | undefined | false>,
): Promise<Value> {
    const end = Date.now() + TIMEOUT;
    while (Date.now() < end) {
        const value = await condition();
        if (value !== undefined && value !== false) return value;
        await new Promise((resolve) => setTimeout(resolve, POLL_INTERVAL));
    }
    throw new Error(`timed out waiting until ${what}`);
}

/** Returns a free port of 127.0.0.1, below the ephemeral ports. */
export async function freePort(): Promise<number> {
    for (;;) {
        const port = 10_000 + Math.floor(Math.random() * 20_000);
        const server = createServer();
        const isFree = await new Promise((resolve) => {
            server.once("error", () => resolve(false));
            server.listen(port, "127.0.0.1", () => resolve(true));
        });
        if (!isFree) continue;
        server.close();
        await once(server, "close");
        return port;
    }
}

/** All roles in one process, on SQLite. */
export class System {
    readonly gatewayUrl: string;
    readonly storeUrl: string;
    readonly botUrl: string;
    readonly dataDir: string;
    readonly #folder: string;
    readonly #arguments: string[];
    #process: ChildProcess | undefined;
    #output = "";

    private constructor(folder: string, ports: [number, number, number], more: string[]) {
        const [store, gateway, bot] = ports.map((port) => `127.0.0.1:${port}`) as [string, string, string];
        this.#folder = folder;
        this.dataDir = join(folder, "data");
        this.storeUrl = `http://${store}`;
        this.gatewayUrl = `http://${gateway}`;
        this.botUrl = `http://${bot}`;
        this.#arguments = ["up", "--data-dir", this.dataDir, "--store-listen", store, "--gateway-listen", gateway];
        this.#arguments.push("--bot-listen", bot, ...more);
    }

    /** Starts a process with more arguments, and waits until it is ready. */
    static async start(...more: string[]): Promise<System> {
        const folder = await mkdtemp(join(tmpdir(), "mayfly-web-"));
        const telegram = more.includes("--telegram-api-url") ? [] : ["--telegram-api-url", "http://127.0.0.1:9"];
        const ports = [await freePort(), await freePort(), await freePort()] as [number, number, number];
        const system = new System(folder, ports, [...telegram, ...more]);
        await system.launch();
        return system;
    }

    /** The output so far. */
    get output(): string {
        return this.#output;
    }

    get processId(): number {
        return this.#process?.pid ?? 0;
    }

    /** Starts the process, also after `kill`, on the same ports and data. */
    async launch(): Promise<void> {
        // An empty environment, so that the caller's variables have no effect.
        const child = spawn(program, this.#arguments, { env: {}, stdio: ["ignore", "pipe", "pipe"] });
        this.#process = child;
        for (const stream of [child.stdout, child.stderr]) {
            stream.on("data", (data: Buffer) => (this.#output += data.toString()));
        }
        await waitUntil("the gateway is ready", async () => {
            if (child.exitCode !== null) throw new Error(`mayfly ended: ${this.#output}`);
            const response = await fetch(`${this.gatewayUrl}/readyz`).catch(() => undefined);
            return response?.ok;
        });
    }

    /** Kills the process; the data stays. */
    async kill(): Promise<void> {
        const child = this.#process;
        if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
        child.kill("SIGKILL");
        await once(child, "exit");
    }

    /** Kills the process, and removes its data. */
    async stop(): Promise<void> {
        await this.kill();
        await rm(this.#folder, { recursive: true, force: true });
    }

    /** Runs a client command against this store. */
    run(...command: string[]): Promise<CommandOutput> {
        return new Promise((resolve) => {
            const all = [...command, "--store-url", this.storeUrl];
            execFile(program, all, { env: {}, timeout: TIMEOUT }, (error, out, err) => {
                resolve({ code: typeof error?.code === "number" ? error.code : error ? -1 : 0, out, err });
            });
        });
    }

    /** Posts JSON to the REST interface. */
    rest(call: string, body: object): Promise<Response> {
        return fetch(`${this.gatewayUrl}/api/v1/${call}`, {
            method: "POST",
            headers: { "content-type": "application/json" },
            body: JSON.stringify(body),
        });
    }
}
