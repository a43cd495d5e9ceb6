//! What the swarm has agreed to leave out: per peer the first delta that does not count any more.
//!
//! An exclusion of `(peer, incarnation)` from `seq` on leaves out every delta of that life from `seq` on, and every delta of
//! later lives: a liar that restarts is still a liar. The log forgets what is left out and its version vector goes back
//! to `seq - 1`, so the version vector alone still names the base; the exclusions say which deltas can never come in again.
//! Two exclusions of one peer unite to the earlier one, so uniting commutes and every order ends in the same exclusions.
//!
//! Of a peer none of whose deltas is in a set there is nothing to leave out, so its exclusion is no part of the set's name: whoever
//! never heard of a peer need not know of its lies, and names that somebody invents to lie under fill nobody's tables.

use std::collections::BTreeMap;

use crate::id::{Hash, Origin, PeerId};
use crate::log::VersionVector;

/// Peer -> (incarnation, seq) of its first delta that is left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exclusions(BTreeMap<PeerId, (u64, u64)>);

impl Exclusions {
    /// Whether that delta is left out.
    #[must_use]
    pub fn covers(&self, origin: Origin, seq: u64) -> bool {
        self.0.get(&origin.peer).is_some_and(|&from| (origin.incarnation, seq) >= from)
    }

    /// Last number of `origin` that may count.
    #[must_use]
    pub fn last_allowed(&self, origin: Origin) -> u64 {
        self.0.get(&origin.peer).map_or(u64::MAX, |&from| allowed(from, origin.incarnation))
    }

    /// As [`Self::last_allowed`], when `about` were left out from `seq` on as well.
    pub(super) fn last_allowed_with(&self, (about, seq): (Origin, u64), origin: Origin) -> u64 {
        let also =
            if about.peer == origin.peer { allowed((about.incarnation, seq), origin.incarnation) } else { u64::MAX };
        self.last_allowed(origin).min(also)
    }

    /// That peer's deltas may come in again.
    pub(super) fn forget(&mut self, peer: PeerId) {
        self.0.remove(&peer);
    }

    /// Those of peers of which the set `heard` has any delta, in order of peer.
    pub fn within<'a>(&'a self, heard: &'a VersionVector) -> impl Iterator<Item = (Origin, u64)> + 'a {
        self.iter().filter(|(about, _)| heard.names(about.peer))
    }

    /// Leaves out `about` from `seq` on. Returns whether that is more than before.
    pub fn unite(&mut self, about: Origin, seq: u64) -> bool {
        let new = (about.incarnation, seq);
        let wider = self.0.get(&about.peer).is_none_or(|&old| new < old);
        if wider {
            self.0.insert(about.peer, new);
        }
        wider
    }

    /// Whether everything that `other` leaves out is left out here.
    #[must_use]
    pub fn include(&self, other: &Self) -> bool {
        other.iter().all(|(about, seq)| self.covers(about, seq))
    }

    /// The same, as far as it says anything of the set `heard`.
    #[must_use]
    pub fn include_within(&self, heard: &VersionVector, other: &Self) -> bool {
        other.within(heard).all(|(about, seq)| self.covers(about, seq))
    }

    /// Whether both say the same of the set `heard`.
    #[must_use]
    pub fn equal_within(&self, heard: &VersionVector, other: &Self) -> bool {
        self.within(heard).eq(other.within(heard))
    }

    /// Whether any delta of that peer is left out.
    #[must_use]
    pub fn names(&self, peer: PeerId) -> bool {
        self.0.contains_key(&peer)
    }

    /// (life, first number that is left out), in order of peer.
    pub fn iter(&self) -> impl Iterator<Item = (Origin, u64)> + '_ {
        self.0.iter().map(|(&peer, &(incarnation, seq))| (Origin { peer, incarnation }, seq))
    }

    /// Number of peers that are left out.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nothing is left out.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Name of the set `heard` under these exclusions; where they leave nothing of it out it is the name of the version vector.
    #[must_use]
    pub fn set_hash(&self, heard: &VersionVector) -> Hash {
        let mut within = self.within(heard).peekable();
        if within.peek().is_none() {
            return heard.hash();
        }
        let mut hasher = blake3::Hasher::new_derive_key("starling 3 set");
        hasher.update(&heard.hash().0);
        for (origin, seq) in within {
            hasher.update(&origin.peer.0);
            hasher.update(&origin.incarnation.to_le_bytes());
            hasher.update(&seq.to_le_bytes());
        }
        Hash(*hasher.finalize().as_bytes())
    }
}

/// Last number that may count of that life, when its peer is left out from there on.
fn allowed((incarnation, seq): (u64, u64), life: u64) -> u64 {
    match life.cmp(&incarnation) {
        std::cmp::Ordering::Less => u64::MAX,
        std::cmp::Ordering::Equal => seq.saturating_sub(1),
        std::cmp::Ordering::Greater => 0,
    }
}

impl FromIterator<(Origin, u64)> for Exclusions {
    fn from_iter<I: IntoIterator<Item = (Origin, u64)>>(entries: I) -> Self {
        let mut exclusions = Self::default();
        for (origin, seq) in entries {
            exclusions.unite(origin, seq);
        }
        exclusions
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn origin(peer: u8, incarnation: u64) -> Origin {
        Origin { peer: PeerId([peer; 32]), incarnation }
    }

    #[test]
    fn later_lives_are_left_out_and_earlier_ones_stay() {
        let exclusions: Exclusions = [(origin(1, 5), 10)].into_iter().collect();
        assert!(exclusions.covers(origin(1, 5), 10) && exclusions.covers(origin(1, 6), 1));
        assert!(!exclusions.covers(origin(1, 5), 9) && !exclusions.covers(origin(1, 4), 99));
        assert!(!exclusions.covers(origin(2, 9), 99));
        let last = |incarnation| exclusions.last_allowed(origin(1, incarnation));
        assert_eq!([last(4), last(5), last(6)], [u64::MAX, 9, 0]);
    }

    #[test]
    fn what_a_set_does_not_name_is_no_part_of_its_name() {
        let exclusions: Exclusions = [(origin(1, 5), 10)].into_iter().collect();
        let other: VersionVector = [(origin(2, 1), 3)].into_iter().collect();
        assert_eq!(exclusions.set_hash(&other), other.hash());
        assert_eq!(exclusions.within(&other).count(), 0);
        let named: VersionVector = [(origin(1, 4), 1), (origin(2, 1), 3)].into_iter().collect();
        assert_ne!(exclusions.set_hash(&named), named.hash());
        assert_eq!(exclusions.within(&named).count(), 1);
        let none = Exclusions::default();
        for (heard, same) in [(&other, true), (&named, false)] {
            assert_eq!((none.include_within(heard, &exclusions), none.equal_within(heard, &exclusions)), (same, same));
        }
    }

    proptest! {
        #[test]
        fn every_order_unites_to_the_same(entries in prop::collection::vec((0u8..3, 0u64..3, 1u64..5), 0..12), turn in 0usize..12) {
            let mut other = entries.clone();
            if !other.is_empty() {
                let by = turn % other.len();
                other.rotate_left(by);
            }
            let of = |list: &[(u8, u64, u64)]| -> Exclusions { list.iter().map(|&(p, i, s)| (origin(p, i), s)).collect() };
            let (a, b) = (of(&entries), of(&other));
            prop_assert_eq!(&a, &b);
            prop_assert!(a.include(&b));
            prop_assert!(entries.iter().all(|&(p, i, s)| a.covers(origin(p, i), s)));
        }
    }
}
