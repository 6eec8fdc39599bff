//! Converts errors into gRPC statuses. The messages are constant texts for people; programs use the reason.

use std::{collections::HashMap, time::Duration};

use mayfly_bootstrap::http::Rejection;
use mayfly_contracts::{ErrorInfo, FieldViolation, error::ErrorReason};
use tonic::{Code, Status};

use crate::{
    domain::{InvalidInput, Outcome, Receipt},
    error::StoreError,
};

/// How long a rejected caller should wait.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// How long a creator should wait when the store is full: two intervals of the sweep.
const STORAGE_RETRY_AFTER: Duration = Duration::from_secs(60);

impl From<InvalidInput> for Status {
    fn from(error: InvalidInput) -> Self {
        match error {
            InvalidInput::Field { field, requirement } => {
                let message = format!("{field} {requirement}");
                let fields = vec![FieldViolation { field: field.to_owned(), description: requirement }];
                let info = ErrorInfo { fields, ..ErrorInfo::new(ErrorReason::FieldInvalid) };
                info.into_status(Code::InvalidArgument, &message)
            }
            InvalidInput::TextTooLong { max_bytes } => {
                too_long("text", max_bytes, format!("must be at most {max_bytes} bytes of UTF-8"))
            }
            InvalidInput::SealedTooLong { max_bytes } => {
                too_long("sealed", max_bytes, format!("must be at most {max_bytes} bytes"))
            }
            InvalidInput::AccessToken => {
                simple(ErrorReason::AccessTokenInvalid, Code::Unauthenticated, "access_token is malformed or mistyped")
            }
        }
    }
}

impl From<StoreError> for Status {
    fn from(error: StoreError) -> Self {
        let (reason, code, message) = match error {
            StoreError::InvalidInput(error) => return error.into(),
            StoreError::MessageGone(receipt) => return gone(receipt),
            StoreError::ApiTokenNameTaken => return name_taken(),
            StoreError::MessageNotFound => {
                (ErrorReason::MessageNotFound, Code::NotFound, "no unread message has this id and access token")
            }
            StoreError::PassphraseRequired => {
                (ErrorReason::PassphraseRequired, Code::FailedPrecondition, "the message needs a passphrase")
            }
            StoreError::PassphraseWrong => {
                (ErrorReason::PassphraseWrong, Code::PermissionDenied, "the passphrase is wrong")
            }
            StoreError::PassphraseLocked { .. } => {
                (ErrorReason::PassphraseLocked, Code::ResourceExhausted, "too many passphrases were tried, try later")
            }
            StoreError::MessageSealed => (
                ErrorReason::MessageSealed,
                Code::FailedPrecondition,
                "the message was encrypted by its creator: it opens in a browser, by its link",
            ),
            StoreError::RequestConflict => (
                ErrorReason::RequestConflict,
                Code::FailedPrecondition,
                "another message was created with this request_id",
            ),
            StoreError::StorageFull => {
                (ErrorReason::StorageFull, Code::ResourceExhausted, "the store is full, try later")
            }
            StoreError::AppConfigNotFound => {
                (ErrorReason::AppConfigNotFound, Code::NotFound, "there is no such app config")
            }
            StoreError::CredentialsInvalid => {
                (ErrorReason::CredentialsInvalid, Code::Unauthenticated, "a known bearer token is needed")
            }
            StoreError::ApiTokenRevoked => {
                (ErrorReason::ApiTokenRevoked, Code::Unauthenticated, "the API token was revoked: ask for a new one")
            }
            StoreError::ApiTokenExpired => {
                (ErrorReason::ApiTokenExpired, Code::Unauthenticated, "the API token has expired: ask for a new one")
            }
            StoreError::ApiTokenRequired => (
                ErrorReason::ApiTokenRequired,
                Code::Unauthenticated,
                "creating a message needs an API token here, as a bearer token",
            ),
            StoreError::ApiTokenNotFound => {
                (ErrorReason::ApiTokenNotFound, Code::NotFound, "no API token has this name, or it was revoked before")
            }
            StoreError::PermissionDenied => {
                (ErrorReason::PermissionDenied, Code::PermissionDenied, "the bearer token does not allow this")
            }
            StoreError::Overloaded => {
                (ErrorReason::Overloaded, Code::ResourceExhausted, "too much work is waiting, try later")
            }
            StoreError::RateLimited { .. } => {
                (ErrorReason::RateLimited, Code::ResourceExhausted, "too many calls of this kind, try later")
            }
            StoreError::Unavailable => {
                (ErrorReason::StoreUnavailable, Code::Unavailable, "the store is not available, try later")
            }
            StoreError::Internal => (ErrorReason::Internal, Code::Internal, "internal error"),
        };
        let retry_after = match error {
            StoreError::PassphraseLocked { retry_after } | StoreError::RateLimited { retry_after } => Some(retry_after),
            StoreError::StorageFull => Some(STORAGE_RETRY_AFTER),
            StoreError::Overloaded | StoreError::Unavailable => Some(RETRY_AFTER),
            _ => None,
        };
        ErrorInfo { retry_after, ..ErrorInfo::new(reason) }.into_status(code, message)
    }
}

/// The response to a request that exceeds the limits of the listener.
pub(super) fn rejection_response(rejection: Rejection, max_text_bytes: usize) -> axum::response::Response {
    let status: Status = match rejection {
        Rejection::CallerBusy | Rejection::ServerBusy => StoreError::Overloaded.into(),
        Rejection::TooLarge => InvalidInput::TextTooLong { max_bytes: max_text_bytes }.into(),
        Rejection::TimedOut => {
            simple(ErrorReason::StoreUnavailable, Code::DeadlineExceeded, "the request did not arrive in time")
        }
        Rejection::Incomplete => {
            simple(ErrorReason::StoreUnavailable, Code::Cancelled, "the request did not arrive whole")
        }
    };
    status.into_http()
}

fn simple(reason: ErrorReason, code: Code, message: &str) -> Status {
    ErrorInfo::new(reason).into_status(code, message)
}

fn too_long(field: &str, max_bytes: usize, requirement: String) -> Status {
    let message = format!("{field} {requirement}");
    let info = ErrorInfo {
        metadata: HashMap::from([("max_bytes".to_owned(), max_bytes.to_string())]),
        fields: vec![FieldViolation { field: field.to_owned(), description: requirement }],
        ..ErrorInfo::new(ErrorReason::TextTooLong)
    };
    info.into_status(Code::InvalidArgument, &message)
}

fn name_taken() -> Status {
    let description = "is taken by an API token that is not revoked: revoke it, or choose another name";
    let fields = vec![FieldViolation { field: "name".to_owned(), description: description.to_owned() }];
    let info = ErrorInfo { fields, ..ErrorInfo::new(ErrorReason::ApiTokenNameTaken) };
    info.into_status(Code::AlreadyExists, &format!("name {description}"))
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
    fn every_error_has_its_code_and_reason() {
        let gone = |outcome| StoreError::MessageGone(Receipt { outcome, time: Timestamp::from_micros(0) });
        let table = [
            (InvalidInput::field("id", "must be").into(), Code::InvalidArgument, ErrorReason::FieldInvalid),
            (InvalidInput::TextTooLong { max_bytes: 1 }.into(), Code::InvalidArgument, ErrorReason::TextTooLong),
            (InvalidInput::SealedTooLong { max_bytes: 1 }.into(), Code::InvalidArgument, ErrorReason::TextTooLong),
            (InvalidInput::AccessToken.into(), Code::Unauthenticated, ErrorReason::AccessTokenInvalid),
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
            (StoreError::ApiTokenRevoked, Code::Unauthenticated, ErrorReason::ApiTokenRevoked),
            (StoreError::ApiTokenExpired, Code::Unauthenticated, ErrorReason::ApiTokenExpired),
            (StoreError::ApiTokenRequired, Code::Unauthenticated, ErrorReason::ApiTokenRequired),
            (StoreError::ApiTokenNameTaken, Code::AlreadyExists, ErrorReason::ApiTokenNameTaken),
            (StoreError::ApiTokenNotFound, Code::NotFound, ErrorReason::ApiTokenNotFound),
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
    fn the_error_of_an_ended_message_has_the_time() {
        let receipt = Receipt { outcome: Outcome::Burned, time: Timestamp::from_micros(1) };
        let info = ErrorInfo::from_status(&StoreError::MessageGone(receipt).into());
        assert_eq!(info.metadata["time"], "1970-01-01T00:00:00.000001Z");
    }

    #[test]
    fn field_violations_name_the_field() {
        let info = ErrorInfo::from_status(&InvalidInput::field("ttl", "must be at least 1 second").into());
        assert_eq!(info.fields[0].field, "ttl");
    }
}
