//! Rejects cross-site requests, and requests for host names that are not this server's. The rules are in
//! [`mayfly_bootstrap::http::origin`].

use axum::{
    extract::{Request, State},
    http::StatusCode,
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use mayfly_bootstrap::http::origin::{OriginError, OriginPolicy};

use crate::problem::Problem;

/// For REST and gRPC, but not for documents: every site may link to the page.
pub(crate) async fn check_site(State(policy): State<OriginPolicy>, request: Request, next: Next) -> Response {
    match policy.check_site(&request) {
        Ok(()) => next.run(request).await,
        Err(error) => reject(error),
    }
}

/// The response to a request that the policy rejects.
pub(crate) fn reject(error: OriginError) -> Response {
    let status = match error {
        OriginError::Host => StatusCode::MISDIRECTED_REQUEST,
        OriginError::CrossSite => StatusCode::FORBIDDEN,
    };
    Problem::new(status, error.to_string()).into_response()
}
