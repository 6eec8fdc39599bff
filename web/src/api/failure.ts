// Why a call failed, as a closed list of situations that a page can act on: the one table between reasons and pages.

import { durationMs } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from "../gen/google/rpc/error_details_pb.ts";
import { ErrorReason } from "../gen/mayfly/error/v1/error_reason_pb.ts";

/** How a message ended. */
export type Outcome = "viewed" | "burned" | "expired";

/** Why a call failed. Except for `gone` and `unknown`, nothing was consumed or lost. */
export type Failure =
    /** The message ended before, at `time`. */
    | { kind: "gone"; outcome: Outcome; time: Date }
    /** No message is known under this id and token. */
    | { kind: "unknown" }
    /** The token is not one. */
    | { kind: "mistyped" }
    | { kind: "passphrase-required" }
    | { kind: "passphrase-wrong" }
    /** Too many wrong passphrases; the next try is possible at `until`. */
    | { kind: "passphrase-locked"; until: Date }
    /** The content is sealed, and the caller did not say that it opens such content. */
    | { kind: "sealed" }
    /** What is stored in this field is longer than the store takes. */
    | { kind: "too-long"; field: string; maxBytes: number }
    /** A field of the request is not as the store wants it. */
    | { kind: "field"; field: string }
    /** Who calls is not known, or may not do this. */
    | { kind: "credentials" }
    | { kind: "forbidden" }
    | { kind: "config-unknown" }
    | { kind: "busy" }
    /** The store takes no more messages at the moment. */
    | { kind: "full" }
    /** A proxy in front of the server wants its users to sign in. Whether the call took effect is known: it did not. */
    | { kind: "sign-in" }
    /** Nobody answered, or not in time: whether the call took effect is not known. It can be repeated. */
    | { kind: "away" }
    /** A fault on the other side. */
    | { kind: "failed" };

type Details = { metadata: Record<string, string>; delay: number; field: string };

/** Every reason of the contract, so that the compiler asks for a new one. */
const FAILURES: Record<ErrorReason, (details: Details) => Failure> = {
    [ErrorReason.UNSPECIFIED]: () => ({ kind: "failed" }),
    [ErrorReason.FIELD_INVALID]: ({ field }) => ({ kind: "field", field }),
    [ErrorReason.TEXT_TOO_LONG]: ({ field, metadata }) => ({
        kind: "too-long",
        field,
        maxBytes: Number(metadata["max_bytes"]),
    }),
    [ErrorReason.ACCESS_TOKEN_INVALID]: () => ({ kind: "mistyped" }),
    [ErrorReason.MESSAGE_NOT_FOUND]: () => ({ kind: "unknown" }),
    [ErrorReason.MESSAGE_VIEWED]: (details) => gone("viewed", details),
    [ErrorReason.MESSAGE_BURNED]: (details) => gone("burned", details),
    [ErrorReason.MESSAGE_EXPIRED]: (details) => gone("expired", details),
    [ErrorReason.PASSPHRASE_REQUIRED]: () => ({ kind: "passphrase-required" }),
    [ErrorReason.PASSPHRASE_WRONG]: () => ({ kind: "passphrase-wrong" }),
    [ErrorReason.PASSPHRASE_LOCKED]: ({ delay }) => ({
        kind: "passphrase-locked",
        until: new Date(Date.now() + delay),
    }),
    [ErrorReason.MESSAGE_SEALED]: () => ({ kind: "sealed" }),
    // The page makes a new request id for each message, so this is a fault of its own.
    [ErrorReason.REQUEST_CONFLICT]: () => ({ kind: "failed" }),
    [ErrorReason.STORAGE_FULL]: () => ({ kind: "full" }),
    [ErrorReason.APP_CONFIG_NOT_FOUND]: () => ({ kind: "config-unknown" }),
    [ErrorReason.CREDENTIALS_INVALID]: () => ({ kind: "credentials" }),
    [ErrorReason.PERMISSION_DENIED]: () => ({ kind: "forbidden" }),
    [ErrorReason.OVERLOADED]: () => ({ kind: "busy" }),
    [ErrorReason.RATE_LIMITED]: () => ({ kind: "busy" }),
    [ErrorReason.STORE_UNAVAILABLE]: () => ({ kind: "away" }),
    [ErrorReason.BOT_UNAVAILABLE]: () => ({ kind: "away" }),
    [ErrorReason.INTERNAL]: () => ({ kind: "failed" }),
};

function gone(outcome: Outcome, { metadata }: Details): Failure {
    return { kind: "gone", outcome, time: new Date(metadata["time"] ?? "") };
}

/**
 * What a thrown error means. An error that does not come from Mayfly itself comes from what lies between: that asks for
 * credentials, or nobody answered.
 */
export function failureOf(error: unknown): Failure {
    const status = ConnectError.from(error);
    const info = status.findDetails(ErrorInfoSchema).find((info) => info.domain === "mayfly");
    const reason = ErrorReason[info?.reason as keyof typeof ErrorReason];
    if (info === undefined) {
        const isRefused = status.code === Code.Unauthenticated || status.code === Code.PermissionDenied;
        return { kind: isRefused ? "sign-in" : "away" };
    }
    if (reason === undefined) return { kind: "failed" };
    const delay = status.findDetails(RetryInfoSchema)[0]?.retryDelay;
    const violation = status.findDetails(BadRequestSchema)[0]?.fieldViolations[0];
    return FAILURES[reason]({
        metadata: info.metadata,
        delay: delay === undefined ? 0 : durationMs(delay),
        field: violation?.field ?? "",
    });
}
