//! Which peers are remembered when there are more than the table holds.
//!
//! Whoever is admitted may tell of peers that are not there. A table that took them all as they come would be full of them a second
//! later, and so would those of all to whom they are passed on: nobody who comes then could be dialled. So what one peer tells
//! of others takes a share of the table and no more ([`TELLER_SHARE`]), and in a full one a peer that speaks for itself, or that we found
//! ourselves, takes the place of one that is hearsay and was never reached.

use super::whereabouts::{Source, Whereabouts, bounded};
use super::{DIAL_MOVED, Member, Membership};
use crate::id::PeerId;
use crate::time::Time;
use crate::wire::{PEER_RECORDS_MAX, PeerRecord};

/// One peer may tell of a share of 1 / 8 of the table, and of as many as fit one message in any case.
const TELLER_SHARE: usize = 8;

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
            match self.members.get_mut(&record.peer) {
                Some(member) => {
                    if !member.places.learn(source, &addresses) {
                        continue;
                    }
                    // It is somewhere else, or reached by way of somebody now.
                    if !member.refused {
                        member.dial_after = member.dial_after.min(now + DIAL_MOVED);
                    }
                }
                None => {
                    let teller = from.filter(|teller| *teller != record.peer);
                    if !self.makes_room(teller) {
                        continue;
                    }
                    let dial_after = now + self.turn(record.peer);
                    let mut places = Whereabouts::default();
                    places.learn(source, &addresses);
                    self.members.insert(record.peer, Member::new(places, teller, dial_after));
                }
            }
            news.push(PeerRecord { peer: record.peer, addresses });
        }
        news
    }

    /// Whether there is a place for one more, of whom `teller` tells (`None`: itself, or we found it).
    fn makes_room(&mut self, teller: Option<PeerId>) -> bool {
        let is_full = self.members.len() >= self.members_max;
        if teller.is_some() {
            let told = self.members.values().filter(|member| member.teller == teller && !member.reached).count();
            return !is_full && told < (self.members_max / TELLER_SHARE).max(PEER_RECORDS_MAX);
        }
        if is_full {
            let is_hearsay = |(_, member): &(&PeerId, &Member)| member.teller.is_some() && !member.reached;
            let hearsay: Vec<PeerId> = self.members.iter().filter(is_hearsay).map(|(&peer, _)| peer).collect();
            let Some(gone) = super::diversity::drawn(&hearsay, &mut self.rng) else { return false };
            self.members.remove(&gone);
        }
        true
    }
}
