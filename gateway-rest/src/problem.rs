//! Failures as `application/problem+json` (RFC 9457), and the one table from situations to HTTP.

use std::time::Duration;

use axum::{
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use mayfly_bootstrap::http::Rejection;
use mayfly_contracts::{ErrorInfo, FieldViolation, error::ErrorReason};
use serde::Serialize;
use tonic::Status;
use utoipa::ToSchema;

use crate::{body, forward};

/// How long a client had better wait when the store does not say.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// For the holder of the right token: `viewed`, `burned` or `expired`.
pub(crate) const STATE: HeaderName = HeaderName::from_static("mayfly-message-state");
/// Since when, in RFC 3339.
pub(crate) const STATE_TIME: HeaderName = HeaderName::from_static("mayfly-message-state-time");

/// A request that was not answered as asked. Success without content (204) is one too: it has no body.
#[derive(Debug)]
pub(crate) struct Problem {
    status: StatusCode,
    detail: String,
    reason: Option<ErrorReason>,
    fields: Vec<FieldViolation>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

/// Problem details, as RFC 9457 has them.
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
pub(crate) struct Body<'a> {
    /// Always `about:blank`.
    #[schema(example = "about:blank")]
    r#type: &'static str,
    /// The status in words.
    #[schema(example = "Bad Request")]
    title: &'static str,
    /// The status.
    #[schema(example = 400)]
    status: u16,
    /// What is wrong, for people.
    #[schema(example = "text must be given")]
    detail: &'a str,
    /// What is wrong, for programs: a reason of `mayfly.error.v1.ErrorReason`. Missing when HTTP alone is concerned.
    #[schema(nullable = false, example = "FIELD_INVALID")]
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    /// Which fields are at fault. Missing when none is.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<Fault<'a>>,
}

/// A field that is at fault.
#[derive(Serialize, ToSchema)]
struct Fault<'a> {
    /// Its name.
    #[schema(example = "text")]
    field: &'a str,
    /// What is wrong with it.
    #[schema(example = "must be given")]
    detail: &'a str,
}

impl Problem {
    /// A problem of HTTP's own, which no store has seen.
    pub(crate) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self { status, detail: detail.into(), reason: None, fields: Vec::new(), headers: Vec::new() }
    }

    /// A situation that has a reason for programs.
    pub(crate) fn of(reason: ErrorReason, detail: impl Into<String>) -> Self {
        Self { reason: Some(reason), ..Self::new(status_of(reason), detail) }
    }

    /// A field is missing or wrong.
    pub(crate) fn field(field: &str, fault: &str) -> Self {
        Self {
            fields: vec![FieldViolation { field: field.to_owned(), description: fault.to_owned() }],
            ..Self::of(ErrorReason::FieldInvalid, format!("{field} {fault}"))
        }
    }

    /// The body is larger than any that could hold an allowed text.
    pub(crate) fn too_large(max_text_bytes: usize) -> Self {
        Self::of(ErrorReason::TextTooLong, format!("text must be at most {max_text_bytes} bytes of UTF-8"))
    }

    /// As much is in flight as may be. Nothing was done.
    fn busy(status: StatusCode, detail: &str) -> Self {
        Self { reason: Some(ErrorReason::Overloaded), ..Self::new(status, detail) }
            .with_header(header::RETRY_AFTER, HeaderValue::from(RETRY_AFTER.as_secs()))
    }

    pub(crate) fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// Its body.
    pub(crate) fn to_json(&self) -> serde_json::Value {
        serde_json::to_value(self.body()).unwrap_or_default()
    }

    fn body(&self) -> Body<'_> {
        Body {
            r#type: "about:blank",
            title: self.status.canonical_reason().unwrap_or_default(),
            status: self.status.as_u16(),
            detail: &self.detail,
            reason: self.reason.map(ErrorReason::name),
            errors: self.fields.iter().map(|fault| Fault { field: &fault.field, detail: &fault.description }).collect(),
        }
    }
}

/// The one table from situations to HTTP.
fn status_of(reason: ErrorReason) -> StatusCode {
    match reason {
        ErrorReason::FieldInvalid => StatusCode::BAD_REQUEST,
        ErrorReason::TextTooLong => StatusCode::PAYLOAD_TOO_LARGE,
        ErrorReason::AccessTokenInvalid | ErrorReason::CredentialsInvalid => StatusCode::UNAUTHORIZED,
        ErrorReason::PermissionDenied => StatusCode::FORBIDDEN,
        ErrorReason::MessageNotFound
        | ErrorReason::MessageViewed
        | ErrorReason::MessageBurned
        | ErrorReason::MessageExpired
        | ErrorReason::AppConfigNotFound => StatusCode::NO_CONTENT,
        ErrorReason::PassphraseRequired => StatusCode::PRECONDITION_REQUIRED,
        ErrorReason::PassphraseWrong => StatusCode::FORBIDDEN,
        // The request is right; it is the content that cannot be made into an answer of this kind.
        ErrorReason::MessageSealed | ErrorReason::RequestConflict => StatusCode::UNPROCESSABLE_ENTITY,
        ErrorReason::PassphraseLocked | ErrorReason::Overloaded | ErrorReason::RateLimited => {
            StatusCode::TOO_MANY_REQUESTS
        }
        ErrorReason::StorageFull => StatusCode::INSUFFICIENT_STORAGE,
        ErrorReason::StoreUnavailable | ErrorReason::BotUnavailable => StatusCode::SERVICE_UNAVAILABLE,
        ErrorReason::Internal | ErrorReason::Unspecified => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// What the holder of the right token gets to know of a message that is gone.
fn state_of(reason: ErrorReason) -> Option<&'static str> {
    match reason {
        ErrorReason::MessageViewed => Some("viewed"),
        ErrorReason::MessageBurned => Some("burned"),
        ErrorReason::MessageExpired => Some("expired"),
        _ => None,
    }
}

/// What the store says. Its message is shown where it is about the request, and a constant where it is not.
impl From<Status> for Problem {
    fn from(answer: Status) -> Self {
        let ErrorInfo { reason, metadata, fields, retry_after } = ErrorInfo::from_status(&answer);
        let status = status_of(reason);
        let detail = match reason {
            ErrorReason::StoreUnavailable => "the store cannot be reached, try later",
            ErrorReason::Internal | ErrorReason::Unspecified => "something went wrong on our side",
            _ => answer.message(),
        };
        if status == StatusCode::INTERNAL_SERVER_ERROR {
            // The message may come from anywhere and hold anything; the code is enough to find the store's own line.
            tracing::error!(code = ?answer.code(), "the store failed");
        }
        let mut problem = Self { fields, ..Self::of(reason, detail) };
        if status == StatusCode::UNAUTHORIZED {
            problem = problem.with_header(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if matches!(
            status,
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE | StatusCode::INSUFFICIENT_STORAGE
        ) {
            let seconds = retry_after.unwrap_or(RETRY_AFTER).as_secs().max(1);
            problem = problem.with_header(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Some(state) = state_of(reason) {
            problem = problem.with_header(STATE, HeaderValue::from_static(state));
            if let Some(time) = metadata.get("time").and_then(|time| HeaderValue::try_from(time).ok()) {
                problem = problem.with_header(STATE_TIME, time);
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
            let json = serde_json::to_vec(&self.body()).unwrap_or_default();
            (self.status, [(header::CONTENT_TYPE, "application/problem+json")], json).into_response()
        };
        response.headers_mut().extend(self.headers);
        response
    }
}

/// The response to a request that the limits refuse: as gRPC or as HTTP, like the request.
pub(crate) fn refused(refusal: Rejection, headers: &HeaderMap, max_text_bytes: usize) -> Response {
    if let Some(response) = forward::refused(refusal, headers) {
        return response;
    }
    let problem = match refusal {
        Rejection::CallerBusy => Problem::busy(StatusCode::TOO_MANY_REQUESTS, "you have too much in flight, try later"),
        Rejection::ServerBusy => Problem::busy(StatusCode::SERVICE_UNAVAILABLE, "the gateway is busy, try later"),
        Rejection::TooLarge => Problem::too_large(max_text_bytes),
        Rejection::TimedOut => body::late(),
        Rejection::Incomplete => body::malformed("the body did not arrive whole"),
    };
    problem.into_response()
}

/// A handler panicked; the panic hook has logged where.
pub(crate) fn after_panic() -> Response {
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "something went wrong on our side").into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_situation_has_its_status() {
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
            (ErrorReason::PermissionDenied, 403),
            (ErrorReason::Overloaded, 429),
            (ErrorReason::RateLimited, 429),
            (ErrorReason::StorageFull, 507),
            (ErrorReason::StoreUnavailable, 503),
            (ErrorReason::BotUnavailable, 503),
            (ErrorReason::Internal, 500),
        ];
        for (reason, status) in table {
            let answer = ErrorInfo::new(reason).into_status(tonic::Code::Unknown, "");
            let response = Problem::from(answer).into_response();
            assert_eq!(response.status().as_u16(), status, "{reason:?}");
            assert_eq!(
                response.headers().contains_key(header::RETRY_AFTER),
                matches!(status, 429 | 503 | 507),
                "{reason:?}"
            );
            assert_eq!(response.headers().contains_key(STATE), state_of(reason).is_some(), "{reason:?}");
        }
    }

    #[test]
    fn every_code_that_is_not_ours_has_a_status_too() {
        for code in 0..=16 {
            let response = Problem::from(Status::new(code.into(), "foreign")).into_response();
            assert!(response.status().is_client_error() || response.status().is_server_error(), "{code}");
        }
    }
}
