//! What a neighbour has as far as we can tell: what it said itself, and beside that what passed between us since.
//!
//! There may be 64 neighbours, each of which names as many lives as a message holds; so its own word is kept once, whoever asks for it, and what is
//! beside it is bounded.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::id::{Origin, PeerId};
use crate::log::{Exclusions, VersionVector};
use crate::time::{Span, Time};
use crate::wire::ORIGINS_MAX;

/// Lives of which a neighbour has more than it said: half of those that it did not name, and these in any case. guess: of so many in a second a link
/// carries deltas; what is not remembered is sent twice.
const MORE_MIN: usize = 1024;
/// Lives of which deltas to a neighbour are on their way: a quarter of those that it did not name, and these in any case. guess: the same, for half a
/// second.
const SENT_MIN: usize = 512;
/// Peers that a neighbour leaves out, and that is remembered of it. guess: no swarm excludes as many, and of the others it is sent what it does
/// not take.
const EXCLUSIONS_MAX: usize = 512;

/// See the module.
#[derive(Debug, Default)]
pub struct Known {
    /// In its own words.
    said: Arc<VersionVector>,
    /// Where it has more.
    more: VersionVector,
}

impl Known {
    /// Highest sequence number of `origin` that it has, 0 when we know of none.
    #[must_use]
    pub fn get(&self, origin: &Origin) -> u64 {
        self.said.get(origin).max(self.more.get(origin))
    }

    /// Whether it has any delta of that peer.
    #[must_use]
    pub fn names(&self, peer: PeerId) -> bool {
        self.said.names(peer) || self.more.names(peer)
    }

    /// Whether it has all of that.
    #[must_use]
    pub fn covers(&self, set: &VersionVector) -> bool {
        set.iter().all(|(origin, seq)| self.get(&origin) >= seq)
    }

    /// It has the deltas of `origin` up to that number. Returns whether that is remembered.
    pub fn raise(&mut self, origin: Origin, seq: u64) -> bool {
        if seq <= self.get(&origin) {
            return true;
        }
        let places = (self.unnamed() / 2).max(MORE_MIN);
        let remembered = self.more.get(&origin) > 0 || self.more.len() < places;
        if remembered {
            self.more.raise(origin, seq);
        }
        remembered
    }

    /// Of how many lives it is remembered what is on its way.
    pub(super) fn places_for_sent(&self) -> usize {
        (self.unnamed() / 4).max(SENT_MIN)
    }

    /// Lives that it could have named beside those that it did: who names few has room for what goes to it.
    fn unnamed(&self) -> usize {
        ORIGINS_MAX.saturating_sub(self.said.len())
    }

    /// Its own word, and no more than that.
    pub(super) fn replace(&mut self, said: Arc<VersionVector>) {
        (self.said, self.more) = (said, VersionVector::new());
    }

    /// What it takes of the heap.
    #[cfg(test)]
    pub(super) fn room(&self) -> usize {
        self.said.room() + self.more.room()
    }
}

/// What we sent lately: of each origin up to which number, and when.
#[derive(Debug, Default)]
pub(super) struct Sent(BTreeMap<Origin, (u64, Time)>);

impl Sent {
    /// Notes that it goes out, as far as there is one of so many places.
    pub(super) fn note(&mut self, origin: Origin, last: u64, now: Time, places: usize) {
        if self.0.len() < places || self.0.contains_key(&origin) {
            self.0.insert(origin, (last, now));
        }
    }

    pub(super) fn forget_older(&mut self, now: Time, kept: Span) {
        self.0.retain(|_, (_, at)| now - *at < kept);
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (Origin, u64)> + '_ {
        self.0.iter().map(|(&origin, &(seq, _))| (origin, seq))
    }
}

/// What a neighbour leaves out, as far as it is remembered: first what tells anything of a set like ours.
pub(super) fn remembered(theirs: Exclusions, ours: &VersionVector) -> Exclusions {
    if theirs.len() <= EXCLUSIONS_MAX {
        return theirs;
    }
    let others = theirs.iter().filter(|(about, _)| !ours.names(about.peer));
    theirs.within(ours).chain(others).take(EXCLUSIONS_MAX).collect()
}
