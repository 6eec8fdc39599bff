//! Rejects requests for the host names of other servers, as protection against DNS rebinding.

use axum::{
    extract::{Request, State},
    http::StatusCode,
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use mayfly_bootstrap::http::origin::OriginPolicy;

pub(super) async fn check_host(State(policy): State<OriginPolicy>, request: Request, next: Next) -> Response {
    match policy.check_host(request.version(), request.uri(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err(error) => (StatusCode::MISDIRECTED_REQUEST, format!("{error}\n")).into_response(),
    }
}
