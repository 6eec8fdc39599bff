//! [`StoreError`]: the errors that callers can act on.

use std::time::Duration;

use mayfly_bootstrap::LimitExceeded;

use crate::domain::{InvalidInput, Receipt};

/// Why the store rejected or failed a call. `grpc/status.rs` converts it into a gRPC status.
///
/// [`Unavailable`](Self::Unavailable) and [`Internal`](Self::Internal) carry no cause, because it was logged where it
/// occurred.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// A value of the request is invalid. Nothing was changed.
    #[error(transparent)]
    InvalidInput(#[from] InvalidInput),
    /// No message has this id and token.
    #[error("no such message")]
    MessageNotFound,
    /// The token is right, but the message has ended.
    #[error("the message is gone")]
    MessageGone(Receipt),
    /// The message has a passphrase, and the call had none. Nothing was consumed.
    #[error("the message needs a passphrase")]
    PassphraseRequired,
    /// The passphrase is wrong. Nothing was consumed; the try was counted.
    #[error("the passphrase is wrong")]
    PassphraseWrong,
    /// Too many passphrases were tried. Nothing was consumed.
    #[error("too many passphrases were tried")]
    PassphraseLocked {
        /// When the next try is possible.
        retry_after: Duration,
    },
    /// The creator encrypted the content, and the reader does not accept sealed content. Nothing was consumed.
    #[error("the message is sealed")]
    MessageSealed,
    /// Another creation has this request id, with another content, passphrase or lifetime. Nothing was changed.
    #[error("another message was created with this request id")]
    RequestConflict,
    /// The store reached its limits, or its disk is almost full. Nothing was stored.
    #[error("the store is full")]
    StorageFull,
    /// No app config has this id, or none is active.
    #[error("no such app config")]
    AppConfigNotFound,
    /// The call needs a known bearer token.
    #[error("the bearer token is missing or not known")]
    CredentialsInvalid,
    /// An admin has revoked the API token of the call.
    #[error("the API token was revoked")]
    ApiTokenRevoked,
    /// The API token of the call has expired.
    #[error("the API token has expired")]
    ApiTokenExpired,
    /// Creating a message needs a bearer token, and the call has none.
    #[error("an API token is needed")]
    ApiTokenRequired,
    /// An API token with this name exists and is not revoked. Nothing was changed.
    #[error("the name of the API token is taken")]
    ApiTokenNameTaken,
    /// No unrevoked API token has this name.
    #[error("no such API token")]
    ApiTokenNotFound,
    /// The bearer token does not permit this call.
    #[error("the bearer token does not allow this")]
    PermissionDenied,
    /// Too much work is queued. Nothing was changed.
    #[error("too much work is waiting")]
    Overloaded,
    /// The caller, or all callers together, exceeded a rate. Nothing was changed.
    #[error("too many calls of this kind")]
    RateLimited {
        /// When the next call is possible.
        retry_after: Duration,
    },
    /// The database cannot be reached or written. If a commit was in progress, its outcome is unknown.
    #[error("the database is not available")]
    Unavailable,
    /// An internal error.
    #[error("internal error")]
    Internal,
}

impl From<LimitExceeded> for StoreError {
    fn from(_: LimitExceeded) -> Self {
        Self::Overloaded
    }
}
