// A reverse proxy that asks for a password, as nginx does with `auth_basic`.

import { createServer, request, type Server } from "node:http";
import { once } from "node:events";
import type { AddressInfo } from "node:net";

export const CREDENTIALS = { username: "ann", password: "correct horse" };

export class Proxy {
    /** From now on: whether the password is known. */
    isOpen = true;
    private constructor(
        readonly url: string,
        readonly server: Server,
    ) {}

    /** In front of the server at `upstream`. */
    static async start(upstream: string, { asksForPassword = true } = {}): Promise<Proxy> {
        const { username, password } = CREDENTIALS;
        const expected = `Basic ${Buffer.from(`${username}:${password}`).toString("base64")}`;
        const server = createServer((asked, answer) => {
            if (!proxy.isOpen || (asksForPassword && asked.headers.authorization !== expected)) {
                // Without a challenge, so that no browser opens a dialog.
                const headers = proxy.isOpen ? { "www-authenticate": `Basic realm="x"` } : {};
                answer.writeHead(401, { "content-type": "text/html", ...headers }).end("<h1>401</h1>");
                return;
            }
            const passed = request(new URL(asked.url ?? "/", upstream), {
                method: asked.method,
                headers: asked.headers,
            });
            passed.on("response", (response) => {
                answer.writeHead(response.statusCode ?? 502, response.headers);
                response.pipe(answer);
            });
            passed.on("error", () => answer.destroy());
            answer.on("close", () => passed.destroy());
            asked.pipe(passed);
        });
        server.listen(0, "127.0.0.1");
        await once(server, "listening");
        const proxy = new Proxy(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, server);
        return proxy;
    }

    async stop(): Promise<void> {
        this.server.closeAllConnections();
        this.server.close();
        await once(this.server, "close");
    }
}
