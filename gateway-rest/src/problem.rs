//! Errors as `application/problem+json` (RFC 9457), and the table that maps the reasons of the contracts to HTTP.

use std::time::Duration;

use axum::{
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use mayfly_bootstrap::{RequestId, tls};
use mayfly_contracts::{ErrorInfo, FieldViolation, error::ErrorReason};
use serde::Serialize;
use tonic::Status;
use utoipa::ToSchema;

/// The media type of problem details.
pub(crate) const MEDIA_TYPE: &str = "application/problem+json";

/// How long a client should wait, unless the store returns a time.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// For callers with the right token: `viewed`, `burned` or `expired`.
const MESSAGE_STATE: HeaderName = HeaderName::from_static("mayfly-message-state");
/// When the message entered this state, in RFC 3339.
const MESSAGE_STATE_TIME: HeaderName = HeaderName::from_static("mayfly-message-state-time");

/// An error response. A message that is gone (204, without a body) is one too.
#[derive(Debug)]
pub(crate) struct Problem {
    status: StatusCode,
    detail: String,
    reason: Option<ErrorReason>,
    fields: Vec<FieldViolation>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

/// Problem details of RFC 9457.
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
pub(crate) struct ProblemDetails<'a> {
    /// Always `about:blank`.
    #[schema(example = "about:blank")]
    r#type: &'static str,
    /// The status in words.
    #[schema(example = "Bad Request")]
    title: &'static str,
    /// The status.
    #[schema(example = 400)]
    status: u16,
    /// The error, for people.
    #[schema(example = "text must be given")]
    detail: &'a str,
    /// The error, for programs: a reason of `mayfly.error.v1.ErrorReason`. Missing for errors of HTTP itself.
    #[schema(nullable = false, example = "FIELD_INVALID")]
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    /// The id of the request, which the logs of the server have too.
    #[schema(nullable = false, example = "9f86d081884c7d65")]
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<String>,
    /// The invalid fields. Missing if there are none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<FieldError<'a>>,
}

/// An invalid field.
#[derive(Serialize, ToSchema)]
struct FieldError<'a> {
    /// Its name.
    #[schema(example = "text")]
    field: &'a str,
    /// The error.
    #[schema(example = "must be given")]
    detail: &'a str,
}

impl Problem {
    /// An error of HTTP itself, without a reason of the contracts.
    pub(crate) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self { status, detail: detail.into(), reason: None, fields: Vec::new(), headers: Vec::new() }
    }

    /// An error with a reason of the contracts.
    pub(crate) fn from_reason(reason: ErrorReason, detail: impl Into<String>) -> Self {
        Self { reason: Some(reason), ..Self::new(status_of(reason), detail) }
    }

    /// A field is missing or invalid.
    pub(crate) fn field(field: &str, description: &str) -> Self {
        Self {
            fields: vec![FieldViolation { field: field.to_owned(), description: description.to_owned() }],
            ..Self::from_reason(ErrorReason::FieldInvalid, format!("{field} {description}"))
        }
    }

    /// The body is larger than any body with an allowed text.
    pub(crate) fn too_large(max_text_bytes: usize) -> Self {
        Self::from_reason(ErrorReason::TextTooLong, format!("text must be at most {max_text_bytes} bytes of UTF-8"))
    }

    /// The body is of an unsupported media type.
    pub(crate) fn unsupported_body() -> Self {
        Self::unsupported(
            "the content type must be application/x-www-form-urlencoded, application/json or multipart/form-data",
        )
    }

    /// The body has an unsupported encoding.
    pub(crate) fn unsupported(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail)
    }

    /// The body cannot be parsed.
    pub(crate) fn malformed(detail: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    /// The body did not arrive in time.
    pub(crate) fn body_timed_out() -> Self {
        Self::new(StatusCode::REQUEST_TIMEOUT, "the body did not arrive in time")
    }

    /// A handler panicked. The panic hook has logged where.
    pub(crate) fn after_panic() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "something went wrong on our side")
    }

    /// A limit on requests in flight is reached. The request had no effect.
    pub(crate) fn overloaded(status: StatusCode, detail: &str) -> Self {
        Self { reason: Some(ErrorReason::Overloaded), ..Self::new(status, detail) }
            .with_header(header::RETRY_AFTER, HeaderValue::from(RETRY_AFTER.as_secs()))
    }

    pub(crate) fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// The body of an example in the documentation.
    pub(crate) fn to_json(&self) -> serde_json::Value {
        serde_json::to_value(self.details(None)).unwrap_or_default()
    }

    fn details(&self, request_id: Option<RequestId>) -> ProblemDetails<'_> {
        ProblemDetails {
            r#type: "about:blank",
            title: self.status.canonical_reason().unwrap_or_default(),
            status: self.status.as_u16(),
            detail: &self.detail,
            reason: self.reason.map(ErrorReason::name),
            request_id: request_id.map(|id| id.to_string()),
            errors: self
                .fields
                .iter()
                .map(|error| FieldError { field: &error.field, detail: &error.description })
                .collect(),
        }
    }
}

/// Maps the reasons of the contracts to HTTP.
fn status_of(reason: ErrorReason) -> StatusCode {
    match reason {
        ErrorReason::FieldInvalid => StatusCode::BAD_REQUEST,
        ErrorReason::TextTooLong => StatusCode::PAYLOAD_TOO_LARGE,
        ErrorReason::AccessTokenInvalid
        | ErrorReason::CredentialsInvalid
        | ErrorReason::ApiTokenRequired
        | ErrorReason::ApiTokenRevoked
        | ErrorReason::ApiTokenExpired => StatusCode::UNAUTHORIZED,
        // REST has no path for API tokens.
        ErrorReason::ApiTokenNameTaken => StatusCode::CONFLICT,
        ErrorReason::ApiTokenNotFound => StatusCode::NOT_FOUND,
        ErrorReason::PermissionDenied => StatusCode::FORBIDDEN,
        ErrorReason::MessageNotFound
        | ErrorReason::MessageViewed
        | ErrorReason::MessageBurned
        | ErrorReason::MessageExpired
        | ErrorReason::AppConfigNotFound => StatusCode::NO_CONTENT,
        ErrorReason::PassphraseRequired => StatusCode::PRECONDITION_REQUIRED,
        ErrorReason::PassphraseWrong => StatusCode::FORBIDDEN,
        // The request is valid, but this interface cannot return the content.
        ErrorReason::MessageSealed | ErrorReason::RequestConflict => StatusCode::UNPROCESSABLE_ENTITY,
        ErrorReason::PassphraseLocked | ErrorReason::Overloaded | ErrorReason::RateLimited => {
            StatusCode::TOO_MANY_REQUESTS
        }
        ErrorReason::StorageFull => StatusCode::INSUFFICIENT_STORAGE,
        ErrorReason::StoreUnavailable | ErrorReason::BotUnavailable => StatusCode::SERVICE_UNAVAILABLE,
        ErrorReason::Internal | ErrorReason::Unspecified => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// The state of a message that is gone, for callers with the right token.
fn state_of(reason: ErrorReason) -> Option<&'static str> {
    match reason {
        ErrorReason::MessageViewed => Some("viewed"),
        ErrorReason::MessageBurned => Some("burned"),
        ErrorReason::MessageExpired => Some("expired"),
        _ => None,
    }
}

/// An error of the store. Its message is shown if it is about the request; other errors get a constant text.
impl From<Status> for Problem {
    fn from(status: Status) -> Self {
        if let Some(cause) = tls::explain(&status) {
            let detail = "the store cannot be reached, try later";
            tracing::warn!(%cause, request_id = RequestId::current().map(tracing::field::display), "the store cannot be reached");
            return Self::from_reason(ErrorReason::StoreUnavailable, detail)
                .with_header(header::RETRY_AFTER, HeaderValue::from(RETRY_AFTER.as_secs()));
        }
        let ErrorInfo { reason, metadata, fields, retry_after, request_id: _ } = ErrorInfo::from_status(&status);
        let http_status = status_of(reason);
        let detail = match reason {
            ErrorReason::StoreUnavailable => "the store cannot be reached, try later",
            ErrorReason::Internal | ErrorReason::Unspecified => "something went wrong on our side",
            _ => status.message(),
        };
        if http_status == StatusCode::INTERNAL_SERVER_ERROR {
            // The message may contain secrets. The code suffices to find the line in the store's log.
            tracing::error!(code = ?status.code(), request_id = RequestId::current().map(tracing::field::display), "the store failed");
        }
        let mut problem = Self { fields, ..Self::from_reason(reason, detail) };
        if http_status == StatusCode::UNAUTHORIZED {
            problem = problem.with_header(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if matches!(
            http_status,
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE | StatusCode::INSUFFICIENT_STORAGE
        ) {
            let seconds = retry_after.unwrap_or(RETRY_AFTER).as_secs().max(1);
            problem = problem.with_header(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Some(state) = state_of(reason) {
            problem = problem.with_header(MESSAGE_STATE, HeaderValue::from_static(state));
            if let Some(time) = metadata.get("time").and_then(|time| HeaderValue::try_from(time).ok()) {
                problem = problem.with_header(MESSAGE_STATE_TIME, time);
            }
        }
        problem
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = if self.status == StatusCode::NO_CONTENT {
            self.status.into_response()
        } else {
            let json = serde_json::to_vec(&self.details(RequestId::current())).unwrap_or_default();
            (self.status, [(header::CONTENT_TYPE, MEDIA_TYPE)], json).into_response()
        };
        response.headers_mut().extend(self.headers);
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_its_status() {
        let table = [
            (ErrorReason::Unspecified, 500),
            (ErrorReason::FieldInvalid, 400),
            (ErrorReason::TextTooLong, 413),
            (ErrorReason::AccessTokenInvalid, 401),
            (ErrorReason::MessageNotFound, 204),
            (ErrorReason::MessageViewed, 204),
            (ErrorReason::MessageBurned, 204),
            (ErrorReason::MessageExpired, 204),
            (ErrorReason::PassphraseRequired, 428),
            (ErrorReason::PassphraseWrong, 403),
            (ErrorReason::PassphraseLocked, 429),
            (ErrorReason::MessageSealed, 422),
            (ErrorReason::RequestConflict, 422),
            (ErrorReason::AppConfigNotFound, 204),
            (ErrorReason::CredentialsInvalid, 401),
            (ErrorReason::ApiTokenRequired, 401),
            (ErrorReason::ApiTokenRevoked, 401),
            (ErrorReason::ApiTokenExpired, 401),
            (ErrorReason::ApiTokenNameTaken, 409),
            (ErrorReason::ApiTokenNotFound, 404),
            (ErrorReason::PermissionDenied, 403),
            (ErrorReason::Overloaded, 429),
            (ErrorReason::RateLimited, 429),
            (ErrorReason::StorageFull, 507),
            (ErrorReason::StoreUnavailable, 503),
            (ErrorReason::BotUnavailable, 503),
            (ErrorReason::Internal, 500),
        ];
        for (reason, status) in table {
            let error = ErrorInfo::new(reason).into_status(tonic::Code::Unknown, "");
            let response = Problem::from(error).into_response();
            assert_eq!(response.status().as_u16(), status, "{reason:?}");
            assert_eq!(
                response.headers().contains_key(header::RETRY_AFTER),
                matches!(status, 429 | 503 | 507),
                "{reason:?}"
            );
            assert_eq!(response.headers().contains_key(MESSAGE_STATE), state_of(reason).is_some(), "{reason:?}");
        }
    }

    #[test]
    fn a_status_without_a_reason_is_an_error() {
        for code in 0..=16 {
            let response = Problem::from(Status::new(code.into(), "foreign")).into_response();
            assert!(response.status().is_client_error() || response.status().is_server_error(), "{code}");
        }
    }
}
