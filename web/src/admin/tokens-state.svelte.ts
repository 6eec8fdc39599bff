// The state of the API tokens on the admin page, and the actions on them.

import { createApiToken, listApiTokens, revokeApiToken, type ApiToken, type TokenDraft } from "../api/tokens.ts";
import { isRejectedToken, toApiError } from "../api/errors.ts";
import type { Session } from "./session.svelte.ts";

/** Why an action failed, as a key of `texts.tokens.errors` or of `texts.errors`. */
export type TokenError = "name" | "taken" | "scopes" | "revoked" | "unavailable" | "busy" | "signIn" | "failed";

/** A token that was just created. Only this object holds its secret, until it is dismissed. */
export interface CreatedToken {
    name: string;
    secret: string;
}

export class TokensState {
    /** `undefined` until the list is loaded. */
    tokens = $state.raw<ApiToken[]>();
    created = $state.raw<CreatedToken>();
    /** The error of the last action. */
    error = $state<TokenError>();
    readonly #session: Session;

    constructor(session: Session) {
        this.#session = session;
    }

    /** Loads the list. */
    async load(): Promise<void> {
        try {
            if (this.#session.isLoggedIn) this.tokens = await listApiTokens(this.#session.authHeaders);
        } catch (error) {
            this.error ??= this.#errorFor(error);
        }
    }

    /** Creates a token. Returns `true` if `created` has its secret. */
    async create(draft: TokenDraft): Promise<boolean> {
        this.error = draft.scopes.length === 0 ? "scopes" : undefined;
        if (this.error !== undefined) return false;
        try {
            const secret = await createApiToken(this.#session.authHeaders, draft);
            this.created = { name: draft.name, secret };
        } catch (error) {
            this.error = this.#errorFor(error);
        }
        // Also after an error: only the response may be lost.
        await this.load();
        return this.error === undefined;
    }

    async revoke(name: string): Promise<void> {
        this.error = undefined;
        try {
            await revokeApiToken(this.#session.authHeaders, name);
            if (this.created?.name === name) this.created = undefined;
        } catch (error) {
            this.error = this.#errorFor(error);
        }
        await this.load();
    }

    #errorFor(error: unknown): TokenError {
        const apiError = toApiError(error);
        if (isRejectedToken(apiError)) {
            this.#session.lock("rejected");
            return "failed";
        }
        switch (apiError.kind) {
            case "nameTaken":
                return "taken";
            case "tokenUnknown":
                return "revoked";
            case "field":
                return apiError.field === "name" || apiError.field === "scopes" ? apiError.field : "failed";
            case "unavailable":
            case "busy":
            case "signIn":
                return apiError.kind;
            default:
                return "failed";
        }
    }
}

export type { ApiToken };
