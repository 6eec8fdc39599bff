//! The ways in which calls end beside success, as the documentation tells them. `problem.rs` makes these answers; the tests
//! compare what is documented with what happens.

use utoipa::IntoResponses;

use crate::problem::Body;

/// Every call.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "the macro reads it")]
pub(super) enum Troubles {
    /// Something went wrong on our side; the log of the store says what.
    #[response(status = 500, content_type = "application/problem+json")]
    Internal(Body<'static>),
    /// The store cannot be reached, or is shutting down. Nothing is known of the call's effect: repeat it with its
    /// `Idempotency-Key`. With the reason `OVERLOADED`, too many requests are in flight, and nothing was done.
    #[response(
        status = 503,
        content_type = "application/problem+json",
        headers(("Retry-After" = u64, description = "How many seconds to wait."))
    )]
    StoreUnavailable(Body<'static>),
    /// Too many requests of this caller at once (`OVERLOADED`) or within a minute (`RATE_LIMITED`), or too many wrong
    /// passphrases for this message (`PASSPHRASE_LOCKED`). Nothing was done.
    #[response(
        status = 429,
        content_type = "application/problem+json",
        headers(("Retry-After" = u64, description = "How many seconds to wait."))
    )]
    TooMany(Body<'static>),
}

/// Calls with fields in their body.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "the macro reads it")]
pub(super) enum BadFields {
    /// A field or header is missing or wrong, or the body is malformed. `errors` names the field.
    #[response(status = 400, content_type = "application/problem+json")]
    FieldInvalid(Body<'static>),
    /// The body did not arrive in time.
    #[response(status = 408, content_type = "application/problem+json")]
    Late(Body<'static>),
    /// The text, or the body as a whole, is too long.
    #[response(status = 413, content_type = "application/problem+json")]
    TooLong(Body<'static>),
    /// The body is neither a form nor JSON nor a multipart form.
    #[response(status = 415, content_type = "application/problem+json")]
    OtherMediaType(Body<'static>),
}

/// Calls that create a message.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "the macro reads it")]
pub(super) enum NotCreated {
    /// Another creation has this `Idempotency-Key`, and its text, passphrase or `ttl` differs. Nothing was changed.
    #[response(status = 422, content_type = "application/problem+json")]
    Conflict(Body<'static>),
    /// The store holds as many messages or bytes as it may. Nothing was stored; messages can still be read.
    #[response(
        status = 507,
        content_type = "application/problem+json",
        headers(("Retry-After" = u64, description = "How many seconds to wait."))
    )]
    StorageFull(Body<'static>),
}

/// Calls on a message.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "the macro reads it")]
pub(super) enum NoMessage {
    /// No unread message has this id and token. Who holds the right token is told what became of the message; who does not
    /// cannot tell a message that is gone from one that never was.
    #[response(
        status = 204,
        headers(
            ("Mayfly-Message-State" = String, description = "`viewed`, `burned` or `expired`. Missing unless the token is right."),
            ("Mayfly-Message-State-Time" = String, description = "Since when, in RFC 3339. Missing unless the token is right.")
        )
    )]
    Gone,
    /// The token is malformed or mistyped. This is found out from the token alone and says nothing about any message.
    #[response(
        status = 401,
        content_type = "application/problem+json",
        headers(("WWW-Authenticate" = String, description = "`Bearer`."))
    )]
    AccessTokenInvalid(Body<'static>),
}

/// Calls that read a message.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "the macro reads it")]
pub(super) enum NotOpened {
    /// The passphrase is wrong, or nobody asked for the message yet: prefetches read nothing. The message stays unread.
    #[response(status = 403, content_type = "application/problem+json")]
    Refused(Body<'static>),
    /// The message was encrypted by its creator: it opens in a browser, by its link. It stays unread.
    #[response(status = 422, content_type = "application/problem+json")]
    Sealed(Body<'static>),
    /// The message asks for a passphrase. It stays unread.
    #[response(status = 428, content_type = "application/problem+json")]
    PassphraseRequired(Body<'static>),
}
