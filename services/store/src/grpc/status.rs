//! The one table from situations to gRPC statuses. Messages are constants for people; programs read the reason.

use std::{collections::HashMap, time::Duration};

use mayfly_bootstrap::http::Rejection;
use mayfly_contracts::{ErrorInfo, FieldViolation, error::ErrorReason};
use tonic::{Code, Status};

use crate::{
    StoreError,
    domain::{Outcome, Receipt},
};

/// How long a caller that was turned away had better wait.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// How long a creator should wait when the store is full: about as long as two sweeps take to come.
const STORAGE_RETRY_AFTER: Duration = Duration::from_secs(60);

impl From<StoreError> for Status {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::FieldInvalid { field, fault } => {
                let message = format!("{field} {fault}");
                let fields = vec![FieldViolation { field: field.to_owned(), description: fault }];
                let situation = ErrorInfo { fields, ..ErrorInfo::new(ErrorReason::FieldInvalid) };
                situation.into_status(Code::InvalidArgument, &message)
            }
            StoreError::TextTooLong { max_bytes } => {
                too_long("text", max_bytes, format!("must be at most {max_bytes} bytes of UTF-8"))
            }
            StoreError::SealedTooLong { max_bytes } => {
                too_long("sealed", max_bytes, format!("must be at most {max_bytes} bytes"))
            }
            StoreError::AccessTokenInvalid => {
                plain(ErrorReason::AccessTokenInvalid, Code::Unauthenticated, "access_token is malformed or mistyped")
            }
            StoreError::MessageNotFound => {
                plain(ErrorReason::MessageNotFound, Code::NotFound, "no unread message has this id and access token")
            }
            StoreError::MessageGone(receipt) => gone(receipt),
            StoreError::PassphraseRequired => {
                plain(ErrorReason::PassphraseRequired, Code::FailedPrecondition, "the message needs a passphrase")
            }
            StoreError::PassphraseWrong => {
                plain(ErrorReason::PassphraseWrong, Code::PermissionDenied, "the passphrase is wrong")
            }
            StoreError::PassphraseLocked { retry_after } => {
                let situation =
                    ErrorInfo { retry_after: Some(retry_after), ..ErrorInfo::new(ErrorReason::PassphraseLocked) };
                situation.into_status(Code::ResourceExhausted, "too many passphrases were tried, try later")
            }
            StoreError::MessageSealed => plain(
                ErrorReason::MessageSealed,
                Code::FailedPrecondition,
                "the message was encrypted by its creator: it opens in a browser, by its link",
            ),
            StoreError::RequestConflict => plain(
                ErrorReason::RequestConflict,
                Code::FailedPrecondition,
                "another message was created with this request_id",
            ),
            StoreError::StorageFull => {
                let situation =
                    ErrorInfo { retry_after: Some(STORAGE_RETRY_AFTER), ..ErrorInfo::new(ErrorReason::StorageFull) };
                situation.into_status(Code::ResourceExhausted, "the store is full, try later")
            }
            StoreError::AppConfigNotFound => {
                plain(ErrorReason::AppConfigNotFound, Code::NotFound, "there is no such app config")
            }
            StoreError::CredentialsInvalid => {
                plain(ErrorReason::CredentialsInvalid, Code::Unauthenticated, "a known bearer token is needed")
            }
            StoreError::PermissionDenied => {
                plain(ErrorReason::PermissionDenied, Code::PermissionDenied, "the bearer token does not allow this")
            }
            StoreError::Overloaded => {
                let situation = ErrorInfo { retry_after: Some(RETRY_AFTER), ..ErrorInfo::new(ErrorReason::Overloaded) };
                situation.into_status(Code::ResourceExhausted, "too much work is waiting, try later")
            }
            StoreError::RateLimited { retry_after } => {
                let situation =
                    ErrorInfo { retry_after: Some(retry_after), ..ErrorInfo::new(ErrorReason::RateLimited) };
                situation.into_status(Code::ResourceExhausted, "too many calls of this kind, try later")
            }
            StoreError::Unavailable => {
                let reason = ErrorReason::StoreUnavailable;
                let situation = ErrorInfo { retry_after: Some(RETRY_AFTER), ..ErrorInfo::new(reason) };
                situation.into_status(Code::Unavailable, "the store is not available, try later")
            }
            StoreError::Internal => plain(ErrorReason::Internal, Code::Internal, "internal error"),
        }
    }
}

/// The response to a request that the limits of the listener refuse.
pub(super) fn refused(refusal: Rejection, max_text_bytes: usize) -> axum::response::Response {
    let status: Status = match refusal {
        Rejection::CallerBusy | Rejection::ServerBusy => StoreError::Overloaded.into(),
        Rejection::TooLarge => StoreError::TextTooLong { max_bytes: max_text_bytes }.into(),
        Rejection::TimedOut => {
            plain(ErrorReason::StoreUnavailable, Code::DeadlineExceeded, "the request did not arrive in time")
        }
        Rejection::Incomplete => {
            plain(ErrorReason::StoreUnavailable, Code::Cancelled, "the request did not arrive whole")
        }
    };
    status.into_http()
}

fn plain(reason: ErrorReason, code: Code, message: &str) -> Status {
    ErrorInfo::new(reason).into_status(code, message)
}

fn too_long(field: &str, max_bytes: usize, fault: String) -> Status {
    let message = format!("{field} {fault}");
    let situation = ErrorInfo {
        metadata: HashMap::from([("max_bytes".to_owned(), max_bytes.to_string())]),
        fields: vec![FieldViolation { field: field.to_owned(), description: fault }],
        ..ErrorInfo::new(ErrorReason::TextTooLong)
    };
    situation.into_status(Code::InvalidArgument, &message)
}

fn gone(receipt: Receipt) -> Status {
    let (reason, message) = match receipt.outcome {
        Outcome::Viewed => (ErrorReason::MessageViewed, "the message was viewed before"),
        Outcome::Burned => (ErrorReason::MessageBurned, "the message was burned unread"),
        Outcome::Expired => (ErrorReason::MessageExpired, "the message expired unread"),
    };
    let metadata = HashMap::from([("time".to_owned(), receipt.time.to_string())]);
    ErrorInfo { metadata, ..ErrorInfo::new(reason) }.into_status(Code::NotFound, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Timestamp;

    #[test]
    fn every_situation_has_its_code_and_reason() {
        let gone = |outcome| StoreError::MessageGone(Receipt { outcome, time: Timestamp::from_micros(0) });
        let table = [
            (StoreError::field("id", "must be"), Code::InvalidArgument, ErrorReason::FieldInvalid),
            (StoreError::TextTooLong { max_bytes: 1 }, Code::InvalidArgument, ErrorReason::TextTooLong),
            (StoreError::SealedTooLong { max_bytes: 1 }, Code::InvalidArgument, ErrorReason::TextTooLong),
            (StoreError::AccessTokenInvalid, Code::Unauthenticated, ErrorReason::AccessTokenInvalid),
            (StoreError::MessageNotFound, Code::NotFound, ErrorReason::MessageNotFound),
            (gone(Outcome::Viewed), Code::NotFound, ErrorReason::MessageViewed),
            (gone(Outcome::Burned), Code::NotFound, ErrorReason::MessageBurned),
            (gone(Outcome::Expired), Code::NotFound, ErrorReason::MessageExpired),
            (StoreError::PassphraseRequired, Code::FailedPrecondition, ErrorReason::PassphraseRequired),
            (StoreError::PassphraseWrong, Code::PermissionDenied, ErrorReason::PassphraseWrong),
            (
                StoreError::PassphraseLocked { retry_after: RETRY_AFTER },
                Code::ResourceExhausted,
                ErrorReason::PassphraseLocked,
            ),
            (StoreError::MessageSealed, Code::FailedPrecondition, ErrorReason::MessageSealed),
            (StoreError::RequestConflict, Code::FailedPrecondition, ErrorReason::RequestConflict),
            (StoreError::StorageFull, Code::ResourceExhausted, ErrorReason::StorageFull),
            (StoreError::AppConfigNotFound, Code::NotFound, ErrorReason::AppConfigNotFound),
            (StoreError::CredentialsInvalid, Code::Unauthenticated, ErrorReason::CredentialsInvalid),
            (StoreError::PermissionDenied, Code::PermissionDenied, ErrorReason::PermissionDenied),
            (StoreError::Overloaded, Code::ResourceExhausted, ErrorReason::Overloaded),
            (StoreError::RateLimited { retry_after: RETRY_AFTER }, Code::ResourceExhausted, ErrorReason::RateLimited),
            (StoreError::Unavailable, Code::Unavailable, ErrorReason::StoreUnavailable),
            (StoreError::Internal, Code::Internal, ErrorReason::Internal),
        ];
        for (error, code, reason) in table {
            let status = Status::from(error.clone());
            assert_eq!((status.code(), ErrorInfo::from_status(&status).reason), (code, reason), "{error}");
        }
    }

    #[test]
    fn a_message_that_is_gone_says_since_when() {
        let receipt = Receipt { outcome: Outcome::Burned, time: Timestamp::from_micros(1) };
        let situation = ErrorInfo::from_status(&StoreError::MessageGone(receipt).into());
        assert_eq!(situation.metadata["time"], "1970-01-01T00:00:00.000001Z");
    }

    #[test]
    fn field_faults_name_the_field() {
        let situation = ErrorInfo::from_status(&StoreError::field("ttl", "must be at least 1 second").into());
        assert_eq!(situation.fields[0].field, "ttl");
    }
}
