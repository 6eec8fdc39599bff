// Serves the built page beside a gateway, under the headers that the gateway gives it.

import { readFile } from "node:fs/promises";
import { createServer, request, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { extname } from "node:path";

const dist = new URL("../../dist/", import.meta.url);

const HEADERS = {
    "cache-control": "no-store",
    "content-security-policy":
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; " +
        "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "cross-origin-opener-policy": "same-origin",
};
const TYPES: Record<string, string> = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
};

/** A server for the page; all that is not of it goes to the gateway. */
export class Front {
    readonly #server: Server;

    private constructor(server: Server) {
        this.#server = server;
    }

    static async start(gatewayUrl: string): Promise<Front> {
        const server = createServer((asked, answer) => {
            const path = new URL(asked.url ?? "/", "http://front").pathname;
            if (/^\/(assets\/[\w.-]+|admin|m\/[^/]*|)$/.test(path)) void serve(path, answer);
            else forward(gatewayUrl, asked, answer);
        });
        await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
        return new Front(server);
    }

    get url(): string {
        return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
    }

    stop(): void {
        this.#server.close();
        this.#server.closeAllConnections();
    }
}

async function serve(path: string, answer: ServerResponse): Promise<void> {
    const file = path.startsWith("/assets/") ? path.slice(1) : "index.html";
    const content = await readFile(new URL(file, dist)).catch(() => undefined);
    answer.writeHead(content ? 200 : 404, { ...HEADERS, "content-type": TYPES[extname(file)] ?? "text/plain" });
    answer.end(content);
}

function forward(gatewayUrl: string, asked: IncomingMessage, answer: ServerResponse): void {
    const { method, headers, url } = asked;
    const onward = request(new URL(url ?? "/", gatewayUrl), { ...(method && { method }), headers }, (answered) => {
        answer.writeHead(answered.statusCode ?? 502, answered.headers);
        answered.pipe(answer);
        answered.on("error", () => answer.destroy());
    });
    onward.on("error", () => answer.destroy());
    answer.on("close", () => onward.destroy());
    asked.pipe(onward);
}
