//! The error responses of the calls, for their documentation. `problem.rs` makes these responses. The tests compare the
//! documentation with the responses.

use utoipa::IntoResponses;

use crate::problem::ProblemDetails;

/// All calls.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "the macro reads it")]
pub(super) enum Unavailable {
    /// An internal error. The log of the store describes it.
    #[response(status = 500)]
    Internal(ProblemDetails<'static>),
    /// The store cannot be reached, or is shutting down. The call may have had its effect: repeat it with its
    /// `Idempotency-Key`. With the reason `OVERLOADED`, too many requests are in flight, and the call had no effect.
    #[response(status = 503, headers(("Retry-After" = u64, description = "How many seconds to wait.")))]
    StoreUnreachable(ProblemDetails<'static>),
    /// This caller has too many requests in flight (`OVERLOADED`) or sent too many within a minute (`RATE_LIMITED`), or
    /// too many passphrases for this message were wrong (`PASSPHRASE_LOCKED`). The call had no effect.
    #[response(status = 429, headers(("Retry-After" = u64, description = "How many seconds to wait.")))]
    TooManyRequests(ProblemDetails<'static>),
}

/// Calls with a body.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "the macro reads it")]
pub(super) enum ValidationErrors {
    /// A field or header is missing or invalid, or the body is malformed. `errors` names the field.
    #[response(status = 400)]
    FieldInvalid(ProblemDetails<'static>),
    /// The body did not arrive in time.
    #[response(status = 408)]
    TimedOut(ProblemDetails<'static>),
    /// The text, or the body as a whole, is too long.
    #[response(status = 413)]
    TooLarge(ProblemDetails<'static>),
    /// The body is neither a form nor JSON nor a multipart form.
    #[response(status = 415)]
    UnsupportedMediaType(ProblemDetails<'static>),
}

/// Calls that create a message.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "the macro reads it")]
pub(super) enum CreationRejected {
    /// This server needs an API token for this call, and the caller sent none (`API_TOKEN_REQUIRED`), an unknown one
    /// (`CREDENTIALS_INVALID`), or one that was revoked (`API_TOKEN_REVOKED`) or has expired (`API_TOKEN_EXPIRED`).
    #[response(status = 401, headers(("WWW-Authenticate" = String, description = "`Bearer`.")))]
    TokenRequired(ProblemDetails<'static>),
    /// The token does not have the scope `create`. Nothing was stored.
    #[response(status = 403)]
    Forbidden(ProblemDetails<'static>),
    /// Another creation has this `Idempotency-Key`, and its text, passphrase or `ttl` differs. The call had no effect.
    #[response(status = 422)]
    Conflict(ProblemDetails<'static>),
    /// The store has reached its limit of messages or bytes. Nothing was stored; messages can still be read.
    #[response(status = 507, headers(("Retry-After" = u64, description = "How many seconds to wait.")))]
    StorageFull(ProblemDetails<'static>),
}

/// Calls on a message.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "the macro reads it")]
pub(super) enum Gone {
    /// No unread message has this id and token. Headers tell a caller with the right token how the message ended. Other
    /// callers cannot distinguish a message that is gone from one that never existed.
    #[response(
        status = 204,
        headers(
            (
                "Mayfly-Message-State" = String,
                description = "`viewed`, `burned` or `expired`. Missing unless the token is right."
            ),
            (
                "Mayfly-Message-State-Time" = String,
                description = "When the message entered this state, in RFC 3339. Missing unless the token is right."
            )
        )
    )]
    NoContent,
    /// The token is malformed or mistyped. The token's checksum shows this, whatever messages exist.
    #[response(status = 401, headers(("WWW-Authenticate" = String, description = "`Bearer`.")))]
    AccessTokenInvalid(ProblemDetails<'static>),
}

/// Calls that read a message.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "the macro reads it")]
pub(super) enum Rejected {
    /// The passphrase is wrong, or the request is a prefetch, which reads nothing. The message stays unread.
    #[response(status = 403)]
    Forbidden(ProblemDetails<'static>),
    /// The creator encrypted the message in a browser. It opens there, by its link, and stays unread.
    #[response(status = 422)]
    Sealed(ProblemDetails<'static>),
    /// The message needs a passphrase. It stays unread.
    #[response(status = 428)]
    PassphraseRequired(ProblemDetails<'static>),
}
