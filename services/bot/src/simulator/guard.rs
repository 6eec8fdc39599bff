//! Who may use the simulator: people on this machine, and the bot's own page in their browser. Nobody else, and no other
//! site in the same browser.

use std::net::{IpAddr, SocketAddr};

use axum::{
    extract::{ConnectInfo, FromRequestParts, Request},
    http::{HeaderMap, HeaderName, StatusCode, header, request::Parts, uri::Authority},
    middleware::Next,
    response::{IntoResponse as _, Response},
};

/// Present when somebody else's request comes through a proxy on this machine.
const FORWARDED: [HeaderName; 5] = [
    header::FORWARDED,
    header::VIA,
    HeaderName::from_static("x-forwarded-for"),
    HeaderName::from_static("x-forwarded-host"),
    HeaderName::from_static("x-real-ip"),
];

/// Where a request comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Visitor {
    /// A program on this machine that asked for this machine by name.
    Local,
    /// Anybody else, or somebody about whom there is doubt.
    Other,
}

impl<S: Sync> FromRequestParts<S> for Visitor {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| peer.ip());
        let is_local = peer.is_some_and(is_loopback)
            && host(parts).is_some_and(|host| is_this_machine(&host))
            && !FORWARDED.iter().any(|name| parts.headers.contains_key(name));
        Ok(if is_local { Self::Local } else { Self::Other })
    }
}

/// Lets nobody through but local visitors, and no other site's scripts in their browsers.
pub(super) async fn refuse_others(visitor: Visitor, request: Request, next: Next) -> Response {
    if visitor == Visitor::Other {
        return (StatusCode::FORBIDDEN, "the simulator is for this machine only\n").into_response();
    }
    let (parts, body) = request.into_parts();
    if !is_same_site(&parts) {
        return (StatusCode::FORBIDDEN, "the simulator is for the bot's own page only\n").into_response();
    }
    next.run(Request::from_parts(parts, body)).await
}

/// The host and port that was asked for: the `:authority` of HTTP/2, the one `Host` of HTTP/1.
fn host(parts: &Parts) -> Option<Authority> {
    parts.uri.authority().cloned().or_else(|| single(&parts.headers, &header::HOST)?.parse().ok())
}

/// Against DNS rebinding: a name that somebody else gave to our address is none of ours.
fn is_this_machine(host: &Authority) -> bool {
    let name = host.host();
    let literal = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    let is_named = !host.as_str().contains('@');
    is_named && (name.eq_ignore_ascii_case("localhost") || literal.parse().is_ok_and(is_loopback))
}

fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

/// Browsers say where a request comes from; programs that are no browsers say nothing.
fn is_same_site(parts: &Parts) -> bool {
    let fetched = parts.headers.get("sec-fetch-site").is_none_or(|site| site == "same-origin");
    let from_here = !parts.headers.contains_key(header::ORIGIN)
        || single(&parts.headers, &header::ORIGIN)
            .zip(host(parts))
            .is_some_and(|(origin, host)| origin.strip_prefix("http://") == Some(host.as_str()));
    fetched && from_here
}

/// A header that is there once.
fn single<'headers>(headers: &'headers HeaderMap, name: &HeaderName) -> Option<&'headers str> {
    let mut values = headers.get_all(name).iter();
    values.next().filter(|_| values.next().is_none())?.to_str().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(peer: &str, headers: &[(&str, &str)]) -> Parts {
        let mut request = Request::builder().uri("/simulator");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (mut parts, ()) = request.body(()).unwrap().into_parts();
        parts.extensions.insert(ConnectInfo(SocketAddr::new(peer.parse().unwrap(), 4_000)));
        parts
    }

    async fn visitor(peer: &str, headers: &[(&str, &str)]) -> Visitor {
        Visitor::from_request_parts(&mut parts(peer, headers), &()).await.unwrap()
    }

    #[tokio::test]
    async fn this_machine_is_local_under_its_own_names() {
        for peer in ["127.0.0.1", "::1", "::ffff:127.0.0.1"] {
            for host in ["127.0.0.1:5555", "localhost:5555", "LOCALHOST", "[::1]:5555", "127.0.0.2"] {
                assert_eq!(visitor(peer, &[("host", host)]).await, Visitor::Local, "{peer} {host}");
            }
        }
    }

    #[tokio::test]
    async fn other_machines_are_not_local() {
        for peer in ["10.0.0.7", "172.17.0.1", "::ffff:10.0.0.7", "fe80::1", "203.0.113.9"] {
            assert_eq!(visitor(peer, &[("host", "localhost:5555")]).await, Visitor::Other, "{peer}");
        }
    }

    #[tokio::test]
    async fn a_name_that_others_gave_to_this_machine_is_not_local() {
        for host in ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "10.0.0.7", "", "a@localhost"]
        {
            assert_eq!(visitor("127.0.0.1", &[("host", host)]).await, Visitor::Other, "{host}");
        }
        assert_eq!(visitor("127.0.0.1", &[]).await, Visitor::Other);
        assert_eq!(visitor("127.0.0.1", &[("host", "localhost"), ("host", "evil.example")]).await, Visitor::Other);
    }

    #[tokio::test]
    async fn whoever_comes_through_a_proxy_is_not_local() {
        for name in ["forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-real-ip"] {
            assert_eq!(visitor("127.0.0.1", &[("host", "localhost"), (name, "x")]).await, Visitor::Other, "{name}");
        }
    }

    #[test]
    fn only_the_own_page_and_programs_that_are_no_browsers_may_post() {
        let is_same_site = |headers: &[(&str, &str)]| {
            let mut all = vec![("host", "127.0.0.1:5555")];
            all.extend_from_slice(headers);
            is_same_site(&parts("127.0.0.1", &all))
        };
        assert!(is_same_site(&[]));
        assert!(is_same_site(&[("sec-fetch-site", "same-origin"), ("origin", "http://127.0.0.1:5555")]));
        for (site, origin) in [
            ("cross-site", "https://evil.example"),
            ("same-site", "http://127.0.0.1:8001"),
            ("none", "http://127.0.0.1:5555"),
            ("same-origin", "http://127.0.0.1:5555.evil.example"),
            ("same-origin", "http://localhost:5555"),
            ("same-origin", "null"),
        ] {
            assert!(!is_same_site(&[("sec-fetch-site", site), ("origin", origin)]), "{site} {origin}");
        }
        assert!(!is_same_site(&[("origin", "null")]), "an old browser");
    }
}
