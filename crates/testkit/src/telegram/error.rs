//! Errors of the Bot API.

use serde_json::Value;

/// The result of a method.
pub(super) type ApiResult = Result<Value, ApiError>;

/// A response with `"ok": false`.
pub(super) struct ApiError {
    pub(super) code: u16,
    pub(super) description: String,
    pub(super) retry_after: Option<u32>,
}

impl ApiError {
    pub(super) fn new(code: u16, description: impl Into<String>) -> Self {
        Self { code, description: description.into(), retry_after: None }
    }

    pub(super) fn unauthorized() -> Self {
        Self::new(401, "Unauthorized")
    }

    pub(super) fn too_many_requests(retry_after: u32) -> Self {
        let description = format!("Too Many Requests: retry after {retry_after}");
        Self { retry_after: Some(retry_after), ..Self::new(429, description) }
    }
}

pub(super) fn bad_request(error: impl std::fmt::Display) -> ApiError {
    ApiError::new(400, format!("Bad Request: {error}"))
}
