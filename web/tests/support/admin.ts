// An admin of the tested process.

import { createClient } from "@connectrpc/connect";
import { createGrpcWebTransport } from "@connectrpc/connect-web";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Page } from "playwright-core";
import { ConfigService } from "../../src/gen/mayfly/config/v1/config_service_pb.ts";
import type { Visitor } from "./browser.ts";
import type { Fixture } from "./fixture.ts";
import type { System } from "./process.ts";

export const API_HASH = "b1946ac92492d2347c6235b4d2611184";
export const BOT_TOKEN = "1000000000:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw";

export class Admin {
    private constructor(
        readonly token: string,
        readonly url: string,
    ) {}

    static async forSystem(system: System): Promise<Admin> {
        return new Admin((await readFile(join(system.dataDir, "admin.token"), "utf8")).trim(), system.gatewayUrl);
    }

    /** Opens the admin page in a new tab, and logs in. */
    async openDashboard(fixture: Fixture, visitor: Visitor, prepare?: (page: Page) => Promise<void>): Promise<Page> {
        const page = await visitor.context.newPage();
        await prepare?.(page);
        await page.goto(`${fixture.url}/admin`);
        await this.logIn(page);
        return page;
    }

    /** Enters the token on the login page. */
    async logIn(page: Page): Promise<void> {
        await page.getByLabel("Admin token").fill(this.token);
        await page.getByRole("button", { name: "Open" }).click();
        await page.getByRole("heading", { name: "Configurations" }).waitFor();
    }

    /** Replaces all app configs by new ones with these names. */
    async replaceConfigs(...names: string[]): Promise<void> {
        const configs = createClient(ConfigService, createGrpcWebTransport({ baseUrl: this.url }));
        const headers = { authorization: `Bearer ${this.token}` };
        const { appConfigs } = await configs.listAppConfigs({}, { headers });
        for (const { id } of appConfigs) await configs.deleteAppConfig({ id }, { headers });
        for (const sessionName of names) {
            const appConfig = { sessionName, apiId: 7278174n, apiHash: API_HASH, botToken: BOT_TOKEN };
            await configs.createAppConfig({ appConfig }, { headers });
        }
    }
}
