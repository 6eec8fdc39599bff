// The calls of `ApiTokenService`, in types of the page. All throw errors for `toApiError`.

import { durationFromMs, timestampDate } from "@bufbuild/protobuf/wkt";
import {
    ApiTokenScope,
    ApiTokenService,
    type ApiToken as WireToken,
} from "../gen/mayfly/auth/v1/api_token_service_pb.ts";
import { clientFor, type AuthHeaders } from "./client.ts";

const client = clientFor(ApiTokenService);

/** What an API token allows. */
export type Scope = "create" | "admin" | "metrics";

/** All scopes, and their values in the contract. */
const SCOPES: Record<Scope, ApiTokenScope> = {
    create: ApiTokenScope.CREATE,
    admin: ApiTokenScope.ADMIN,
    metrics: ApiTokenScope.METRICS,
};

export const ALL_SCOPES = Object.keys(SCOPES) as Scope[];

/** An API token without its secret. */
export interface ApiToken {
    name: string;
    scopes: Scope[];
    createTime: Date | undefined;
    /** Undefined: never. */
    expireTime: Date | undefined;
    /** The day of the last use, in UTC. Undefined: never used. */
    lastUseDay: Date | undefined;
}

/** A token to create. */
export interface TokenDraft {
    name: string;
    scopes: Scope[];
    /** In seconds. Zero: until it is revoked. */
    ttl: number;
}

/** Returns the API tokens that are not revoked, the newest first. */
export async function listApiTokens(headers: AuthHeaders): Promise<ApiToken[]> {
    const all: WireToken[] = [];
    for (let pageToken = ""; ;) {
        const page = await client.listApiTokens({ pageToken }, { headers });
        all.push(...page.apiTokens);
        pageToken = page.nextPageToken;
        if (pageToken === "") return all.map(toApiToken).reverse();
    }
}

/** Creates an API token. Returns its secret, which no other call returns. */
export async function createApiToken(headers: AuthHeaders, { name, scopes, ttl }: TokenDraft): Promise<string> {
    const lifetime = ttl === 0 ? {} : { ttl: durationFromMs(ttl * 1000) };
    const request = { name, scopes: scopes.map((scope) => SCOPES[scope]), ...lifetime };
    const { secret } = await client.createApiToken(request, { headers });
    return secret;
}

/** Revokes an API token. */
export async function revokeApiToken(headers: AuthHeaders, name: string): Promise<void> {
    await client.revokeApiToken({ name }, { headers });
}

function toApiToken(token: WireToken): ApiToken {
    return {
        name: token.name,
        scopes: ALL_SCOPES.filter((scope) => token.scopes.includes(SCOPES[scope])),
        createTime: token.createTime && timestampDate(token.createTime),
        expireTime: token.expireTime && timestampDate(token.expireTime),
        lastUseDay: token.lastUseTime && timestampDate(token.lastUseTime),
    };
}
