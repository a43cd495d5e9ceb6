//! Dials in waves: the better ways to a peer first, the others when those fail or take too long.
//!
//! ```text
//! at once      TCP       is there sooner, and carries as much and more (docs/performance.md)
//! + 1 s        QUIC      where TCP does not pass, and through many NATs
//! + 3 s        relayed   a third peer carries it: better than no link
//! ```
//!
//! A wave whose predecessors have all failed does not wait for its time. (RFC 8305, "happy eyeballs", does the same for
//! IPv6 and IPv4.) When two waves reach the peer, [`super::places`] keeps one link, and never the relayed one.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use libp2p::Multiaddr;
use libp2p::swarm::ConnectionId;
use protocol::id::PeerId;

use super::address::{Way, way};

/// How long TCP has for itself. guess: four round trips (TCP, Noise, Yamux, our stream) of a slow path.
const QUIC_AFTER: Duration = Duration::from_secs(1);
/// How long the direct ways have for themselves. guess: a lost first packet is said again after 1 s.
const RELAYED_AFTER: Duration = Duration::from_secs(3);

/// Addresses that are dialled together.
#[derive(Debug)]
struct Wave {
    due: Instant,
    addresses: Vec<Multiaddr>,
}

/// What is under way to one peer.
#[derive(Debug)]
struct Attempt {
    waves: VecDeque<Wave>,
    dials: BTreeSet<ConnectionId>,
}

/// All attempts.
#[derive(Debug, Default)]
pub(crate) struct Dialer(BTreeMap<PeerId, Attempt>);

impl Dialer {
    /// Begins an attempt, unless one is under way. False when none of the addresses is of use.
    pub(crate) fn begin(&mut self, peer: PeerId, addresses: Vec<Multiaddr>, now: Instant) -> bool {
        let mut by_way: BTreeMap<Way, Vec<Multiaddr>> = BTreeMap::new();
        for address in addresses {
            if let Some(way) = way(&address) {
                by_way.entry(way).or_default().push(address);
            }
        }
        let after = |way| match way {
            Way::Tcp => Duration::ZERO,
            Way::Quic => QUIC_AFTER,
            Way::Relayed => RELAYED_AFTER,
        };
        let waves = by_way.into_iter().map(|(way, addresses)| Wave { due: now + after(way), addresses });
        let attempt = Attempt { waves: waves.collect(), dials: BTreeSet::new() };
        !attempt.waves.is_empty() && {
            self.0.entry(peer).or_insert(attempt);
            true
        }
    }

    /// A wave to dial now; it is to be answered by [`Self::dialled`] or [`Self::not_dialled`].
    pub(crate) fn next_due(&mut self, now: Instant) -> Option<(PeerId, Vec<Multiaddr>)> {
        let is_due =
            |attempt: &Attempt| attempt.waves.front().is_some_and(|wave| attempt.dials.is_empty() || wave.due <= now);
        let (&peer, attempt) = self.0.iter_mut().find(|(_, attempt)| is_due(attempt))?;
        attempt.waves.pop_front().map(|wave| (peer, wave.addresses))
    }

    /// A wave is under way.
    pub(crate) fn dialled(&mut self, peer: PeerId, connection: ConnectionId) {
        if let Some(attempt) = self.0.get_mut(&peer) {
            attempt.dials.insert(connection);
        }
    }

    /// A wave could not even be begun. Returns whether the attempt is over with it.
    pub(crate) fn not_dialled(&mut self, peer: PeerId) -> bool {
        let is_over = self.0.get(&peer).is_some_and(|attempt| attempt.waves.is_empty() && attempt.dials.is_empty());
        if is_over {
            self.0.remove(&peer);
        }
        is_over
    }

    /// A dial came to nothing. Returns whom it was to reach, when the attempt is over with it.
    pub(crate) fn failed(&mut self, connection: ConnectionId) -> Option<PeerId> {
        let (&peer, attempt) = self.0.iter_mut().find(|(_, attempt)| attempt.dials.contains(&connection))?;
        attempt.dials.remove(&connection);
        self.not_dialled(peer).then_some(peer)
    }

    /// There is a connection to that peer, whoever dialled it: no further waves.
    pub(crate) fn reached(&mut self, peer: PeerId) {
        self.0.remove(&peer);
    }

    /// Whether an attempt is under way.
    pub(crate) fn is_dialling(&self, peer: PeerId) -> bool {
        self.0.contains_key(&peer)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    const TCP: &str = "/ip4/192.0.2.7/tcp/4001";
    const QUIC: &str = "/ip4/192.0.2.7/udp/4001/quic-v1";
    const RELAYED: &str =
        "/ip4/192.0.2.9/tcp/4001/p2p/12D3KooWGzBXWNvHpLALvz3jhwdBWcKUCvBUyUhCXbcjm6yrP4Dg/p2p-circuit";

    fn addresses(texts: &[&str]) -> Vec<Multiaddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn connection(id: usize) -> ConnectionId {
        ConnectionId::new_unchecked(id)
    }

    #[test]
    fn the_better_way_has_a_head_start() {
        let (mut dialer, now, peer) = (Dialer::default(), Instant::now(), PeerId([1; 32]));
        assert!(dialer.begin(peer, addresses(&[RELAYED, QUIC, TCP]), now));
        assert_eq!(dialer.next_due(now), Some((peer, addresses(&[TCP]))));
        dialer.dialled(peer, connection(1));
        assert_eq!(dialer.next_due(now + Duration::from_millis(999)), None);
        assert_eq!(dialer.next_due(now + QUIC_AFTER), Some((peer, addresses(&[QUIC]))));
        dialer.dialled(peer, connection(2));
        assert_eq!(dialer.next_due(now + QUIC_AFTER), None, "the relayed way has to wait");
        assert_eq!(dialer.next_due(now + RELAYED_AFTER), Some((peer, addresses(&[RELAYED]))));
        dialer.dialled(peer, connection(3));
        assert_eq!(dialer.failed(connection(1)), None);
        assert_eq!(dialer.failed(connection(3)), None);
        assert_eq!(dialer.failed(connection(2)), Some(peer), "the last one has failed");
        assert!(!dialer.is_dialling(peer));
    }

    #[test]
    fn a_way_that_fails_is_not_waited_for() {
        let (mut dialer, now, peer) = (Dialer::default(), Instant::now(), PeerId([1; 32]));
        assert!(dialer.begin(peer, addresses(&[TCP, QUIC]), now));
        dialer.next_due(now).unwrap();
        dialer.dialled(peer, connection(1));
        assert_eq!(dialer.failed(connection(1)), None);
        assert_eq!(dialer.next_due(now), Some((peer, addresses(&[QUIC]))));
        assert!(dialer.not_dialled(peer), "nothing is left to try");
    }

    #[test]
    fn nothing_more_is_dialled_once_the_peer_is_reached() {
        let (mut dialer, now, peer) = (Dialer::default(), Instant::now(), PeerId([1; 32]));
        assert!(dialer.begin(peer, addresses(&[TCP, QUIC]), now));
        dialer.next_due(now).unwrap();
        dialer.dialled(peer, connection(1));
        dialer.reached(peer);
        assert_eq!(dialer.next_due(now + QUIC_AFTER), None);
        assert_eq!(dialer.failed(connection(1)), None);
        assert!(!dialer.begin(peer, addresses(&["/ip4/192.0.2.7/udp/4001"]), now), "no way that we go");
    }
}
