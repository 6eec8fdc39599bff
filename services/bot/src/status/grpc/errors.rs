//! The one table from errors of the store to errors of `BotService`. The messages are constants for humans. Programs
//! read the reason.

use axum::{
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use mayfly_bootstrap::http::Rejection;
use mayfly_contracts::{ErrorInfo, error::ErrorReason};
use tonic::{Code, Status};

/// Converts an error of a call with the credentials of the caller.
pub(super) fn of_store(status: &Status) -> Status {
    let error_info = ErrorInfo::from_status(status);
    let (code, message) = match error_info.reason {
        ErrorReason::FieldInvalid => (Code::InvalidArgument, "a field of the request is not as it must be"),
        ErrorReason::CredentialsInvalid => (Code::Unauthenticated, "a known bearer token is needed"),
        ErrorReason::ApiTokenRevoked => (Code::Unauthenticated, "the API token was revoked: ask for a new one"),
        ErrorReason::ApiTokenExpired => (Code::Unauthenticated, "the API token has expired: ask for a new one"),
        ErrorReason::RateLimited => (Code::ResourceExhausted, "too many calls of this kind, try later"),
        ErrorReason::PermissionDenied => (Code::PermissionDenied, "the bearer token does not allow this"),
        ErrorReason::AppConfigNotFound => (Code::NotFound, "there is no such app config"),
        ErrorReason::Overloaded => (Code::ResourceExhausted, "too much work is waiting, try later"),
        ErrorReason::StoreUnavailable => (Code::Unavailable, "the store cannot be reached, try later"),
        // The bot requests app configs and checks admins, so errors about messages or the bot cannot occur.
        ErrorReason::Unspecified
        | ErrorReason::Internal
        | ErrorReason::BotUnavailable
        | ErrorReason::TextTooLong
        | ErrorReason::AccessTokenInvalid
        | ErrorReason::MessageNotFound
        | ErrorReason::MessageViewed
        | ErrorReason::MessageBurned
        | ErrorReason::MessageExpired
        | ErrorReason::MessageSealed
        | ErrorReason::RequestConflict
        | ErrorReason::StorageFull
        | ErrorReason::ApiTokenRequired
        | ErrorReason::ApiTokenNameTaken
        | ErrorReason::ApiTokenNotFound
        | ErrorReason::PassphraseRequired
        | ErrorReason::PassphraseWrong
        | ErrorReason::PassphraseLocked => {
            tracing::error!(reason = error_info.reason.name(), "the store cannot be asked about app configs");
            return internal();
        }
    };
    error_info.into_status(code, message)
}

/// Converts an error of a call with the bot's own credentials. A caller cannot fix a rejection of these.
pub(super) fn of_own_call(status: &Status) -> Status {
    let reason = ErrorInfo::from_status(status).reason;
    if matches!(reason, ErrorReason::CredentialsInvalid | ErrorReason::PermissionDenied) {
        tracing::error!(reason = reason.name(), "the store refuses the bot's service token");
        return internal();
    }
    of_store(status)
}

/// Returns the response to a request that exceeds the limits of the listener, as gRPC or HTTP, like the request.
pub(crate) fn rejected(rejection: Rejection, headers: &HeaderMap) -> Response {
    let content_type = headers.get(header::CONTENT_TYPE).map(|value| value.as_bytes()).unwrap_or_default();
    let is_grpc = content_type.starts_with(b"application/grpc");
    let (code, status, message) = match rejection {
        Rejection::CallerBusy => {
            (Code::ResourceExhausted, StatusCode::TOO_MANY_REQUESTS, "you have too much in flight, try later")
        }
        Rejection::ServerBusy => {
            (Code::ResourceExhausted, StatusCode::SERVICE_UNAVAILABLE, "the bot is busy, try later")
        }
        Rejection::TooLarge => (Code::InvalidArgument, StatusCode::PAYLOAD_TOO_LARGE, "the request is too large"),
        Rejection::TimedOut => {
            (Code::DeadlineExceeded, StatusCode::REQUEST_TIMEOUT, "the request did not arrive in time")
        }
        Rejection::Incomplete => (Code::Cancelled, StatusCode::BAD_REQUEST, "the request did not arrive whole"),
    };
    if is_grpc {
        let reason = match code {
            Code::ResourceExhausted => ErrorReason::Overloaded,
            Code::InvalidArgument => ErrorReason::FieldInvalid,
            _ => ErrorReason::BotUnavailable,
        };
        return ErrorInfo::new(reason).into_status(code, message).into_http();
    }
    (status, [(header::RETRY_AFTER, "1")], message).into_response()
}

pub(super) fn internal() -> Status {
    ErrorInfo::new(ErrorReason::Internal).into_status(Code::Internal, "internal error")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn converted(reason: ErrorReason, table: fn(&Status) -> Status) -> (Code, ErrorReason) {
        let status = table(&ErrorInfo::new(reason).into_status(Code::Unknown, "what the store says"));
        assert!(!status.message().contains("what the store says"));
        (status.code(), ErrorInfo::from_status(&status).reason)
    }

    #[test]
    fn every_error_keeps_its_reason_and_gets_its_code() {
        for (reason, code) in [
            (ErrorReason::FieldInvalid, Code::InvalidArgument),
            (ErrorReason::CredentialsInvalid, Code::Unauthenticated),
            (ErrorReason::PermissionDenied, Code::PermissionDenied),
            (ErrorReason::ApiTokenRevoked, Code::Unauthenticated),
            (ErrorReason::ApiTokenExpired, Code::Unauthenticated),
            (ErrorReason::RateLimited, Code::ResourceExhausted),
            (ErrorReason::AppConfigNotFound, Code::NotFound),
            (ErrorReason::Overloaded, Code::ResourceExhausted),
            (ErrorReason::StoreUnavailable, Code::Unavailable),
            (ErrorReason::Internal, Code::Internal),
        ] {
            assert_eq!(converted(reason, of_store), (code, reason));
        }
        assert_eq!(converted(ErrorReason::MessageViewed, of_store), (Code::Internal, ErrorReason::Internal));
    }

    #[test]
    fn a_rejection_of_the_bots_own_token_is_an_internal_error() {
        assert_eq!(converted(ErrorReason::CredentialsInvalid, of_own_call).0, Code::Internal);
        assert_eq!(converted(ErrorReason::PermissionDenied, of_own_call).0, Code::Internal);
        assert_eq!(converted(ErrorReason::AppConfigNotFound, of_own_call).0, Code::NotFound);
    }

    #[test]
    fn a_broken_connection_says_nothing_of_its_address() {
        let status = of_store(&Status::unavailable("tcp connect error: 10.0.0.7:50051"));
        assert_eq!((status.code(), status.message()), (Code::Unavailable, "the store cannot be reached, try later"));
    }
}
