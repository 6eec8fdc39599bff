// The state of the admin page after the login: the app configs, the bot, and the actions on them.

import {
    activateAppConfig,
    createAppConfig,
    deleteAppConfig,
    listAppConfigs,
    testAppConfig,
    updateAppConfig,
    watchBotStatus,
    type AppConfig,
    type BotStatus,
    type Draft,
    type ConfigTest,
} from "../api/admin.ts";
import { isRejectedToken, toApiError } from "../api/errors.ts";
import type { Session } from "./session.svelte.ts";

/** Why an action failed, as a key of `texts.errors`. */
export type AdminError = "unavailable" | "busy" | "signIn" | "failed" | "configUnknown";

/** Why a form was rejected: an invalid field, or another error. */
export type FormError = { field: keyof Draft } | { error: AdminError };

/** The result of a test, as keys of `texts.tests`; `unavailable` if the bot does not respond. */
export type TestResult = ConfigTest | { outcome: "unavailable" };

/** The field names of the contract. */
const FIELDS: Record<string, keyof Draft> = {
    "app_config.session_name": "sessionName",
    "app_config.api_id": "apiId",
    "app_config.api_hash": "apiHash",
    "app_config.bot_token": "botToken",
};

export class AdminState {
    configs = $state.raw<AppConfig[]>([]);
    /** `undefined` until the bot has responded. */
    bot = $state.raw<BotStatus>();
    isBotUnavailable = $state(false);
    /** The error of the last action. */
    error = $state<AdminError>();
    readonly #session: Session;

    constructor(session: Session) {
        this.#session = session;
        this.configs = session.initialConfigs;
    }

    /** The app config that the store returns to the bot: the active one with the highest id. */
    get chosen(): AppConfig | undefined {
        return this.configs.find((config) => config.isActive);
    }

    /** Watches the bot until the returned function is called. */
    watch(): () => void {
        const stop = new AbortController();
        void this.#watch(stop.signal);
        return () => stop.abort();
    }

    /** Stores a new app config, or changes the one with this id. Returns the error, if any. */
    async save(id: bigint | undefined, draft: Draft): Promise<FormError | undefined> {
        const { authHeaders } = this.#session;
        let formError: FormError | undefined;
        try {
            await (id === undefined ? createAppConfig(authHeaders, draft) : updateAppConfig(authHeaders, id, draft));
        } catch (error) {
            const apiError = toApiError(error);
            const field = apiError.kind === "field" ? FIELDS[apiError.field] : undefined;
            formError = field === undefined ? { error: this.#adminErrorFor(error) } : { field };
        }
        // Also after an error: only the response may be lost.
        this.error = undefined;
        await this.#reload();
        return formError;
    }

    async activate(id: bigint, isActive: boolean): Promise<void> {
        await this.#run(() => activateAppConfig(this.#session.authHeaders, id, isActive));
    }

    async delete(id: bigint): Promise<void> {
        await this.#run(() => deleteAppConfig(this.#session.authHeaders, id));
    }

    async test(id: bigint): Promise<TestResult | undefined> {
        try {
            return await testAppConfig(this.#session.authHeaders, id);
        } catch (error) {
            const adminError = this.#adminErrorFor(error);
            if (adminError === "unavailable") return { outcome: "unavailable" };
            this.error = adminError;
            return undefined;
        }
    }

    /** Runs an action, and reloads the list even if it fails. */
    async #run(action: () => Promise<void>): Promise<void> {
        this.error = undefined;
        try {
            await action();
        } catch (error) {
            this.error = this.#adminErrorFor(error);
        }
        await this.#reload();
    }

    /** Reloads the list, unless the page was locked. */
    async #reload(): Promise<void> {
        try {
            if (this.#session.isLoggedIn) this.configs = await listAppConfigs(this.#session.authHeaders);
        } catch (error) {
            this.error ??= this.#adminErrorFor(error);
        }
    }

    #adminErrorFor(error: unknown): AdminError {
        const apiError = toApiError(error);
        if (isRejectedToken(apiError)) {
            this.#session.lock("rejected");
            return "failed";
        }
        const { kind } = apiError;
        switch (kind) {
            case "configUnknown":
            case "unavailable":
            case "busy":
            case "signIn":
                return kind;
            default:
                return "failed";
        }
    }

    async #watch(signal: AbortSignal): Promise<void> {
        try {
            for await (const status of watchBotStatus(this.#session.authHeaders, signal)) {
                this.isBotUnavailable = status === undefined;
                if (status !== undefined) this.bot = status;
            }
        } catch (error) {
            if (signal.aborted) return;
            this.isBotUnavailable = true;
            this.error = this.#adminErrorFor(error);
        }
    }
}
