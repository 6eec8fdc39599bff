//! Who calls, as far as that can be known. The store counts wrong passphrases by it.

use std::net::{IpAddr, SocketAddr};

use axum::{
    extract::{ConnectInfo, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue},
    middleware::Next,
    response::Response,
};
use mayfly_contracts::CALLER_METADATA;

/// How many reverse proxies stand in front of the gateway, each of which adds to `X-Forwarded-For`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TrustedProxies(pub(crate) usize);

const FORWARDED_FOR: &str = "x-forwarded-for";
const CALLER: HeaderName = HeaderName::from_static(CALLER_METADATA);

/// Writes the caller's address into a header that goes on to the store, whatever the caller wrote there.
pub(crate) async fn name_caller(
    State(TrustedProxies(proxies)): State<TrustedProxies>,
    mut request: Request,
    next: Next,
) -> Response {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| peer.ip());
    let caller = forwarded_by(proxies, request.headers()).or(peer);
    request.headers_mut().remove(CALLER);
    if let Some(caller) = caller.and_then(|caller| HeaderValue::try_from(caller.to_string()).ok()) {
        request.headers_mut().insert(CALLER, caller);
    }
    next.run(request).await
}

/// Each proxy adds the address that it was called from at the end; what stands before that, anybody can write.
fn forwarded_by(proxies: usize, headers: &HeaderMap) -> Option<IpAddr> {
    let from_the_end = proxies.checked_sub(1)?;
    let lines = headers.get_all(FORWARDED_FOR).iter().filter_map(|line| line.to_str().ok());
    let addresses: Vec<_> = lines.flat_map(|line| line.split(',')).map(str::trim).collect();
    addresses.iter().rev().nth(from_the_end)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_trusted_proxies_wrote_counts() {
        let mut headers = HeaderMap::new();
        headers.append(FORWARDED_FOR, HeaderValue::from_static("1.1.1.1, 2.2.2.2"));
        headers.append(FORWARDED_FOR, HeaderValue::from_static("3.3.3.3"));
        let address = |proxies| forwarded_by(proxies, &headers).map(|address| address.to_string());
        assert_eq!(address(0), None);
        assert_eq!(address(1).as_deref(), Some("3.3.3.3"));
        assert_eq!(address(2).as_deref(), Some("2.2.2.2"));
        assert_eq!(address(4), None);
    }
}
