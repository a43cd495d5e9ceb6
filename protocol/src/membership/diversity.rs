//! Neighbours for diversity: nobody can fill all places of a peer and so decide what it hears (an eclipse).
//!
//! Whoever holds the key can run many peers, dial fast, and never leave. Three rules keep a part of the neighbours out of
//! its hands:
//! 1. **The oldest half stays.** It is let go of neither for a newcomer nor as surplus; whoever comes later, in whatever
//!    number, contends for the other half only. (An attacker says it has few neighbours, and so honest ones look richer.)
//! 2. **Whom to dial is drawn**, from a stream of numbers that nobody else knows: ids can be made to order, and the
//!    smallest used to come first.
//! 3. **The other half is refreshed**: once every [`REFRESH`] a peer that has all the neighbours it wants dials one more that
//!    it draws among those it knows, and lets one of the younger half go, drawn too. So even a peer whose places were
//!    all taken at its start finds its way out, as long as it knows one honest address.
//!
//! paper: Heilman et al. 2015 (Bitcoin: outbound links of one's own choice); Bortnikov et al. 2009 (Brahms: what is old and
//! random survives floods). An attacker that was there first keeps its half of the places: what is gained is that it does not have
//! them all. The price is one link a minute. Only in the mode `incremental`: a round waits for its
//! neighbours, and an edge of `pairwise` is two replicas.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::Rng as _;

use super::Membership;
use crate::id::PeerId;
use crate::time::{Span, Time};
use crate::wire::PeerRecord;

/// Time between two refreshes. guess: long against an exchange, short against a training run.
pub const REFRESH: Span = Span::from_secs(60);

/// What a refresh does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refresh {
    /// Whom to dial beyond the usual number.
    pub dial: PeerRecord,
    /// Whom to let go, when there is one more than needed.
    pub leave: Option<PeerId>,
}

impl Membership {
    /// The neighbours that came last: all but the oldest half, in order of id.
    #[must_use]
    pub fn younger_half(&self) -> Vec<PeerId> {
        let mut by_age: Vec<_> = self.neighbours.iter().map(|(&peer, neighbour)| (neighbour.since, peer)).collect();
        by_age.sort_unstable();
        let mut younger: Vec<_> =
            by_age.split_off(by_age.len().div_ceil(2)).into_iter().map(|(_, peer)| peer).collect();
        younger.sort_unstable();
        younger
    }

    /// Once every [`REFRESH`], for a peer that has `target` neighbours and knows somebody else.
    pub fn refresh(&mut self, now: Time, target: usize) -> Option<Refresh> {
        if now < self.refresh_after {
            return None;
        }
        // The first one after half to one and a half of the time, so that a swarm does not turn all at once.
        let first = self.refresh_after == Time(0);
        self.refresh_after = now + if first { Span(REFRESH.0 / 2 + self.rng.next_u64() % REFRESH.0) } else { REFRESH };
        if first || self.neighbours.len() < target {
            return None;
        }
        let is_stranger = |peer: &PeerId| !self.neighbours.contains_key(peer);
        let due = self.members.iter().filter(|(peer, member)| is_stranger(peer) && member.dial_after <= now);
        let due: Vec<PeerId> = due.map(|(&peer, _)| peer).collect();
        let chosen = drawn(&due, &mut self.rng)?;
        let leave = if self.neighbours.len() > target { drawn(&self.younger_half(), &mut self.rng) } else { None };
        let member = self.members.get_mut(&chosen)?;
        member.dial_after = now + member.pause(now);
        Some(Refresh { dial: PeerRecord { peer: chosen, addresses: member.places.to_dial() }, leave })
    }
}

/// One of them. The bias of the remainder is below 2^-51 for 4096.
pub(super) fn drawn(peers: &[PeerId], rng: &mut ChaCha8Rng) -> Option<PeerId> {
    peers.get((rng.next_u64() % peers.len().max(1) as u64) as usize).copied()
}

/// `room` of them, in order of id.
pub(super) fn draw(mut peers: Vec<PeerId>, room: usize, rng: &mut ChaCha8Rng) -> Vec<PeerId> {
    let room = room.min(peers.len());
    // When there is room for all nothing is drawn: a small swarm does not depend on it.
    if room < peers.len() {
        for i in 0..room {
            let rest = (peers.len() - i) as u64;
            peers.swap(i, i + (rng.next_u64() % rest) as usize);
        }
        peers.truncate(room);
        peers.sort_unstable();
    }
    peers
}

#[cfg(test)]
mod tests {
    #![allow(clippy::expect_used, reason = "a test fails by panicking")]
    use std::collections::BTreeSet;

    use super::super::MEMBERS_MAX;
    use super::*;

    const TARGET: usize = 8;
    const PLACES: usize = 32;

    fn peer(i: u16) -> PeerId {
        let mut id = [0; 32];
        id[..2].copy_from_slice(&i.to_be_bytes());
        PeerId(id)
    }

    fn record(i: u16) -> PeerRecord {
        PeerRecord { peer: peer(i), addresses: vec!["/ip4/192.0.2.7/tcp/1".into()] }
    }

    /// Attackers have the small ids, which come first in every list, and a peer of their own for every place.
    fn is_attacker(peer: PeerId) -> bool {
        peer.0[0] < 4
    }

    /// `table` for so long: whoever is dialled comes, and attackers take every place that is free. Gives the seconds in
    /// which some neighbour was honest.
    fn live(table: &mut Membership, minutes: u64) -> u64 {
        let mut in_touch = 0;
        let from = table.neighbours().map(|(_, neighbour)| neighbour.since).max().unwrap_or(Time(0));
        for second in 1..=60 * minutes {
            let now = from + Span::from_secs(second);
            let refresh = table.refresh(now, TARGET);
            if let Some(gone) = refresh.as_ref().and_then(|refresh| refresh.leave) {
                table.disconnected(gone, now);
            }
            let wanted = table.to_dial(now, TARGET).into_iter().chain(refresh.map(|refresh| refresh.dial));
            for record in wanted.collect::<Vec<_>>() {
                if table.neighbour_count() < PLACES {
                    table.connected(record.peer, now);
                }
            }
            for attacker in 0..PLACES as u16 {
                if table.neighbour_count() < PLACES && table.neighbour(peer(attacker)).is_none() {
                    table.connected(peer(attacker), now);
                }
            }
            in_touch += u64::from(honest(table) > 0);
        }
        in_touch
    }

    fn honest(table: &Membership) -> usize {
        table.neighbours().filter(|(peer, _)| !is_attacker(*peer)).count()
    }

    #[test]
    fn a_flood_of_newcomers_does_not_displace_who_was_there() {
        let mut table = Membership::new(peer(u16::MAX), MEMBERS_MAX, 1);
        table.learn(None, (2000..2008).map(record).collect(), Time(0));
        for i in 2000..2008 {
            table.connected(peer(i), Time(0));
        }
        table.learn(None, (0..64).map(record).collect(), Time(1));
        assert_eq!(live(&mut table, 120), 7200);
        assert_eq!(table.neighbour_count(), PLACES);
        assert_eq!(honest(&table), 8, "all of them are among the oldest half");
    }

    #[test]
    fn whoever_was_surrounded_from_the_start_gets_out() {
        let (mut out, mut in_touch) = (0, 0);
        for seed in 0..20 {
            let mut table = Membership::new(peer(u16::MAX), MEMBERS_MAX, seed);
            for i in 0..PLACES as u16 {
                table.connected(peer(i), Time(0));
            }
            // Of those it has heard of one in nine is honest.
            for i in 0..8 {
                table.learn(None, (64 * i..64 * (i + 1)).map(record).collect(), Time(0));
                table.learn(None, (2000 + 8 * i..2008 + 8 * i).map(record).collect(), Time(0));
            }
            let seconds = live(&mut table, 60);
            out += usize::from(seconds > 0);
            in_touch += seconds;
        }
        assert!(out >= 19, "{out} of 20 within an hour");
        // An honest neighbour of the younger half is drawn to leave, too, after 16 minutes in the mean.
        assert!(in_touch > 20 * 1800, "{in_touch} s of 20 hours");
    }

    #[test]
    fn small_ids_are_not_dialled_first() {
        let mut first = BTreeSet::new();
        for seed in 0..20 {
            let mut table = Membership::new(peer(0), MEMBERS_MAX, seed);
            table.learn(None, (1..=60).map(record).collect(), Time(0));
            let dialled: Vec<_> = table.to_dial(Time(0), 4).into_iter().map(|record| record.peer).collect();
            assert_eq!(dialled.len(), 4);
            assert!(dialled.is_sorted());
            first.extend(dialled);
        }
        assert!(first.len() > 30, "80 draws of 60: {}", first.len());
    }

    #[test]
    fn nobody_is_let_go_where_nobody_else_is_known() {
        let mut table = Membership::new(peer(u16::MAX), MEMBERS_MAX, 1);
        table.learn(None, (1..=12).map(record).collect(), Time(0));
        for i in 1..=12 {
            table.connected(peer(i), Time(0));
        }
        for second in 0..600 {
            assert_eq!(table.refresh(Time(0) + Span::from_secs(second), TARGET), None);
        }
    }
}
