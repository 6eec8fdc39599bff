//! How an [`ErrorReason`] travels in a gRPC status, and how a client gets it back.

use std::{collections::HashMap, time::Duration};

use tonic::{Code, Status};
use tonic_types::{BadRequest, ErrorDetails, FieldViolation, StatusExt as _};

use crate::error::ErrorReason;

/// `google.rpc.ErrorInfo.domain` of every error that Mayfly makes.
pub const ERROR_DOMAIN: &str = "mayfly";

const PREFIX: &str = "ERROR_REASON_";

impl ErrorReason {
    /// The name as it travels in `google.rpc.ErrorInfo.reason`: `MESSAGE_VIEWED`.
    #[must_use]
    pub fn name(self) -> &'static str {
        let name = self.as_str_name();
        name.strip_prefix(PREFIX).unwrap_or(name)
    }

    fn from_name(name: &str) -> Option<Self> {
        Self::from_str_name(&format!("{PREFIX}{name}"))
    }
}

/// What is wrong with one request field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldFault {
    /// The field's name in the contract, `app_config.api_id` for a nested one.
    pub field: String,
    /// What it must be, for people: `must be at least 1 second`.
    pub fault: String,
}

/// What a failed call says to a program: the machine-readable half of a status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Situation {
    /// Why the call failed.
    pub reason: ErrorReason,
    /// `time` of a viewed, burned or expired message in RFC 3339; `max_bytes` of a text that is too long.
    pub metadata: HashMap<String, String>,
    /// Which request fields are at fault, each with a sentence for people.
    pub fields: Vec<FieldFault>,
    /// How long to wait before the next try.
    pub retry_after: Option<Duration>,
}

impl Situation {
    /// A situation of which nothing but the reason is known.
    #[must_use]
    pub fn new(reason: ErrorReason) -> Self {
        Self { reason, metadata: HashMap::new(), fields: Vec::new(), retry_after: None }
    }

    /// Packs the situation into a status with `code` and a `message` for people.
    #[must_use]
    pub fn into_status(self, code: Code, message: &str) -> Status {
        let mut details = ErrorDetails::with_error_info(self.reason.name(), ERROR_DOMAIN, self.metadata);
        if !self.fields.is_empty() {
            let violations =
                self.fields.into_iter().map(|FieldFault { field, fault }| FieldViolation::new(field, fault));
            details.set_bad_request(violations.collect::<Vec<_>>());
        }
        if self.retry_after.is_some() {
            details.set_retry_info(self.retry_after);
        }
        Status::with_error_details(code, message, details)
    }

    /// Reads the situation out of a status.
    ///
    /// A status that Mayfly's store did not make (a broken connection, a proxy, another service) has no reason of ours:
    /// what says that nobody answered in time, or that the connection broke before anybody did, counts as
    /// [`ErrorReason::StoreUnavailable`], all else as [`ErrorReason::Internal`].
    #[must_use]
    pub fn of(status: &Status) -> Self {
        let details = status.get_error_details();
        let ours = details.error_info().filter(|info| info.domain == ERROR_DOMAIN);
        let reason = ours.and_then(|info| ErrorReason::from_name(&info.reason));
        Self {
            reason: reason.unwrap_or_else(|| foreign_reason(status)),
            metadata: ours.map(|info| info.metadata.clone()).unwrap_or_default(),
            fields: details.bad_request().map(field_faults).unwrap_or_default(),
            retry_after: details.retry_info().and_then(|info| info.retry_delay),
        }
    }
}

fn field_faults(bad_request: &BadRequest) -> Vec<FieldFault> {
    let fault = |violation: &FieldViolation| FieldFault {
        field: violation.field.clone(),
        fault: violation.description.clone(),
    };
    bad_request.field_violations.iter().map(fault).collect()
}

fn foreign_reason(status: &Status) -> ErrorReason {
    // A cause does not travel: who has one was made on this side, of a call that broke on its way.
    let broke = std::error::Error::source(status).is_some();
    match status.code() {
        Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled => ErrorReason::StoreUnavailable,
        Code::Unknown | Code::Internal if broke => ErrorReason::StoreUnavailable,
        Code::ResourceExhausted => ErrorReason::Overloaded,
        _ => ErrorReason::Internal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_situation_survives_the_journey_in_a_status() {
        let situation = Situation {
            metadata: HashMap::from([("time".into(), "2026-11-22T08:02:44Z".into())]),
            fields: vec![FieldFault { field: "ttl".into(), fault: "must be at least 1 second".into() }],
            retry_after: Some(Duration::from_secs(1)),
            ..Situation::new(ErrorReason::MessageViewed)
        };
        let status = situation.clone().into_status(Code::NotFound, "gone");
        assert_eq!(Situation::of(&status), situation);
    }

    #[test]
    fn a_status_from_elsewhere_has_a_reason_too() {
        assert_eq!(Situation::of(&Status::unavailable("refused")).reason, ErrorReason::StoreUnavailable);
        assert_eq!(Situation::of(&Status::unknown("?")).reason, ErrorReason::Internal);
        let broken = Status::from_error(std::io::Error::from(std::io::ErrorKind::ConnectionReset).into());
        assert_eq!((broken.code(), Situation::of(&broken).reason), (Code::Unknown, ErrorReason::StoreUnavailable));
    }
}
