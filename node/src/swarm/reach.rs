//! How others reach us, and whom we ask to relay when they cannot.
//!
//! ```text
//! a member has dialled a public address of this machine, or AutoNAT or UPnP has confirmed one  -> reachable; relays for others
//! nothing of that for RESERVE_AFTER                                                            -> up to RELAYS_MAX reservations
//! ```
//!
//! Only members with a public address are asked: within one network peers reach each other anyway. A decision as plain
//! data: events in, [`Wish`]es out.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use libp2p::Multiaddr;
use libp2p::core::transport::ListenerId;
use libp2p::multiaddr::Protocol;
use protocol::id::PeerId;

use super::address::{Way, ip, way};
use super::candidates::Claims;

/// How long a peer waits for a proof that it is reachable. AutoNAT asks every five seconds.
const RESERVE_AFTER: Duration = Duration::from_secs(12);
/// Relays that a peer waits at: one may go.
const RELAYS_MAX: usize = 2;
/// A relay that refused, or was lost, is asked again after this.
const RETRY_AFTER: Duration = Duration::from_secs(60);
/// Addresses of ours that are believed; more than a machine has.
const CONFIRMED_MAX: usize = 16;

/// What is to be done.
#[derive(Debug, PartialEq)]
pub(crate) enum Wish {
    /// Listen at this relayed address, and say [`Reach::reserving`] or [`Reach::refused`].
    Reserve(PeerId, Multiaddr),
    /// Give this reservation back.
    GiveBack(ListenerId),
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Reach {
    /// Addresses at which others have reached us: a member may say so of any.
    confirmed: Claims<CONFIRMED_MAX>,
    /// Linked members that relay, at their public address.
    relays: BTreeMap<PeerId, Multiaddr>,
    reserved: BTreeMap<PeerId, ListenerId>,
    not_before: BTreeMap<PeerId, Instant>,
    /// Since when there is somebody to ask.
    since: Option<Instant>,
}

impl Reach {
    /// An address of ours works. Returns whether that is news.
    pub(crate) fn confirmed(&mut self, address: Multiaddr, now: Instant) -> bool {
        !self.confirmed.renew(&address, now) && self.confirmed.enter(address, now)
    }

    /// It does not work any more. Returns whether it did.
    pub(crate) fn expired(&mut self, address: &Multiaddr) -> bool {
        self.confirmed.remove(address)
    }

    /// Addresses at which others have reached us.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = &Multiaddr> {
        self.confirmed.addresses()
    }

    /// Whether anyone anywhere can reach us.
    fn is_public(&self) -> bool {
        self.confirmed.addresses().any(is_public)
    }

    /// A linked member tells where it is reached, and whether it relays.
    pub(crate) fn heard(&mut self, peer: PeerId, relays: bool, addresses: &[Multiaddr]) {
        match addresses.iter().find(|address| is_public(address)) {
            Some(address) if relays => drop(self.relays.insert(peer, address.clone())),
            _ => drop(self.relays.remove(&peer)),
        }
    }

    /// The link to that member is down.
    pub(crate) fn gone(&mut self, peer: PeerId) {
        self.relays.remove(&peer);
    }

    /// It was asked.
    pub(crate) fn reserving(&mut self, peer: PeerId, listener: ListenerId) {
        self.reserved.insert(peer, listener);
    }

    /// It could not be asked.
    pub(crate) fn refused(&mut self, peer: PeerId, now: Instant) {
        self.not_before.insert(peer, now + RETRY_AFTER);
    }

    /// A reservation is over, or came to nothing.
    pub(crate) fn closed(&mut self, listener: ListenerId, now: Instant) {
        let lost = self.reserved.iter().find(|&(_, &of)| of == listener).map(|(&peer, _)| peer);
        if let Some(peer) = lost {
            self.reserved.remove(&peer);
            self.refused(peer, now);
        }
    }

    /// What to do next; to be asked again until there is nothing.
    pub(crate) fn wish(&mut self, now: Instant) -> Option<Wish> {
        self.not_before.retain(|_, &mut again| again > now);
        if self.is_public() {
            self.since = None;
            return self.reserved.pop_first().map(|(_, listener)| Wish::GiveBack(listener));
        }
        if self.relays.is_empty() {
            self.since = None;
            return None;
        }
        let since = *self.since.get_or_insert(now);
        if now.saturating_duration_since(since) < RESERVE_AFTER || self.reserved.len() >= RELAYS_MAX {
            return None;
        }
        let is_free = |peer: &PeerId| !self.reserved.contains_key(peer) && !self.not_before.contains_key(peer);
        let (&peer, address) = self.relays.iter().find(|(peer, _)| is_free(peer))?;
        Some(Wish::Reserve(peer, address.clone()))
    }
}

/// Whether the address can be dialled from anywhere, directly.
pub(crate) fn is_public(address: &Multiaddr) -> bool {
    way(address).is_some_and(|way| way != Way::Relayed) && ip(address).is_some_and(is_public_ip)
}

fn is_public_ip(ip: IpAddr) -> bool {
    // RFC 6598: shared by the customers of a carrier.
    let is_carrier = |ip: Ipv4Addr| ip.octets()[0] == 100 && ip.octets()[1] & 0xc0 == 64;
    match ip {
        IpAddr::V4(ip) => {
            !(ip.is_private() || ip.is_loopback() || ip.is_link_local() || ip.is_unspecified() || is_carrier(ip))
        }
        IpAddr::V6(ip) => {
            !(ip.is_loopback() || ip.is_unspecified() || ip.is_unicast_link_local() || ip.is_unique_local())
        }
    }
}

/// The address of `us` by way of a relay.
pub(crate) fn through(relay: Multiaddr, id: libp2p::PeerId) -> Multiaddr {
    relay.with(Protocol::P2p(id)).with(Protocol::P2pCircuit)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::super::candidates::REPLACE_AFTER;
    use super::*;

    fn address(text: &str) -> Multiaddr {
        text.parse().unwrap()
    }

    #[test]
    fn who_is_not_reached_waits_at_two_relays_and_leaves_when_it_is() {
        let (mut reach, start) = (Reach::default(), Instant::now());
        let public = address("/ip4/203.0.113.1/tcp/4001");
        for id in 1..=3 {
            reach.heard(PeerId([id; 32]), true, &[address("/ip4/10.0.0.1/tcp/1"), public.clone()]);
        }
        assert_eq!(reach.wish(start), None, "AutoNAT has a moment");
        let now = start + RESERVE_AFTER;
        for id in [1, 2] {
            assert_eq!(reach.wish(now), Some(Wish::Reserve(PeerId([id; 32]), public.clone())));
            reach.reserving(PeerId([id; 32]), ListenerId::next());
        }
        assert_eq!(reach.wish(now), None, "two will do");
        let lost = reach.reserved[&PeerId([1; 32])];
        reach.closed(lost, now);
        assert_eq!(reach.wish(now), Some(Wish::Reserve(PeerId([3; 32]), public.clone())), "another one first");
        reach.gone(PeerId([3; 32]));
        assert_eq!(reach.wish(now), None);
        assert_eq!(reach.wish(now + RETRY_AFTER), Some(Wish::Reserve(PeerId([1; 32]), public.clone())));

        assert!(reach.confirmed(address("/ip4/192.168.1.5/tcp/4001"), now));
        assert!(matches!(reach.wish(now + RETRY_AFTER), Some(Wish::Reserve(..))), "that is in our own network");
        assert!(reach.confirmed(address("/ip4/203.0.113.9/udp/4001/quic-v1"), now));
        assert!(matches!(reach.wish(now), Some(Wish::GiveBack(_))));
        assert_eq!(reach.wish(now), None);
    }

    #[test]
    fn what_is_claimed_without_end_shuts_nothing_out_for_good() {
        let (mut reach, start) = (Reach::default(), Instant::now());
        let claimed = |i: u8| address(&format!("/ip4/203.0.113.{i}/tcp/1"));
        assert_eq!((0..200).filter(|&i| reach.confirmed(claimed(i), start)).count(), CONFIRMED_MAX + 1);
        let true_one = address("/ip4/198.51.100.1/tcp/1");
        assert!(!reach.confirmed(true_one.clone(), start));
        assert!(reach.confirmed(true_one.clone(), start + REPLACE_AFTER));
        // What is found to be right again and again is never the oldest.
        for minute in 2..40 {
            reach.confirmed(true_one.clone(), start + minute * REPLACE_AFTER);
            reach.confirmed(claimed(minute as u8), start + minute * REPLACE_AFTER);
        }
        assert!(reach.addresses().any(|address| *address == true_one));
        assert_eq!(reach.addresses().count(), CONFIRMED_MAX);
    }

    #[test]
    fn members_of_ones_own_network_are_no_relays() {
        let (mut reach, start) = (Reach::default(), Instant::now());
        reach.heard(PeerId([1; 32]), true, &[address("/ip4/192.168.1.5/tcp/4001")]);
        reach.heard(PeerId([2; 32]), false, &[address("/ip4/203.0.113.1/tcp/4001")]);
        reach.heard(PeerId([3; 32]), true, &[through(address("/ip4/203.0.113.1/tcp/4001"), libp2p::PeerId::random())]);
        assert_eq!(reach.wish(start), None);
        assert_eq!(reach.wish(start + RESERVE_AFTER), None);
    }

    #[test]
    fn what_is_public() {
        for (text, public) in [
            ("/ip4/203.0.113.1/tcp/1", true),
            ("/ip4/10.1.2.3/tcp/1", false),
            ("/ip4/100.64.0.1/tcp/1", false),
            ("/ip4/100.128.0.1/tcp/1", true),
            ("/ip4/169.254.0.1/tcp/1", false),
            ("/ip6/2001:db8::1/tcp/1", true),
            ("/ip6/fd00::1/tcp/1", false),
        ] {
            assert_eq!(is_public(&address(text)), public, "{text}");
        }
    }
}
