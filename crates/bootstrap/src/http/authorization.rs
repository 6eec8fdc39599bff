//! `Mayfly-Authorization`: bearer tokens behind a proxy that uses `Authorization` itself.
//!
//! A browser sends one `Authorization` header, which a proxy with HTTP Basic authentication consumes. So a page sends
//! its bearer token in another header.

use axum::{
    extract::Request,
    http::{HeaderName, header},
    middleware::Next,
    response::Response,
};

/// Has the form of `Authorization`, and takes precedence over it. Pages of other sites cannot set it.
const MAYFLY_AUTHORIZATION: HeaderName = HeaderName::from_static("mayfly-authorization");

/// Middleware that moves credentials from `Mayfly-Authorization` to `Authorization`.
pub async fn unwrap_authorization(mut request: Request, next: Next) -> Response {
    if let Some(mut authorization) = request.headers_mut().remove(MAYFLY_AUTHORIZATION) {
        authorization.set_sensitive(true);
        request.headers_mut().insert(header::AUTHORIZATION, authorization);
    }
    next.run(request).await
}
