// The calls that take the admin token: `ConfigService` and `BotService`, in the page's own words. All throw what `failureOf`
// understands.

import { timestampDate } from "@bufbuild/protobuf/wkt";
import { BotMode, BotService, BotState, TestOutcome } from "../gen/mayfly/bot/v1/bot_service_pb.ts";
import { ConfigService } from "../gen/mayfly/config/v1/config_service_pb.ts";
import type { BotStatus as WireStatus } from "../gen/mayfly/bot/v1/bot_service_pb.ts";
import type { AppConfig as WireConfig } from "../gen/mayfly/config/v1/app_config_pb.ts";
import { clientFor } from "./client.ts";
import { failureOf } from "./failure.ts";
import { pauseAfter, pauseUntilSeen } from "./pauses.ts";

const configs = clientFor(ConfigService);
const bot = clientFor(BotService);

/** How long to wait between two looks at the bot, in milliseconds. */
const STATUS_PAUSE = 2_000;
/** How long a test may take, in milliseconds: the bot asks Telegram. */
const TEST_LIMIT = 60_000;

/** Sent with every call. Proxies may use `authorization` for credentials of their own, so this header is another. */
export type Credentials = { "mayfly-authorization": string };

/** What the bot needs to sign in to Telegram. Secrets never come back: of each there is only what makes it known again. */
export interface AppConfig {
    id: bigint;
    sessionName: string;
    apiId: bigint;
    isActive: boolean;
    isBot: boolean;
    /** The last characters; empty when the secret is too short to show any. */
    apiHashEnd: string;
    botTokenEnd: string;
    /** The bot's public id at Telegram. */
    botId: string;
    updateTime: Date | undefined;
}

/** An app config as it is written. A secret that is empty stays as it is. */
export interface Draft {
    sessionName: string;
    apiId: bigint;
    apiHash: string;
    botToken: string;
    isActive: boolean;
    isBot: boolean;
}

/** How the bot is doing. */
export interface BotStatus {
    state: keyof typeof BotState;
    mode: keyof typeof BotMode;
    userName: string;
    /** Zero for none. */
    appConfigId: bigint;
    lastUpdateTime: Date | undefined;
    queuedUpdates: number;
    failedUpdates: bigint;
    version: string;
}

/** What Telegram says to an app config. */
export interface Test {
    outcome: keyof typeof TestOutcome;
    userName: string;
    displayName: string;
}

/** All app configs, the newest first. */
export async function listAppConfigs(headers: Credentials): Promise<AppConfig[]> {
    const all: WireConfig[] = [];
    for (let pageToken = ""; ;) {
        const page = await configs.listAppConfigs({ pageToken }, { headers });
        all.push(...page.appConfigs);
        pageToken = page.nextPageToken;
        if (pageToken === "") return all.map(configOf).reverse();
    }
}

/** Stores another app config. Not to be repeated without a look at the list: every call makes a new one. */
export async function createAppConfig(headers: Credentials, draft: Draft): Promise<void> {
    await configs.createAppConfig({ appConfig: draft }, { headers });
}

/** Changes all of an app config but the secrets that are left empty. */
export async function updateAppConfig(headers: Credentials, id: bigint, draft: Draft): Promise<void> {
    const paths = ["session_name", "api_id", "is_active", "is_bot"];
    if (draft.apiHash !== "") paths.push("api_hash");
    if (draft.botToken !== "") paths.push("bot_token");
    await configs.updateAppConfig({ appConfig: { ...draft, id }, updateMask: { paths } }, { headers });
}

/** Lets the bot use an app config, or not. */
export async function activateAppConfig(headers: Credentials, id: bigint, isActive: boolean): Promise<void> {
    const updateMask = { paths: ["is_active"] };
    await configs.updateAppConfig({ appConfig: { id, isActive }, updateMask }, { headers });
}

/** Erases an app config. */
export async function deleteAppConfig(headers: Credentials, id: bigint): Promise<void> {
    await configs.deleteAppConfig({ id }, { headers });
}

/** Lets the bot ask Telegram who it is with this app config. Changes nothing. */
export async function testAppConfig(headers: Credentials, id: bigint): Promise<Test> {
    const { outcome, userName, displayName } = await bot.testAppConfig({ id }, { headers, timeoutMs: TEST_LIMIT });
    return { outcome: TestOutcome[outcome] as Test["outcome"], userName, displayName };
}

/**
 * Tells how the bot is doing, now and again and again. While nobody answers it says `undefined`, and tries again for as
 * long as it takes. Throws what no trying again will mend. It keeps no stream open, as `watchMessage` does not.
 */
export async function* watchBotStatus(
    headers: Credentials,
    signal: AbortSignal,
): AsyncGenerator<BotStatus | undefined> {
    for (let failures = 0; ;) {
        try {
            const { status } = await bot.getBotStatus({}, { headers, signal });
            failures = 0;
            if (status !== undefined) yield statusOf(status);
        } catch (error) {
            signal.throwIfAborted();
            const { kind } = failureOf(error);
            if (kind === "credentials" || kind === "forbidden" || kind === "sign-in") throw error;
            failures += 1;
            if (failures > 1) yield undefined;
        }
        await pauseUntilSeen(failures === 0 ? STATUS_PAUSE : pauseAfter(failures), signal);
    }
}

function statusOf(status: WireStatus): BotStatus {
    return {
        state: BotState[status.state] as BotStatus["state"],
        mode: BotMode[status.mode] as BotStatus["mode"],
        userName: status.userName,
        appConfigId: status.appConfigId,
        lastUpdateTime: status.lastUpdateTime && timestampDate(status.lastUpdateTime),
        queuedUpdates: status.queuedUpdates,
        failedUpdates: status.failedUpdates,
        version: status.version,
    };
}

function configOf(config: WireConfig): AppConfig {
    const [botId = "", botSecret = ""] = config.botToken.split(":");
    return {
        id: config.id,
        sessionName: config.sessionName,
        apiId: config.apiId,
        isActive: config.isActive ?? false,
        isBot: config.isBot ?? false,
        apiHashEnd: endOf(config.apiHash),
        botTokenEnd: endOf(botSecret),
        botId,
        updateTime: config.updateTime && timestampDate(config.updateTime),
    };
}

/** The last characters of a secret, unless it is one of those of which none are shown. */
function endOf(recognizable: string): string {
    const end = recognizable.slice(-4);
    return end === "xxxx" ? "" : end;
}
