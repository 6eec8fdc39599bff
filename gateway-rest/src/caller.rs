//! Reports the caller's address to the services behind the gateway, which limit what one caller may do.

use axum::{
    extract::Request,
    http::{HeaderMap, HeaderName, HeaderValue, header},
};
use mayfly_bootstrap::http::Caller;
use mayfly_contracts::{AUTHORIZATION_METADATA, CALLER_METADATA};
use tonic::metadata::AsciiMetadataValue;

/// The number of reverse proxies in front of the gateway, each of which appends to `X-Forwarded-For`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TrustedProxies(pub(crate) usize);

const CALLER: HeaderName = HeaderName::from_static(CALLER_METADATA);

/// Sets the header that reports the caller to the services. Overwrites any value that the caller sent.
pub(crate) fn set_caller(request: &mut Request) {
    request.headers_mut().remove(CALLER);
    let caller = request.extensions().get::<Caller>().map(|caller| caller.id.to_string());
    if let Some(caller) = caller.and_then(|caller| HeaderValue::try_from(caller).ok()) {
        request.headers_mut().insert(CALLER, caller);
    }
}

/// Returns a gRPC request with `message` and the caller that [`set_caller`] wrote into `headers`.
pub(crate) fn with_caller<T>(headers: &HeaderMap, message: T) -> tonic::Request<T> {
    let mut request = tonic::Request::new(message);
    let caller = headers.get(CALLER).and_then(|caller| caller.to_str().ok()?.parse().ok());
    if let Some(caller) = caller {
        request.metadata_mut().insert(CALLER_METADATA, caller);
    }
    request
}

/// As [`with_caller`], with the bearer token of the caller, if it sent one.
pub(crate) fn with_credentials<T>(headers: &HeaderMap, message: T) -> tonic::Request<T> {
    let mut request = with_caller(headers, message);
    if let Some(authorization) = headers.get(header::AUTHORIZATION) {
        request.metadata_mut().insert(AUTHORIZATION_METADATA, to_metadata(authorization));
    }
    request
}

/// A value that is no valid metadata must not count as a missing token, so it becomes an invalid one.
fn to_metadata(authorization: &HeaderValue) -> AsciiMetadataValue {
    let invalid = || AsciiMetadataValue::from_static("Bearer");
    authorization.to_str().ok().and_then(|text| text.parse().ok()).unwrap_or_else(invalid)
}
