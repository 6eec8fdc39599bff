//! [`ErrorInfo`]: the details of an error, which a gRPC status carries.

use std::{collections::HashMap, time::Duration};

use tonic::{Code, Status};
use tonic_types::{BadRequest, ErrorDetails, StatusExt as _};

use crate::generated::error::ErrorReason;

/// `google.rpc.ErrorInfo.domain` of every error of Mayfly.
pub const ERROR_DOMAIN: &str = "mayfly";

const PREFIX: &str = "ERROR_REASON_";

impl ErrorReason {
    /// The name in `google.rpc.ErrorInfo.reason`: `MESSAGE_VIEWED`.
    #[must_use]
    pub fn name(self) -> &'static str {
        let name = self.as_str_name();
        name.strip_prefix(PREFIX).unwrap_or(name)
    }

    fn from_name(name: &str) -> Option<Self> {
        Self::from_str_name(&format!("{PREFIX}{name}"))
    }
}

/// An invalid field of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldViolation {
    /// The field's name in the contract, `app_config.api_id` for a nested one.
    pub field: String,
    /// The requirement, for people: `must be at least 1 second`.
    pub description: String,
}

/// The machine-readable part of an error status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorInfo {
    /// Why the call failed.
    pub reason: ErrorReason,
    /// `time` of a viewed, burned or expired message in RFC 3339; `max_bytes` of a text that is too long.
    pub metadata: HashMap<String, String>,
    /// The invalid fields of the request.
    pub fields: Vec<FieldViolation>,
    /// How long to wait before a retry.
    pub retry_after: Option<Duration>,
    /// The id of the request in the logs of the services. [`add_request_id`](crate::add_request_id) adds it.
    pub request_id: Option<String>,
}

impl ErrorInfo {
    /// An error with only a reason.
    #[must_use]
    pub fn new(reason: ErrorReason) -> Self {
        Self { reason, metadata: HashMap::new(), fields: Vec::new(), retry_after: None, request_id: None }
    }

    /// Converts it into a status with `code` and a `message` for people.
    #[must_use]
    pub fn into_status(self, code: Code, message: &str) -> Status {
        let mut details = ErrorDetails::with_error_info(self.reason.name(), ERROR_DOMAIN, self.metadata);
        if !self.fields.is_empty() {
            let violations = self
                .fields
                .into_iter()
                .map(|FieldViolation { field, description }| tonic_types::FieldViolation::new(field, description));
            details.set_bad_request(violations.collect::<Vec<_>>());
        }
        if self.retry_after.is_some() {
            details.set_retry_info(self.retry_after);
        }
        if let Some(request_id) = self.request_id {
            details.set_request_info(request_id, "");
        }
        Status::with_error_details(code, message, details)
    }

    /// Reads the details of a status.
    ///
    /// A status of a broken connection, a proxy or another service has no reason of Mayfly. Timeouts and broken
    /// connections become [`ErrorReason::StoreUnavailable`], other codes [`ErrorReason::Internal`] or
    /// [`ErrorReason::Overloaded`].
    #[must_use]
    pub fn from_status(status: &Status) -> Self {
        let details = status.get_error_details();
        let ours = details.error_info().filter(|info| info.domain == ERROR_DOMAIN);
        let reason = ours.and_then(|info| ErrorReason::from_name(&info.reason));
        Self {
            reason: reason.unwrap_or_else(|| foreign_reason(status)),
            metadata: ours.map(|info| info.metadata.clone()).unwrap_or_default(),
            fields: details.bad_request().map(field_violations).unwrap_or_default(),
            retry_after: details.retry_info().and_then(|info| info.retry_delay),
            request_id: details.request_info().map(|info| info.request_id.clone()),
        }
    }
}

fn field_violations(bad_request: &BadRequest) -> Vec<FieldViolation> {
    let convert = |violation: &tonic_types::FieldViolation| FieldViolation {
        field: violation.field.clone(),
        description: violation.description.clone(),
    };
    bad_request.field_violations.iter().map(convert).collect()
}

fn foreign_reason(status: &Status) -> ErrorReason {
    // A status from the network has no source. A source means that the call broke on this side.
    let is_broken = std::error::Error::source(status).is_some();
    match status.code() {
        Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled => ErrorReason::StoreUnavailable,
        Code::Unknown | Code::Internal if is_broken => ErrorReason::StoreUnavailable,
        Code::ResourceExhausted => ErrorReason::Overloaded,
        _ => ErrorReason::Internal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_details_survive_a_status() {
        let info = ErrorInfo {
            metadata: HashMap::from([("time".into(), "2026-11-22T08:02:44Z".into())]),
            fields: vec![FieldViolation { field: "ttl".into(), description: "must be at least 1 second".into() }],
            retry_after: Some(Duration::from_secs(1)),
            ..ErrorInfo::new(ErrorReason::MessageViewed)
        };
        let status = info.clone().into_status(Code::NotFound, "gone");
        assert_eq!(ErrorInfo::from_status(&status), info);
    }

    #[test]
    fn a_foreign_status_has_a_reason_too() {
        assert_eq!(ErrorInfo::from_status(&Status::unavailable("refused")).reason, ErrorReason::StoreUnavailable);
        assert_eq!(ErrorInfo::from_status(&Status::unknown("?")).reason, ErrorReason::Internal);
        let broken = Status::from_error(std::io::Error::from(std::io::ErrorKind::ConnectionReset).into());
        assert_eq!(
            (broken.code(), ErrorInfo::from_status(&broken).reason),
            (Code::Unknown, ErrorReason::StoreUnavailable)
        );
    }
}
