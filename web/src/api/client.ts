// The way to the store: gRPC-Web to the origin that this page came from, and to nowhere else.

import { Code, ConnectError, createClient, type Client } from "@connectrpc/connect";
import { createGrpcWebTransport } from "@connectrpc/connect-web";
import type { DescService } from "@bufbuild/protobuf";

/** How long a call may take that is not a stream, in milliseconds. */
const CALL_LIMIT = 15_000;

const transport = createGrpcWebTransport({
    baseUrl: location.origin,
    defaultTimeoutMs: CALL_LIMIT,
    fetch: callThisOrigin,
});

/**
 * A call goes to this origin, and its answer is kept nowhere. With it go the credentials that the browser has for this
 * origin: Mayfly has none, but a proxy in front of it may ask for a password or a cookie of its own.
 */
async function callThisOrigin(input: RequestInfo | URL, init?: RequestInit): Promise<Response> {
    const answer = await fetch(input, { ...init, cache: "no-store", credentials: "same-origin", redirect: "manual" });
    // Mayfly redirects nobody. A proxy does, to where people sign in.
    if (answer.type === "opaqueredirect") throw new ConnectError("redirected", Code.Unauthenticated);
    return answer;
}

/** A client for one of the services of `proto/`. */
export function clientFor<Service extends DescService>(service: Service): Client<Service> {
    return createClient(service, transport);
}
