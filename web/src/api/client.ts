// The way to the store: gRPC-Web to the origin that this page came from, and to nowhere else.

import { createClient, type Client } from "@connectrpc/connect";
import { createGrpcWebTransport } from "@connectrpc/connect-web";
import type { DescService } from "@bufbuild/protobuf";

/** How long a call may take that is not a stream, in milliseconds. */
const CALL_LIMIT = 15_000;

const transport = createGrpcWebTransport({
    baseUrl: location.origin,
    defaultTimeoutMs: CALL_LIMIT,
    // No cookies, no caches, no redirects: a call goes to this origin, and its answer is kept nowhere.
    fetch: (input, init) => fetch(input, { ...init, cache: "no-store", credentials: "omit", redirect: "error" }),
});

/** A client for one of the services of `proto/`. */
export function clientFor<Service extends DescService>(service: Service): Client<Service> {
    return createClient(service, transport);
}
