// nginx in front of the gateway, with the configuration of docs/operations.md and a password.

import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort, waitUntil } from "./process.ts";

export const CREDENTIALS = { username: "ann", password: "correct horse" };

const OPERATIONS = new URL("../../../docs/operations.md", import.meta.url);
const SEARCH_PATH = `${process.env["PATH"] ?? ""}:/usr/sbin`;

export class Proxy {
    private constructor(
        readonly url: string,
        readonly port: number,
        readonly folder: string,
        readonly process: ChildProcess,
    ) {}

    /** Starts nginx in front of the gateway at `upstream`. */
    static async start(upstream: string): Promise<Proxy> {
        const [folder, port] = [await mkdtemp(join(tmpdir(), "mayfly-nginx-")), await freePort()];
        const [server = "", password = ""] = (await readFile(OPERATIONS, "utf8"))
            .split("```nginx\n")
            .slice(1)
            .map((block) => block.split("```")[0] ?? "");
        const documented = server
            .replace("http://127.0.0.1:8001", upstream)
            .replace("{", `{ listen 127.0.0.1:${port};`)
            .replace("    }\n", `${password}    }\n`)
            .replace("/etc/nginx/mayfly.users", usersFile(folder));
        const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(
            (kind) => `${kind}_temp_path ${join(folder, kind)};`,
        );
        const config = [
            // The folder is private, so nginx's default user cannot read it.
            process.getuid?.() === 0 ? "user root;" : "",
            `daemon off; pid ${join(folder, "pid")}; error_log stderr crit; events {}`,
            `http { access_log off; ${temporary.join(" ")}\n${documented}}`,
        ];
        await writeFile(join(folder, "nginx.conf"), config.join("\n"));
        await writeFile(usersFile(folder), "");
        const arguments_ = ["-p", folder, "-e", "stderr", "-c", join(folder, "nginx.conf")];
        const child = spawn("nginx", arguments_, {
            env: { PATH: SEARCH_PATH },
            stdio: ["ignore", "ignore", "inherit"],
        });
        const proxy = new Proxy(`http://127.0.0.1:${port}`, port, folder, child);
        await waitUntil("nginx asks for a password", async () => {
            if (child.exitCode !== null) throw new Error("nginx ended");
            return (await fetch(proxy.url).catch(() => undefined))?.status === 401;
        });
        await proxy.acceptPassword(true);
        return proxy;
    }

    /** Sets whether nginx accepts the password. It reads the file for each request. */
    async acceptPassword(isAccepted: boolean): Promise<void> {
        const { username, password } = CREDENTIALS;
        await writeFile(usersFile(this.folder), isAccepted ? `${username}:{PLAIN}${password}\n` : "");
    }

    async stop(): Promise<void> {
        if (this.process.exitCode === null) {
            this.process.kill("SIGTERM");
            await once(this.process, "exit");
        }
        await rm(this.folder, { recursive: true, force: true });
    }
}

function usersFile(folder: string): string {
    return join(folder, "mayfly.users");
}
