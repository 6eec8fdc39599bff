//! Users that a reverse proxy has signed in. The gateway vouches to the store for their creations, with a token of its
//! own.
//!
//! The proxy reports a user in a header. The header counts only if a trusted proxy sent it, and the gateway removes it
//! from every request. The name in it is neither stored nor logged.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Once,
};

use axum::{
    extract::{ConnectInfo, Request},
    http::{HeaderMap, HeaderName, HeaderValue, header},
};
use ipnet::IpNet;
use mayfly_bootstrap::Secret;

/// The calls that the gateway vouches for. Its token might allow more, such as reading secrets of the bot.
const VOUCHED_PATHS: [&str; 4] = [
    "/api/v1/create_message",
    "/api/v1/create_message/",
    "/mayfly.message.v1.MessageService/CreateMessage",
    "/mayfly.message.v1.MessageService/GetLimits",
];

/// Headers that clients and proxies send for another purpose. Each of them would sign in every client that sends it.
const OTHER_HEADERS: [&str; 37] = [
    "authorization",
    "baggage",
    "cache-control",
    "connection",
    "cookie",
    "date",
    "dnt",
    "expect",
    "forwarded",
    "host",
    "idempotency-key",
    "keep-alive",
    "last-event-id",
    "max-forwards",
    "origin",
    "pragma",
    "priority",
    "proxy-authorization",
    "range",
    "referer",
    "save-data",
    "te",
    "traceparent",
    "tracestate",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "upgrade-insecure-requests",
    "user-agent",
    "via",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-proto",
    "x-real-ip",
    "x-request-id",
    "x-requested-with",
];
/// The beginnings of more of them.
const OTHER_PREFIXES: [&str; 8] =
    ["accept", "access-control-", "content-", "grpc-", "if-", "mayfly-", "sec-", "x-grpc-"];

/// The reverse proxies in front of the gateway.
#[derive(Clone, Debug, Default)]
pub struct Proxies {
    /// How many of them append to `X-Forwarded-For`.
    pub count: usize,
    /// The users that they sign in. `None` if they sign in nobody.
    pub users: Option<SignedInUsers>,
}

/// How the gateway recognizes users that a proxy has signed in, and vouches for them.
#[derive(Clone)]
pub struct SignedInUsers {
    header: HeaderName,
    networks: Vec<IpNet>,
    authorization: HeaderValue,
}

/// The header or the token cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SignedInError {
    /// The header has another meaning.
    #[error("--trusted-user-header must be a header that only the proxy sets, and {0} has another meaning")]
    Header(HeaderName),
    /// The token has characters that a header cannot.
    #[error("--gateway-token must consist of visible ASCII characters")]
    Token,
}

impl SignedInUsers {
    /// Users whom `header` names, if a peer in `networks` sent it. `token` allows to create messages.
    ///
    /// # Errors
    ///
    /// [`SignedInError`]
    pub fn new(header: HeaderName, networks: Vec<IpNet>, token: &Secret) -> Result<Self, SignedInError> {
        let name = header.as_str();
        if OTHER_HEADERS.contains(&name) || OTHER_PREFIXES.iter().any(|prefix| name.starts_with(prefix)) {
            return Err(SignedInError::Header(header));
        }
        let authorization = HeaderValue::try_from(format!("Bearer {}", token.expose()));
        let mut authorization = authorization.map_err(|_| SignedInError::Token)?;
        authorization.set_sensitive(true);
        Ok(Self { header, networks, authorization })
    }

    /// Removes the user from the request. If a trusted proxy named one, and the call creates a message, the gateway's
    /// token replaces the credentials of the request.
    pub(crate) fn vouch(&self, request: &mut Request) {
        let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| peer.ip());
        let is_trusted = peer.is_some_and(|peer| self.is_trusted(peer));
        if !is_trusted && request.headers().contains_key(&self.header) {
            warn_of_untrusted_peer();
        }
        let is_signed_in = is_trusted && self.names_one_user(request.headers());
        // All values: a proxy may have added its own to that of the caller.
        request.headers_mut().remove(&self.header);
        if is_signed_in && VOUCHED_PATHS.contains(&request.uri().path()) {
            request.headers_mut().insert(header::AUTHORIZATION, self.authorization.clone());
        }
    }

    fn is_trusted(&self, peer: IpAddr) -> bool {
        self.networks.iter().any(|network| network.contains(&peer.to_canonical()))
    }

    /// With several values, one of them may come from the caller.
    fn names_one_user(&self, headers: &HeaderMap) -> bool {
        let mut values = headers.get_all(&self.header).iter();
        let is_name = |value: &HeaderValue| !value.as_bytes().trim_ascii().is_empty();
        values.next().is_some_and(is_name) && values.next().is_none()
    }
}

/// Warns once. Either a proxy is missing in the settings, or a caller tries to name itself.
fn warn_of_untrusted_peer() {
    static WARNED: Once = Once::new();
    WARNED.call_once(|| {
        tracing::warn!(
            "a peer that is not in --trusted-user-proxies sent the header of --trusted-user-header; it is ignored"
        );
    });
}

impl std::fmt::Debug for SignedInUsers {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { header, networks, authorization: _ } = self;
        formatter.debug_struct("SignedInUsers").field("header", header).field("networks", networks).finish()
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    const CREATE: &str = "/api/v1/create_message";

    fn users() -> SignedInUsers {
        let networks = vec!["127.0.0.0/8".parse().unwrap()];
        let token = Secret::new("token".to_owned());
        SignedInUsers::new(HeaderName::from_static("remote-user"), networks, &token).unwrap()
    }

    /// The credentials of a request after the gateway has handled its user.
    fn vouched(peer: &str, path: &str, names: &[&str]) -> Option<String> {
        let mut request = Request::builder().uri(path);
        for name in names {
            request = request.header("Remote-User", *name);
        }
        let mut request = request.body(Body::empty()).unwrap();
        request.extensions_mut().insert(ConnectInfo(SocketAddr::new(peer.parse().unwrap(), 1)));
        users().vouch(&mut request);
        assert!(!request.headers().contains_key("remote-user"), "the header is never forwarded");
        request.headers().get(header::AUTHORIZATION).map(|value| value.to_str().unwrap().to_owned())
    }

    #[test]
    fn a_trusted_proxy_names_a_user() {
        let with_token = Some("Bearer token".to_owned());
        for path in VOUCHED_PATHS {
            assert_eq!(vouched("127.0.0.1", path, &["alice"]), with_token, "{path}");
        }
        assert_eq!(vouched("::ffff:127.0.0.1", CREATE, &["alice@example.org"]), with_token);
    }

    #[test]
    fn the_header_of_another_peer_is_ignored() {
        assert_eq!(vouched("192.0.2.1", CREATE, &["alice"]), None);
        assert_eq!(vouched("::1", CREATE, &["alice"]), None);
    }

    #[test]
    fn a_missing_an_empty_and_a_repeated_header_name_nobody() {
        for names in [&[][..], &[""], &[" "], &["alice", "bob"], &["alice", "alice"], &["", "alice"]] {
            assert_eq!(vouched("127.0.0.1", CREATE, names), None, "{names:?}");
        }
    }

    #[test]
    fn the_token_is_used_for_creations_alone() {
        for path in [
            "/api/v1/get_last_active_app_config",
            "/mayfly.config.v1.ConfigService/GetLastActiveAppConfig",
            "/mayfly.message.v1.MessageService/ViewMessage",
            "/mayfly.auth.v1.ApiTokenService/CreateApiToken",
        ] {
            assert_eq!(vouched("127.0.0.1", path, &["alice"]), None, "{path}");
        }
    }

    #[test]
    fn headers_with_another_meaning_are_rejected() {
        let made = |name: &str| SignedInUsers::new(name.parse().unwrap(), Vec::new(), &Secret::new("token".to_owned()));
        // Whole, so that none is lost from the constants.
        let of_clients = "authorization cookie date dnt expect host idempotency-key last-event-id origin pragma \
            priority range referer save-data user-agent x-requested-with accept accept-language content-type \
            content-length if-match if-modified-since sec-fetch-site sec-ch-ua access-control-request-method";
        let of_connections = "cache-control connection keep-alive max-forwards te trailer transfer-encoding upgrade \
            upgrade-insecure-requests proxy-authorization grpc-timeout grpc-encoding";
        let of_proxies = "baggage forwarded traceparent tracestate via x-forwarded-for x-forwarded-host \
            x-forwarded-port x-forwarded-proto x-real-ip x-request-id";
        let of_mayfly = "mayfly-caller mayfly-authorization x-grpc-web";
        let names = [of_clients, of_connections, of_proxies, of_mayfly].map(|names| names.split_ascii_whitespace());
        for name in names.into_iter().flatten() {
            let Err(error) = made(name) else { panic!("{name}") };
            assert!(error.to_string().contains(name), "{error}");
        }
        for name in [
            "remote-user",
            "x-forwarded-user",
            "x-forwarded-email",
            "x-auth-request-email",
            "cf-access-authenticated-user-email",
        ] {
            assert!(made(name).is_ok(), "{name}");
        }
    }

    #[test]
    fn debug_hides_the_token() {
        assert!(!format!("{:?}", users()).contains("token"));
    }
}
