// A fake Bot API on this machine, and its users.

import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const program =
    process.env["MAYFLY_FAKE_TELEGRAM"] ??
    fileURLToPath(new URL("../../../target/debug/examples/fake_telegram", import.meta.url));

export class FakeTelegram {
    readonly url: string;
    readonly #process: ChildProcess;
    readonly #lines: AsyncIterator<string>;

    private constructor(url: string, child: ChildProcess, lines: AsyncIterator<string>) {
        this.url = url;
        this.#process = child;
        this.#lines = lines;
    }

    /** Starts a Bot API with one bot that has this token. */
    static async start(token: string): Promise<FakeTelegram> {
        const child = spawn(program, [token], { env: {}, stdio: ["pipe", "pipe", "inherit"] });
        const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
        return new FakeTelegram((await lines.next()).value as string, child, lines);
    }

    /** Sends a message to the bot in a chat. Returns the reply. */
    async sendMessage(chatId: number, text: string): Promise<string> {
        this.#process.stdin?.write(`${JSON.stringify({ chat_id: chatId, text })}\n`);
        const { value, done } = await this.#lines.next();
        if (done) throw new Error("the bot did not reply");
        return (JSON.parse(value as string) as { text: string }).text;
    }

    async stop(): Promise<void> {
        if (this.#process.exitCode !== null) return;
        this.#process.stdin?.end();
        await once(this.#process, "exit");
    }
}
