//! [`InvalidInput`]: why a value of a request was rejected.

/// A value of a request is invalid. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidInput {
    /// A field is missing, malformed or out of range.
    #[error("{field} {requirement}")]
    Field {
        /// The name of the field in the contract.
        field: &'static str,
        /// What it must be: `must be greater than zero`.
        requirement: String,
    },
    /// The text is longer than this store accepts.
    #[error("text must be at most {max_bytes} bytes of UTF-8")]
    TextTooLong {
        /// The limit.
        max_bytes: usize,
    },
    /// The content that its creator encrypted is longer than this store accepts.
    #[error("sealed must be at most {max_bytes} bytes")]
    SealedTooLong {
        /// The limit.
        max_bytes: usize,
    },
    /// The access token is malformed or mistyped.
    #[error("access_token is malformed or mistyped")]
    AccessToken,
}

impl InvalidInput {
    /// The field `field` does not meet a requirement.
    pub(crate) fn field(field: &'static str, requirement: impl Into<String>) -> Self {
        Self::Field { field, requirement: requirement.into() }
    }
}
