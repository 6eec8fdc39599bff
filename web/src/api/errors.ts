// The errors of calls, as a closed list for the pages, and the table that maps the reasons of the contracts to them.

import { durationMs } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from "../gen/google/rpc/error_details_pb.ts";
import { ErrorReason } from "../gen/mayfly/error/v1/error_reason_pb.ts";

/** How a message ended. */
export type FinalState = "viewed" | "burned" | "expired";

/** Why a call failed. Only for `gone` and `unknown` the message no longer exists. */
export type ApiError =
    /** The message ended before, at `time`. */
    | { kind: "gone"; finalState: FinalState; time: Date }
    /** No message has this id and token. */
    | { kind: "unknown" }
    /** The token is malformed. */
    | { kind: "mistyped" }
    | { kind: "passphraseRequired" }
    | { kind: "passphraseWrong" }
    /** Too many passphrases were wrong. The next try is possible at `until`. */
    | { kind: "passphraseLocked"; until: Date }
    /** The content is sealed, and the caller did not accept sealed content. */
    | { kind: "sealed" }
    /** The content in this field exceeds the store's limit. */
    | { kind: "tooLong"; field: string; maxBytes: number }
    /** A field of the request is invalid. */
    | { kind: "field"; field: string }
    /** The token is missing or unknown. */
    | { kind: "credentials" }
    | { kind: "forbidden" }
    /** Creating a message needs an API token, and the call had none. */
    | { kind: "tokenRequired" }
    /** The API token was revoked or has expired. */
    | { kind: "tokenEnded" }
    /** An API token with this name exists. */
    | { kind: "nameTaken" }
    /** No API token has this name. */
    | { kind: "tokenUnknown" }
    | { kind: "configUnknown" }
    | { kind: "busy" }
    /** The store has reached its limits, and accepts no more messages. */
    | { kind: "full" }
    /** A proxy in front of the server requires a login. The call had no effect. */
    | { kind: "signIn" }
    /** The server did not respond in time. The call may have had its effect, and can be repeated. */
    | { kind: "unavailable" }
    /** An internal error of the server. */
    | { kind: "failed" };

type Details = { metadata: Record<string, string>; delay: number; field: string };

/** All reasons of the contract. The compiler rejects a missing one. */
const API_ERRORS: Record<ErrorReason, (details: Details) => ApiError> = {
    [ErrorReason.UNSPECIFIED]: () => ({ kind: "failed" }),
    [ErrorReason.FIELD_INVALID]: ({ field }) => ({ kind: "field", field }),
    [ErrorReason.TEXT_TOO_LONG]: ({ field, metadata }) => ({
        kind: "tooLong",
        field,
        maxBytes: Number(metadata["max_bytes"]),
    }),
    [ErrorReason.ACCESS_TOKEN_INVALID]: () => ({ kind: "mistyped" }),
    [ErrorReason.MESSAGE_NOT_FOUND]: () => ({ kind: "unknown" }),
    [ErrorReason.MESSAGE_VIEWED]: (details) => gone("viewed", details),
    [ErrorReason.MESSAGE_BURNED]: (details) => gone("burned", details),
    [ErrorReason.MESSAGE_EXPIRED]: (details) => gone("expired", details),
    [ErrorReason.PASSPHRASE_REQUIRED]: () => ({ kind: "passphraseRequired" }),
    [ErrorReason.PASSPHRASE_WRONG]: () => ({ kind: "passphraseWrong" }),
    [ErrorReason.PASSPHRASE_LOCKED]: ({ delay }) => ({ kind: "passphraseLocked", until: new Date(Date.now() + delay) }),
    [ErrorReason.MESSAGE_SEALED]: () => ({ kind: "sealed" }),
    // The page makes a new request id for each message, so this is a bug of the page.
    [ErrorReason.REQUEST_CONFLICT]: () => ({ kind: "failed" }),
    [ErrorReason.STORAGE_FULL]: () => ({ kind: "full" }),
    [ErrorReason.APP_CONFIG_NOT_FOUND]: () => ({ kind: "configUnknown" }),
    [ErrorReason.CREDENTIALS_INVALID]: () => ({ kind: "credentials" }),
    [ErrorReason.PERMISSION_DENIED]: () => ({ kind: "forbidden" }),
    [ErrorReason.API_TOKEN_REVOKED]: () => ({ kind: "tokenEnded" }),
    [ErrorReason.API_TOKEN_EXPIRED]: () => ({ kind: "tokenEnded" }),
    [ErrorReason.API_TOKEN_REQUIRED]: () => ({ kind: "tokenRequired" }),
    [ErrorReason.API_TOKEN_NAME_TAKEN]: () => ({ kind: "nameTaken" }),
    [ErrorReason.API_TOKEN_NOT_FOUND]: () => ({ kind: "tokenUnknown" }),
    [ErrorReason.OVERLOADED]: () => ({ kind: "busy" }),
    [ErrorReason.RATE_LIMITED]: () => ({ kind: "busy" }),
    [ErrorReason.STORE_UNAVAILABLE]: () => ({ kind: "unavailable" }),
    [ErrorReason.BOT_UNAVAILABLE]: () => ({ kind: "unavailable" }),
    [ErrorReason.INTERNAL]: () => ({ kind: "failed" }),
};

function gone(finalState: FinalState, { metadata }: Details): ApiError {
    return { kind: "gone", finalState, time: new Date(metadata["time"] ?? "") };
}

/** Returns `true` if the message may still exist, and a retry may succeed. */
export function isTemporary({ kind }: ApiError): boolean {
    return kind === "unavailable" || kind === "busy" || kind === "failed" || kind === "signIn";
}

/** Returns `true` if the server does not accept the token of the call. */
export function isRejectedToken({ kind }: ApiError): boolean {
    return kind === "credentials" || kind === "forbidden" || kind === "tokenEnded";
}

/**
 * Converts a thrown error. An error without a reason of Mayfly comes from a proxy or the network: a login is required,
 * or the server does not respond.
 */
export function toApiError(error: unknown): ApiError {
    const status = ConnectError.from(error);
    const info = status.findDetails(ErrorInfoSchema).find((info) => info.domain === "mayfly");
    const reason = ErrorReason[info?.reason as keyof typeof ErrorReason];
    if (info === undefined) {
        const isRejected = status.code === Code.Unauthenticated || status.code === Code.PermissionDenied;
        return { kind: isRejected ? "signIn" : "unavailable" };
    }
    if (reason === undefined) return { kind: "failed" };
    const delay = status.findDetails(RetryInfoSchema)[0]?.retryDelay;
    const violation = status.findDetails(BadRequestSchema)[0]?.fieldViolations[0];
    return API_ERRORS[reason]({
        metadata: info.metadata,
        delay: delay === undefined ? 0 : durationMs(delay),
        field: violation?.field ?? "",
    });
}
