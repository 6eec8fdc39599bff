//! `Mayfly-Authorization`: bearer tokens behind a proxy that uses `Authorization` itself.
//!
//! A browser sends one `Authorization` header, which a proxy with HTTP Basic authentication consumes. So a page sends
//! its bearer token in another header.

use axum::http::{HeaderMap, HeaderName, header};

/// Has the form of `Authorization`, and takes precedence over it. Pages of other sites cannot set it.
const MAYFLY_AUTHORIZATION: HeaderName = HeaderName::from_static("mayfly-authorization");

/// Moves credentials from `Mayfly-Authorization` to `Authorization`.
pub fn unwrap_authorization(headers: &mut HeaderMap) {
    if let Some(mut authorization) = headers.remove(MAYFLY_AUTHORIZATION) {
        authorization.set_sensitive(true);
        headers.insert(header::AUTHORIZATION, authorization);
    }
}
