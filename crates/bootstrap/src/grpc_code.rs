//! The status codes of gRPC by their names, for logs, traces and metrics.

use http::{HeaderMap, HeaderName};

pub(crate) const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
/// The names, by number.
pub(crate) const GRPC_CODES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

/// A status code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct GrpcCode {
    pub(crate) number: u8,
    pub(crate) name: &'static str,
}

impl GrpcCode {
    /// The code in the headers or trailers of a response.
    pub(crate) fn of(headers: &HeaderMap) -> Option<Self> {
        let number: u8 = headers.get(GRPC_STATUS)?.to_str().ok()?.parse().ok()?;
        Some(Self { number, name: GRPC_CODES.get(usize::from(number))? })
    }

    pub(crate) fn is_ok(self) -> bool {
        self.number == 0
    }

    /// Returns `true` if the server is at fault, and not its caller.
    pub(crate) fn is_server_error(self) -> bool {
        ["UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"].contains(&self.name)
    }
}
