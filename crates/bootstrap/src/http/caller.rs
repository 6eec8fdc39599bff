//! The caller of a request: the peer, or the address that a trusted proxy or gateway reports.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Once,
};

use axum::{
    extract::{ConnectInfo, Request},
    http::{HeaderMap, HeaderName, header},
};
use ipnet::IpNet;

use crate::caller_id::CallerId;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Where a listener takes the address of its callers from.
#[derive(Clone, Debug)]
pub enum CallerSource {
    /// From the connection.
    Direct,
    /// From `X-Forwarded-For`, to which each of this many trusted reverse proxies appends the address of its peer.
    TrustedProxies(usize),
    /// From a header that trusted gateways set. The header of other peers is ignored.
    TrustedGateways {
        /// The networks of the gateways.
        networks: Vec<IpNet>,
        /// The name of the header, whose value is an IP address.
        header: HeaderName,
    },
}

/// The caller of a request. Every request that passed the limits has it as an extension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The key that limits count it by.
    pub id: CallerId,
    /// `true` for a trusted service that may act for many users and reported none, such as the bot.
    pub is_service: bool,
}

impl CallerSource {
    /// The key that limits count connections of `peer` by. `None` for peers that forward many callers, and for peers on
    /// this machine.
    pub(super) fn connection_key(&self, peer: IpAddr) -> Option<CallerId> {
        Some(CallerId::from(peer)).filter(|id| !self.trusts(peer) && !id.is_loopback())
    }

    /// Returns `true` if requests of `peer` may name themselves: it is a trusted proxy or gateway.
    pub(super) fn trusts(&self, peer: IpAddr) -> bool {
        match self {
            Self::Direct => false,
            Self::TrustedProxies(count) => *count > 0,
            Self::TrustedGateways { networks, .. } => is_in(networks, peer),
        }
    }

    /// The caller of a request. All requests without a connection count as one caller.
    pub(super) fn identify_request(&self, request: &Request) -> Caller {
        self.identify(peer_of(request).unwrap_or(Ipv4Addr::UNSPECIFIED.into()), request.headers())
    }

    /// The caller of a request from `peer` with these headers.
    pub(super) fn identify(&self, peer: IpAddr, headers: &HeaderMap) -> Caller {
        let direct = Caller { id: peer.into(), is_service: false };
        match self {
            Self::Direct => direct,
            Self::TrustedProxies(count) => match forwarded_for(*count, headers) {
                Some(id) => Caller { id, ..direct },
                None => {
                    if *count > 0 {
                        warn_of_missing_address(headers);
                    }
                    direct
                }
            },
            Self::TrustedGateways { networks, header } if is_in(networks, peer) => match headers.get(header) {
                None => Caller { is_service: true, ..direct },
                Some(reported) => {
                    let reported = reported.to_str().ok().and_then(parse_entry);
                    Caller { id: reported.map_or(direct.id, CallerId::from), ..direct }
                }
            },
            Self::TrustedGateways { .. } => direct,
        }
    }
}

/// The address of the peer. `None` for requests without a connection.
pub(super) fn peer_of(request: &Request) -> Option<IpAddr> {
    request.extensions().get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| peer.ip())
}

fn is_in(networks: &[IpNet], address: IpAddr) -> bool {
    networks.iter().any(|network| network.contains(&address.to_canonical()))
}

/// Each proxy appends the address of its peer. Entries before those of the trusted proxies are untrusted.
fn forwarded_for(proxies: usize, headers: &HeaderMap) -> Option<CallerId> {
    let from_the_end = proxies.checked_sub(1)?;
    let lines = headers.get_all(FORWARDED_FOR).iter().filter_map(|line| line.to_str().ok());
    let entries: Vec<_> = lines.flat_map(|line| line.split(',')).collect();
    parse_entry(entries.iter().rev().nth(from_the_end)?).map(CallerId::from)
}

/// Parses an address, to which some proxies add a port or a zone: `192.0.2.1:4711`, `[2001:db8::1]:443`,
/// `fe80::1%eth0`.
fn parse_entry(entry: &str) -> Option<IpAddr> {
    let entry = entry.trim().trim_matches('"');
    let address = match entry.strip_prefix('[') {
        Some(bracketed) => bracketed.split_once(']')?.0,
        None => entry,
    };
    let (address, _zone) = address.split_once('%').unwrap_or((address, ""));
    let with_port = || address.parse::<SocketAddr>().ok().map(|address| address.ip());
    address.parse().ok().or_else(with_port)
}

/// Warns once that proxies report no address in `X-Forwarded-For`, so that all callers count as one. Does not warn of
/// requests without a proxy, such as health checks.
fn warn_of_missing_address(headers: &HeaderMap) {
    static WARNED: Once = Once::new();
    if headers.contains_key(FORWARDED_FOR) || headers.contains_key(header::FORWARDED) {
        WARNED.call_once(|| {
            tracing::warn!(
                "a proxy reports no address in X-Forwarded-For, or --trusted-proxies is wrong; callers whose address \
                 is unknown count as one"
            );
        });
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    const REPORTED: HeaderName = HeaderName::from_static("reported");
    const PEER: &str = "198.51.100.1";

    fn id(address: &str) -> CallerId {
        address.parse().unwrap()
    }

    fn identify(callers: &CallerSource, peer: &str, header: HeaderName, lines: &[&'static str]) -> Caller {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(&header, HeaderValue::from_static(line));
        }
        callers.identify(peer.parse().unwrap(), &headers)
    }

    #[test]
    fn only_entries_of_trusted_proxies_are_used() {
        let lines = ["192.0.2.1, 192.0.2.2", "192.0.2.3"];
        let caller = |count| identify(&CallerSource::TrustedProxies(count), PEER, FORWARDED_FOR, &lines).id;
        assert_eq!([caller(0), caller(1), caller(2)], [id(PEER), id("192.0.2.3"), id("192.0.2.2")]);
        assert_eq!(caller(4), id(PEER), "fewer entries than trusted proxies");
    }

    #[test]
    fn a_forwarded_address_may_have_a_port_and_without_an_address_the_peer_is_the_caller() {
        let caller = |line| identify(&CallerSource::TrustedProxies(1), PEER, FORWARDED_FOR, &[line]).id;
        for line in ["203.0.113.1", " 203.0.113.1:41321 ", "\"203.0.113.1:1\"", "::ffff:203.0.113.1"] {
            assert_eq!(caller(line), id("203.0.113.1"), "{line}");
        }
        for line in [
            "2001:db8::1",
            "[2001:db8::1]",
            "[2001:db8::1]:443",
            "\"[2001:db8::2]:443\"",
            "2001:db8::1%eth0",
            "[2001:db8::1%25eth0]:443",
            "2001:db8::1:443",
        ] {
            assert_eq!(caller(line), id("2001:db8::"), "{line}");
        }
        // An empty entry of a proxy is not replaced by the entry before it, which is untrusted.
        for line in
            ["unknown", "_hidden", "", ",", "203.0.113.1, ", "unix:", "203.0.113.1:x", "203.0.113", "[203.0.113.1"]
        {
            assert_eq!(caller(line), id(PEER), "{line}");
        }
    }

    #[test]
    fn only_trusted_gateways_report_callers() {
        let networks = vec!["127.0.0.0/8".parse().unwrap(), "10.1.0.0/16".parse().unwrap()];
        let callers = CallerSource::TrustedGateways { networks, header: REPORTED };
        let caller = |peer, lines: &[&'static str]| identify(&callers, peer, REPORTED, lines);
        assert_eq!(caller("10.1.2.3", &["192.0.2.1"]), Caller { id: id("192.0.2.1"), is_service: false });
        assert_eq!(caller("10.1.2.3", &[]), Caller { id: id("10.1.2.3"), is_service: true });
        assert_eq!(caller("::ffff:127.0.0.1", &["x"]), Caller { id: id("127.0.0.1"), is_service: false });
        assert_eq!(caller("10.2.0.1", &["192.0.2.1"]), Caller { id: id("10.2.0.1"), is_service: false });
        assert_eq!(caller("10.1.2.3", &["192.0.2.1:4711"]), Caller { id: id("192.0.2.1"), is_service: false });
        let key = |peer: &str| callers.connection_key(peer.parse().unwrap());
        assert_eq!((key("10.1.2.3"), key("10.2.0.1"), key("::1")), (None, Some(id("10.2.0.1")), None));
    }
}
