//! Which peers are remembered when there are more than the table holds.
//!
//! Whoever is admitted may tell of peers that are not there. A table that took them all as they come would be full of them a second
//! later, and so would those of all to whom they are passed on: nobody who comes then could be dialled. So what one peer tells
//! of others takes a share of the table and no more ([`TELLER_SHARE`]), what a look round the network finds takes half of it, and in a full one a
//! peer that speaks for itself takes the place of one that never did and was never reached. So does one that the network shows: of one that it
//! has shown before, or of other hearsay.

use super::whereabouts::{Source, Whereabouts, bounded};
use super::{DIAL_MOVED, Member, Membership, Teller};
use crate::id::PeerId;
use crate::time::Time;
use crate::wire::{PEER_RECORDS_MAX, PeerRecord};

/// One peer may tell of a share of 1 / 8 of the table, and of as many as fit one message in any case.
const TELLER_SHARE: usize = 8;
/// A look round the network, of a share of 1 / 2.
const NETWORK_SHARE: usize = 2;

impl Membership {
    /// Takes note of where peers are, as `from` says (`None`: we found out ourselves). Returns the records that are news.
    pub fn learn(&mut self, from: Option<PeerId>, records: Vec<PeerRecord>, now: Time) -> Vec<PeerRecord> {
        let mut news = Vec::new();
        for record in records.into_iter().take(PEER_RECORDS_MAX) {
            let addresses = bounded(record.addresses);
            if record.peer == self.us || addresses.is_empty() || self.banned.contains(&record.peer) {
                continue;
            }
            let source = if from == Some(record.peer) { Source::Itself } else { Source::Hearsay };
            let is_linked = self.neighbours.contains_key(&record.peer);
            match self.members.get_mut(&record.peer) {
                Some(member) => {
                    if source == Source::Itself {
                        member.teller = None;
                    }
                    if !member.places.learn(source, &addresses) {
                        continue;
                    }
                    // It is somewhere else, or reached by way of somebody now.
                    if !member.refused {
                        member.dial_after = member.dial_after.min(now + DIAL_MOVED);
                    }
                }
                None => {
                    let teller = match from {
                        Some(peer) if peer == record.peer => None,
                        Some(peer) => Some(Teller::Peer(peer)),
                        None => Some(Teller::Network),
                    };
                    if !self.makes_room(teller) {
                        continue;
                    }
                    let dial_after = now + self.turn(record.peer);
                    let mut places = Whereabouts::default();
                    places.learn(source, &addresses);
                    let reached = is_linked;
                    self.members.insert(record.peer, Member { reached, ..Member::new(places, teller, dial_after) });
                }
            }
            news.push(PeerRecord { peer: record.peer, addresses });
        }
        news
    }

    /// Whether there is a place for one more, of whom `teller` tells (`None`: itself).
    fn makes_room(&mut self, teller: Option<Teller>) -> bool {
        let is_full = self.members.len() >= self.members_max;
        let told =
            |of: Teller| self.members.values().filter(|member| member.teller == Some(of) && !member.reached).count();
        match teller {
            Some(peer @ Teller::Peer(_)) => {
                !is_full && told(peer) < (self.members_max / TELLER_SHARE).max(PEER_RECORDS_MAX)
            }
            Some(Teller::Network) if told(Teller::Network) >= self.members_max / NETWORK_SHARE => {
                self.forget_one(|teller| teller == Teller::Network)
            }
            _ if is_full => self.forget_one(|_| true),
            _ => true,
        }
    }

    /// Forgets, drawn at random, one that such a teller has told of and that was never reached. Whether there was one.
    fn forget_one(&mut self, is_such: impl Fn(Teller) -> bool) -> bool {
        let may_go = |(_, member): &(&PeerId, &Member)| member.teller.is_some_and(&is_such) && !member.reached;
        let those: Vec<PeerId> = self.members.iter().filter(may_go).map(|(&peer, _)| peer).collect();
        let Some(gone) = super::diversity::drawn(&those, &mut self.rng) else { return false };
        self.members.remove(&gone);
        true
    }
}
