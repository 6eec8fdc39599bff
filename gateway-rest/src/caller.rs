//! Reports the caller to the services behind the gateway, which limit what one caller may do.

use axum::{
    extract::Request,
    http::{HeaderName, HeaderValue},
    middleware::Next,
    response::Response,
};
use mayfly_bootstrap::http::Caller;
use mayfly_contracts::CALLER_METADATA;

/// How many reverse proxies stand in front of the gateway, each of which adds to `X-Forwarded-For`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TrustedProxies(pub(crate) usize);

const CALLER: HeaderName = HeaderName::from_static(CALLER_METADATA);

/// Writes the caller's address into a header that goes on to the store, whatever the caller wrote there.
pub(crate) async fn set_caller(mut request: Request, next: Next) -> Response {
    request.headers_mut().remove(CALLER);
    let caller = request.extensions().get::<Caller>().map(|caller| caller.id.to_string());
    if let Some(caller) = caller.and_then(|caller| HeaderValue::try_from(caller).ok()) {
        request.headers_mut().insert(CALLER, caller);
    }
    next.run(request).await
}
