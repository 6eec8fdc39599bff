//! [`CallerId`]: the key by which limits count a caller.

use std::{
    fmt,
    net::{AddrParseError, IpAddr, Ipv6Addr},
    str::FromStr,
};

/// The network part of an IPv6 address. Providers assign a /64 network to a customer, who chooses the rest freely.
const NETWORK_MASK: u128 = !0 << 64;

/// An IPv4 address, or the /64 network of an IPv6 address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CallerId(IpAddr);

impl CallerId {
    /// Returns `true` if the caller is on this machine.
    #[must_use]
    pub fn is_loopback(self) -> bool {
        self.0.is_loopback()
    }
}

impl From<IpAddr> for CallerId {
    fn from(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V6(address) if !address.is_loopback() => {
                Ipv6Addr::from_bits(address.to_bits() & NETWORK_MASK).into()
            }
            address => address,
        })
    }
}

impl FromStr for CallerId {
    type Err = AddrParseError;

    fn from_str(text: &str) -> Result<Self, AddrParseError> {
        text.parse::<IpAddr>().map(Self::from)
    }
}

impl fmt::Display for CallerId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> CallerId {
        text.parse().unwrap()
    }

    #[test]
    fn all_addresses_of_an_ipv6_network_are_the_same_caller() {
        assert_eq!(id("2001:db8::1"), id("2001:db8::ffff:1"));
        assert_ne!(id("2001:db8::1"), id("2001:db8:0:1::1"));
        assert_ne!(id("192.0.2.1"), id("192.0.2.2"));
    }

    #[test]
    fn an_ipv4_address_is_the_same_caller_over_ipv6() {
        assert_eq!(id("::ffff:192.0.2.1"), id("192.0.2.1"));
        assert!(id("::ffff:127.0.0.1").is_loopback() && id("::1").is_loopback());
    }

    #[test]
    fn its_text_parses_to_the_same_caller() {
        for text in ["192.0.2.1", "2001:db8::1", "::1"] {
            assert_eq!(id(&id(text).to_string()), id(text));
        }
    }
}
