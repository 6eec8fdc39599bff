//! What can go wrong, as situations that a caller can act on.

use std::time::Duration;

use mayfly_bootstrap::LimitExceeded;

use crate::domain::Receipt;

/// Why the store refused or failed a call. `grpc/status.rs` says how each looks from outside.
///
/// [`Unavailable`](Self::Unavailable) and [`Internal`](Self::Internal) carry no cause: it was logged where it was met.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// A request field is missing, malformed or out of range.
    #[error("{field} {fault}")]
    FieldInvalid {
        /// The field's name in the contract.
        field: &'static str,
        /// What it must be: `must be greater than zero`.
        fault: String,
    },
    /// The text is longer than this store accepts.
    #[error("text must be at most {max_bytes} bytes of UTF-8")]
    TextTooLong {
        /// The limit.
        max_bytes: usize,
    },
    /// What a creator has encrypted is longer than this store accepts.
    #[error("sealed must be at most {max_bytes} bytes")]
    SealedTooLong {
        /// The limit.
        max_bytes: usize,
    },
    /// The access token is malformed or mistyped.
    #[error("access_token is malformed or mistyped")]
    AccessTokenInvalid,
    /// Nothing is known under this id and token.
    #[error("no such message")]
    MessageNotFound,
    /// The token is right, but the text is gone.
    #[error("the message is gone")]
    MessageGone(Receipt),
    /// The message has a passphrase and none was given. Nothing was consumed.
    #[error("the message needs a passphrase")]
    PassphraseRequired,
    /// The passphrase does not fit. Nothing was consumed; the try counts.
    #[error("the passphrase is wrong")]
    PassphraseWrong,
    /// Too many passphrases were tried. Nothing was consumed.
    #[error("too many passphrases were tried")]
    PassphraseLocked {
        /// When the next try is possible.
        retry_after: Duration,
    },
    /// The content was encrypted by its creator, and the reader cannot open such content. Nothing was consumed.
    #[error("the message is sealed")]
    MessageSealed,
    /// Another creation has this request id, with another content, passphrase or lifetime. Nothing was changed.
    #[error("another message was created with this request id")]
    RequestConflict,
    /// The store holds as much as it may, or its disk is almost full. Nothing was stored.
    #[error("the store is full")]
    StorageFull,
    /// No app config has this id, or none is active.
    #[error("no such app config")]
    AppConfigNotFound,
    /// The call needs a bearer token, and has none that is known.
    #[error("the bearer token is missing or not known")]
    CredentialsInvalid,
    /// The bearer token does not allow this.
    #[error("the bearer token does not allow this")]
    PermissionDenied,
    /// Too much work is waiting; nothing was changed.
    #[error("too much work is waiting")]
    Overloaded,
    /// The caller, or all callers together, did this too often; nothing was changed.
    #[error("too many calls of this kind")]
    RateLimited {
        /// When the next one is possible.
        retry_after: Duration,
    },
    /// The database cannot be reached or cannot write. When a commit was under way its outcome is unknown.
    #[error("the database is not available")]
    Unavailable,
    /// A fault on our side.
    #[error("internal error")]
    Internal,
}

impl From<LimitExceeded> for StoreError {
    fn from(_: LimitExceeded) -> Self {
        Self::Overloaded
    }
}

impl StoreError {
    /// A fault in the request field `field`.
    pub(crate) fn field(field: &'static str, fault: impl Into<String>) -> Self {
        Self::FieldInvalid { field, fault: fault.into() }
    }
}
