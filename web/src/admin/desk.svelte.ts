// What lies on the desk once it is open: the app configs and the bot, and what is done with them.

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
    type Test,
} from "../api/admin.ts";
import { failureOf } from "../api/failure.ts";
import type { Session } from "./session.svelte.ts";

/** What went wrong, in words of `texts.troubles`. */
export type Trouble = "away" | "busy" | "signIn" | "failed" | "configUnknown";

/** What is wrong with a form: one of its fields, or something else. */
export type Fault = { field: keyof Draft } | { trouble: Trouble };

/** How a test ended, in words of `texts.tests`; `away` when the bot did not answer. */
export type TestResult = Test | { outcome: "away" };

/** The fields as the contract names them. */
const FIELDS: Record<string, keyof Draft> = {
    "app_config.session_name": "sessionName",
    "app_config.api_id": "apiId",
    "app_config.api_hash": "apiHash",
    "app_config.bot_token": "botToken",
};

export class Desk {
    configs = $state.raw<AppConfig[]>([]);
    /** `undefined` until the bot has answered. */
    bot = $state.raw<BotStatus>();
    isBotAway = $state(false);
    /** What went wrong with what was done last. */
    trouble = $state<Trouble>();
    readonly #session: Session;

    constructor(session: Session) {
        this.#session = session;
        this.configs = session.listed;
    }

    /** The one that the store gives to the bot: the active one with the highest id. */
    get chosen(): AppConfig | undefined {
        return this.configs.find((config) => config.isActive);
    }

    /** Follows the bot, until what is answered is called. */
    watch(): () => void {
        const stop = new AbortController();
        void this.#watch(stop.signal);
        return () => stop.abort();
    }

    /** Stores a new app config, or changes the one with this id; answers what is wrong, if anything is. */
    async save(id: bigint | undefined, draft: Draft): Promise<Fault | undefined> {
        const { credentials } = this.#session;
        let fault: Fault | undefined;
        try {
            await (id === undefined ? createAppConfig(credentials, draft) : updateAppConfig(credentials, id, draft));
        } catch (error) {
            const failure = failureOf(error);
            const field = failure.kind === "field" ? FIELDS[failure.field] : undefined;
            fault = field === undefined ? { trouble: this.#troubleOf(error) } : { field };
        }
        // Also after a failure: only the answer may have been lost.
        this.trouble = undefined;
        await this.#look();
        return fault;
    }

    async activate(id: bigint, isActive: boolean): Promise<void> {
        await this.#do(() => activateAppConfig(this.#session.credentials, id, isActive));
    }

    async delete(id: bigint): Promise<void> {
        await this.#do(() => deleteAppConfig(this.#session.credentials, id));
    }

    async test(id: bigint): Promise<TestResult | undefined> {
        try {
            return await testAppConfig(this.#session.credentials, id);
        } catch (error) {
            const trouble = this.#troubleOf(error);
            if (trouble === "away") return { outcome: "away" };
            this.trouble = trouble;
            return undefined;
        }
    }

    /** Does something and looks at the list again, whatever came of it. */
    async #do(work: () => Promise<void>): Promise<void> {
        this.trouble = undefined;
        try {
            await work();
        } catch (error) {
            this.trouble = this.#troubleOf(error);
        }
        await this.#look();
    }

    /** Looks at the list again, while the page is open. */
    async #look(): Promise<void> {
        try {
            if (this.#session.isOpen) this.configs = await listAppConfigs(this.#session.credentials);
        } catch (error) {
            this.trouble ??= this.#troubleOf(error);
        }
    }

    #troubleOf(error: unknown): Trouble {
        const { kind } = failureOf(error);
        switch (kind) {
            case "credentials":
            case "forbidden":
                this.#session.lock("refused");
                return "failed";
            case "config-unknown":
                return "configUnknown";
            case "away":
            case "busy":
                return kind;
            case "sign-in":
                return "signIn";
            default:
                return "failed";
        }
    }

    async #watch(signal: AbortSignal): Promise<void> {
        try {
            for await (const status of watchBotStatus(this.#session.credentials, signal)) {
                this.isBotAway = status === undefined;
                if (status !== undefined) this.bot = status;
            }
        } catch (error) {
            if (signal.aborted) return;
            this.isBotAway = true;
            this.trouble = this.#troubleOf(error);
        }
    }
}
