// The gRPC-Web client. It calls the origin of this page only.

import { Code, ConnectError, createClient, type Client } from "@connectrpc/connect";
import { createGrpcWebTransport } from "@connectrpc/connect-web";
import type { DescService } from "@bufbuild/protobuf";

/** The timeout of a unary call, in milliseconds. */
const CALL_TIMEOUT = 15_000;

const transport = createGrpcWebTransport({
    baseUrl: location.origin,
    defaultTimeoutMs: CALL_TIMEOUT,
    fetch: fetchFromOrigin,
});

/**
 * Calls this origin, without a cache. The browser adds its credentials for this origin: Mayfly needs none, but a proxy
 * in front of it may require a password or a cookie.
 */
async function fetchFromOrigin(input: RequestInfo | URL, init?: RequestInit): Promise<Response> {
    const response = await fetch(input, { ...init, cache: "no-store", credentials: "same-origin", redirect: "manual" });
    // Mayfly sends no redirects, but a proxy may redirect to its login page.
    if (response.type === "opaqueredirect") throw new ConnectError("redirected", Code.Unauthenticated);
    return response;
}

/** Returns a client for a service of `proto/`. */
export function clientFor<Service extends DescService>(service: Service): Client<Service> {
    return createClient(service, transport);
}

/** The headers of a call with a token. A proxy may use `authorization` for its own credentials. */
export type AuthHeaders = { "mayfly-authorization": string };

/** Returns the headers of a call with this token. A token that no header can carry is replaced by a wrong one. */
export function bearerHeaders(token: string): AuthHeaders {
    return { "mayfly-authorization": `Bearer ${/^[\x21-\x7e]+$/.test(token) ? token : "invalid"}` };
}
