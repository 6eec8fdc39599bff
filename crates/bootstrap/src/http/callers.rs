//! Who sends a request: the peer, or the address that a trusted proxy or gateway reports.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Once,
};

use axum::http::{HeaderMap, HeaderName, header};
use ipnet::IpNet;

use crate::CallerId;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// How a listener knows who its callers are.
#[derive(Clone, Debug)]
pub enum Callers {
    /// By the address of their connection.
    Direct,
    /// By what so many reverse proxies report in `X-Forwarded-For`, to which each adds the address of its own peer.
    BehindProxies(usize),
    /// By what gateways report in a header of ours. From other peers the header counts for nothing.
    BehindGateways {
        /// The networks that gateways connect from.
        networks: Vec<IpNet>,
        /// The header, with an IP address.
        header: HeaderName,
    },
}

/// Who sent a request. Every request that passed the limits has this as an extension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caller {
    /// What it is counted by.
    pub id: CallerId,
    /// Whether it is a trusted service that may act for many and did not report for whom, such as the bot.
    pub is_service: bool,
}

impl Callers {
    /// What connections of `peer` are counted by. `None` for peers that bring many callers, or that are on this
    /// machine.
    pub(super) fn connection_key(&self, peer: IpAddr) -> Option<CallerId> {
        let brings_many = match self {
            Self::Direct => false,
            Self::BehindProxies(count) => *count > 0,
            Self::BehindGateways { networks, .. } => is_in(networks, peer),
        };
        Some(CallerId::from(peer)).filter(|id| !brings_many && !id.is_loopback())
    }

    /// Who sent a request with these headers, which came from `peer`.
    pub(super) fn identify(&self, peer: IpAddr, headers: &HeaderMap) -> Caller {
        let direct = Caller { id: peer.into(), is_service: false };
        match self {
            Self::Direct => direct,
            Self::BehindProxies(count) => match forwarded_for(*count, headers) {
                Some(id) => Caller { id, ..direct },
                None => {
                    if *count > 0 {
                        warn_of_unusable(headers);
                    }
                    direct
                }
            },
            Self::BehindGateways { networks, header } if is_in(networks, peer) => match headers.get(header) {
                None => Caller { is_service: true, ..direct },
                Some(reported) => {
                    let reported = reported.to_str().ok().and_then(parse_entry);
                    Caller { id: reported.map_or(direct.id, CallerId::from), ..direct }
                }
            },
            Self::BehindGateways { .. } => direct,
        }
    }
}

fn is_in(networks: &[IpNet], address: IpAddr) -> bool {
    networks.iter().any(|network| network.contains(&address.to_canonical()))
}

/// Each proxy appends the address that called it. Anybody can write what stands before the entries of trusted proxies.
fn forwarded_for(proxies: usize, headers: &HeaderMap) -> Option<CallerId> {
    let from_the_end = proxies.checked_sub(1)?;
    let lines = headers.get_all(FORWARDED_FOR).iter().filter_map(|line| line.to_str().ok());
    let entries: Vec<_> = lines.flat_map(|line| line.split(',')).collect();
    parse_entry(entries.iter().rev().nth(from_the_end)?).map(CallerId::from)
}

/// Some proxies add a port or a zone: `192.0.2.1:4711`, `[2001:db8::1]:443`, `fe80::1%eth0`.
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

/// All callers count as one when proxies report them in another way. That is said once, since proxies keep their ways,
/// and not of requests that no proxy sent, such as health checks.
fn warn_of_unusable(headers: &HeaderMap) {
    static WARNED: Once = Once::new();
    if headers.contains_key(FORWARDED_FOR) || headers.contains_key(header::FORWARDED) {
        WARNED.call_once(|| {
            tracing::warn!(
                "a proxy reports no address in X-Forwarded-For, or --trusted-proxies is wrong; callers whose address is \
                 unknown count as one"
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

    fn identify(callers: &Callers, peer: &str, header: HeaderName, lines: &[&'static str]) -> Caller {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(&header, HeaderValue::from_static(line));
        }
        callers.identify(peer.parse().unwrap(), &headers)
    }

    #[test]
    fn only_what_trusted_proxies_wrote_counts() {
        let lines = ["192.0.2.1, 192.0.2.2", "192.0.2.3"];
        let caller = |count| identify(&Callers::BehindProxies(count), PEER, FORWARDED_FOR, &lines).id;
        assert_eq!([caller(0), caller(1), caller(2)], [id(PEER), id("192.0.2.3"), id("192.0.2.2")]);
        assert_eq!(caller(4), id(PEER), "fewer proxies wrote than are trusted");
    }

    #[test]
    fn a_forwarded_address_may_have_a_port_and_what_is_no_address_counts_as_the_peer() {
        let caller = |line| identify(&Callers::BehindProxies(1), PEER, FORWARDED_FOR, &[line]).id;
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
        // An entry that a proxy left empty is not filled with the one before, which anybody can write.
        for line in
            ["unknown", "_hidden", "", ",", "203.0.113.1, ", "unix:", "203.0.113.1:x", "203.0.113", "[203.0.113.1"]
        {
            assert_eq!(caller(line), id(PEER), "{line}");
        }
    }

    #[test]
    fn only_gateways_report_callers() {
        let networks = vec!["127.0.0.0/8".parse().unwrap(), "10.1.0.0/16".parse().unwrap()];
        let callers = Callers::BehindGateways { networks, header: REPORTED };
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
