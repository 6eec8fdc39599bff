//! Credentials for us that pass through a proxy which uses `Authorization` for its own.
//!
//! A browser sends one `Authorization` header. A proxy that asks for a password by HTTP Basic takes it, so a page sends
//! its bearer token in a header of ours.

use axum::{
    extract::Request,
    http::{HeaderName, header},
    middleware::Next,
    response::Response,
};

/// Has the form of `Authorization`, and takes precedence over it. No page of another site can add it.
const MAYFLY_AUTHORIZATION: HeaderName = HeaderName::from_static("mayfly-authorization");

/// Moves credentials from `Mayfly-Authorization` to `Authorization`, for everything behind this layer.
pub async fn unwrap_authorization(mut request: Request, next: Next) -> Response {
    if let Some(mut authorization) = request.headers_mut().remove(MAYFLY_AUTHORIZATION) {
        authorization.set_sensitive(true);
        request.headers_mut().insert(header::AUTHORIZATION, authorization);
    }
    next.run(request).await
}
