// The calls with the admin token: `ConfigService` and `BotService`, in types of the page. All throw errors for
// `toApiError`.

import { timestampDate } from "@bufbuild/protobuf/wkt";
import { BotMode, BotService, BotState, TestOutcome } from "../gen/mayfly/bot/v1/bot_service_pb.ts";
import { ConfigService } from "../gen/mayfly/config/v1/config_service_pb.ts";
import type { BotStatus as WireStatus } from "../gen/mayfly/bot/v1/bot_service_pb.ts";
import type { AppConfig as WireConfig } from "../gen/mayfly/config/v1/app_config_pb.ts";
import { clientFor, type AuthHeaders } from "./client.ts";
import { isRejectedToken, toApiError } from "./errors.ts";
import { backoffDelay, sleepUntilVisible } from "./backoff.ts";

const configs = clientFor(ConfigService);
const bot = clientFor(BotService);

/** The time between two status calls, in milliseconds. */
const STATUS_INTERVAL = 2_000;
/** How long a test may take, in milliseconds. The bot calls Telegram. */
const TEST_TIMEOUT = 60_000;

/** An app config. The server returns secrets masked, with their last characters only. */
export interface AppConfig {
    id: bigint;
    sessionName: string;
    apiId: bigint;
    isActive: boolean;
    isBot: boolean;
    /** The last characters; empty if the secret is too short to show any. */
    apiHashEnd: string;
    botTokenEnd: string;
    /** The bot's public id at Telegram, the first part of its token. */
    botId: string;
    updateTime: Date | undefined;
}

/** The fields of an app config to store. An empty secret keeps the stored one. */
export interface Draft {
    sessionName: string;
    apiId: bigint;
    apiHash: string;
    botToken: string;
    isActive: boolean;
    isBot: boolean;
}

/** The status of the bot. */
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

/** The result of a test with Telegram. */
export interface ConfigTest {
    outcome: keyof typeof TestOutcome;
    userName: string;
    displayName: string;
}

/** Returns all app configs, the newest first. */
export async function listAppConfigs(headers: AuthHeaders): Promise<AppConfig[]> {
    const all: WireConfig[] = [];
    for (let pageToken = ""; ;) {
        const page = await configs.listAppConfigs({ pageToken }, { headers });
        all.push(...page.appConfigs);
        pageToken = page.nextPageToken;
        if (pageToken === "") return all.map(toAppConfig).reverse();
    }
}

/** Stores a new app config. The call is not idempotent: check the list before repeating it. */
export async function createAppConfig(headers: AuthHeaders, draft: Draft): Promise<void> {
    await configs.createAppConfig({ appConfig: draft }, { headers });
}

/** Changes an app config. Empty secrets are not changed. */
export async function updateAppConfig(headers: AuthHeaders, id: bigint, draft: Draft): Promise<void> {
    const paths = ["session_name", "api_id", "is_active", "is_bot"];
    if (draft.apiHash !== "") paths.push("api_hash");
    if (draft.botToken !== "") paths.push("bot_token");
    await configs.updateAppConfig({ appConfig: { ...draft, id }, updateMask: { paths } }, { headers });
}

/** Activates or deactivates an app config. */
export async function activateAppConfig(headers: AuthHeaders, id: bigint, isActive: boolean): Promise<void> {
    const updateMask = { paths: ["is_active"] };
    await configs.updateAppConfig({ appConfig: { id, isActive }, updateMask }, { headers });
}

/** Deletes an app config. */
export async function deleteAppConfig(headers: AuthHeaders, id: bigint): Promise<void> {
    await configs.deleteAppConfig({ id }, { headers });
}

/** Lets the bot test this app config with Telegram. Changes nothing. */
export async function testAppConfig(headers: AuthHeaders, id: bigint): Promise<ConfigTest> {
    const { outcome, userName, displayName } = await bot.testAppConfig({ id }, { headers, timeoutMs: TEST_TIMEOUT });
    return { outcome: TestOutcome[outcome] as ConfigTest["outcome"], userName, displayName };
}

/**
 * Yields the status of the bot repeatedly. Yields `undefined` while the bot does not respond, and retries without end.
 * Throws permanent errors. It polls, for the reason of `watchMessage`.
 */
export async function* watchBotStatus(
    headers: AuthHeaders,
    signal: AbortSignal,
): AsyncGenerator<BotStatus | undefined> {
    for (let failures = 0; ;) {
        try {
            const { status } = await bot.getBotStatus({}, { headers, signal });
            failures = 0;
            if (status !== undefined) yield toBotStatus(status);
        } catch (error) {
            signal.throwIfAborted();
            const apiError = toApiError(error);
            if (isRejectedToken(apiError) || apiError.kind === "signIn") throw error;
            failures += 1;
            if (failures > 1) yield undefined;
        }
        await sleepUntilVisible(failures === 0 ? STATUS_INTERVAL : backoffDelay(failures), signal);
    }
}

function toBotStatus(status: WireStatus): BotStatus {
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

function toAppConfig(config: WireConfig): AppConfig {
    const [botId = "", botSecret = ""] = config.botToken.split(":");
    return {
        id: config.id,
        sessionName: config.sessionName,
        apiId: config.apiId,
        isActive: config.isActive ?? false,
        isBot: config.isBot ?? false,
        apiHashEnd: visibleEnd(config.apiHash),
        botTokenEnd: visibleEnd(botSecret),
        botId,
        updateTime: config.updateTime && timestampDate(config.updateTime),
    };
}

/** Returns the last characters of a masked secret, or nothing if they are masked too. */
function visibleEnd(masked: string): string {
    const end = masked.slice(-4);
    return end === "xxxx" ? "" : end;
}
