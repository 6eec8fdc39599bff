//! Places for connections: so many in all, and so many for one address.

use std::{
    net::{IpAddr, Ipv6Addr},
    sync::Arc,
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{Share, Shares};

/// Of an IPv6 address, what its owner cannot choose: whoever has one has 2^64 of them.
const NETWORK: u128 = !0 << 64;

/// All places of one listener.
pub(super) struct Places {
    all: Arc<Semaphore>,
    shares: Shares<IpAddr>,
    is_spared: fn(IpAddr) -> bool,
}

/// A place that nobody has yet.
pub(super) struct FreePlace<'a> {
    places: &'a Places,
    permit: Option<OwnedSemaphorePermit>,
}

/// A place that somebody has; free again when dropped.
pub(super) struct Place {
    _permit: Option<OwnedSemaphorePermit>,
    _share: Option<Share<IpAddr>>,
}

impl Places {
    /// `all` places, of which one address gets `share`, unless it is spared that.
    pub(super) fn new(all: usize, share: usize, is_spared: fn(IpAddr) -> bool) -> Self {
        Self { all: Arc::new(Semaphore::new(all)), shares: Shares::new(share), is_spared }
    }

    /// Waits for a place.
    pub(super) async fn free(&self) -> FreePlace<'_> {
        // It is never closed.
        FreePlace { places: self, permit: Arc::clone(&self.all).acquire_owned().await.ok() }
    }
}

impl FreePlace<'_> {
    /// Gives it to `peer`, unless that has its share.
    pub(super) fn of(self, peer: IpAddr) -> Option<Place> {
        let owner = owner_of(peer);
        let share = if (self.places.is_spared)(owner) { None } else { Some(self.places.shares.take(owner)?) };
        Some(Place { _permit: self.permit, _share: share })
    }
}

fn owner_of(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(address) if !address.is_loopback() => Ipv6Addr::from_bits(address.to_bits() & NETWORK).into(),
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether these have the place they asked for, one after the other, none of whom leaves.
    async fn have_places(places: &Places, peers: &[&str]) -> Vec<bool> {
        let mut taken = Vec::new();
        for peer in peers {
            taken.push(places.free().await.of(peer.parse().unwrap()));
        }
        taken.iter().map(Option::is_some).collect()
    }

    #[tokio::test]
    async fn an_address_has_its_share_and_leaves_the_rest_to_others() {
        let places = Places::new(10, 2, |peer| peer.is_loopback());
        let mut peers = vec!["192.0.2.1", "192.0.2.1", "192.0.2.1", "::ffff:192.0.2.1", "192.0.2.2"];
        assert_eq!(have_places(&places, &peers).await, [true, true, false, false, true]);
        // All have left.
        assert!(places.shares.is_empty());
        peers.truncate(2);
        assert_eq!(have_places(&places, &peers).await, [true, true]);
        assert_eq!(have_places(&places, &["127.0.0.1"; 3]).await, [true; 3]);
        assert_eq!(have_places(&places, &["::1"; 3]).await, [true; 3]);
    }

    #[tokio::test]
    async fn a_network_of_version_6_is_one_address() {
        let places = Places::new(10, 2, |peer| peer.is_loopback());
        let peers = ["2001:db8::1", "2001:db8::2", "2001:db8::ffff:1", "2001:db8:0:1::1"];
        assert_eq!(have_places(&places, &peers).await, [true, true, false, true]);
    }
}
