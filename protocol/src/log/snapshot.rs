//! What a log does with the set of a snapshot: what of ours it lacks, what of that there is a place for, and how its set becomes ours.

use std::collections::BTreeSet;

use super::{Delta, Exclusions, Head, LIVES_TAKEN_MAX, Log, Tip, VersionVector};
use crate::id::Origin;
use crate::wire::Range;

/// What we have and a snapshot lacks.
#[derive(Debug, Default)]
pub struct Beyond {
    /// To be applied on top of it, in order.
    pub replay: Vec<Delta>,
    /// Origins of whom it lacks deltas that our log no longer holds, or for which there is no place.
    pub gone: Vec<Origin>,
    /// Origins that it has other deltas of than we, under numbers of ours: a liar's, and the base to come holds what it said there.
    pub contradicted: Vec<Origin>,
}

impl Log {
    /// What we have beyond a snapshot with these heads, of which chains of `own` have a place in any case. Of lives that only we have heard no more
    /// are kept than both sets together may hold: those beyond are gone, and what we say of the union is within everybody's bounds.
    #[must_use]
    pub fn beyond_within_bounds(&self, own: Origin, heads: &[Head], excluded: &Exclusions) -> Beyond {
        let theirs = heard_of(heads);
        let mut beyond = self.beyond(heads, excluded);
        let only_ours = self.heard.iter().map(|(origin, _)| origin).filter(|origin| theirs.get(origin) == 0);
        // What an exclusion takes out, and what is gone anyway, needs no place.
        let gone: BTreeSet<Origin> = beyond.gone.iter().copied().collect();
        let kept =
            |origin: &Origin| *origin != own && excluded.last_allowed(*origin) == u64::MAX && !gone.contains(origin);
        let places = LIVES_TAKEN_MAX.saturating_sub(theirs.len());
        let without: BTreeSet<Origin> = only_ours.filter(kept).skip(places).collect();
        beyond.replay.retain(|delta| !without.contains(&delta.origin()));
        beyond.gone.extend(without);
        beyond
    }

    /// What we have beyond a snapshot with these heads.
    #[must_use]
    pub fn beyond(&self, heads: &[Head], excluded: &Exclusions) -> Beyond {
        let theirs = heard_of(heads);
        let mut beyond = Beyond { contradicted: self.contradicted_by(heads), ..Beyond::default() };
        for (origin, first, last) in self.heard.ahead_of(&theirs) {
            if excluded.last_allowed(origin) != u64::MAX || beyond.contradicted.contains(&origin) {
                continue; // The giver's share of an excluded life is taken as it is; see `adopt`.
            }
            if self.first_retained(origin) > first {
                beyond.gone.push(origin);
            } else {
                beyond.replay.extend(self.range(Range { origin, first, last }).cloned());
            }
        }
        beyond
    }

    /// Whose chains these heads are no part of, as far as we know the hash of ours.
    fn contradicted_by(&self, heads: &[Head]) -> Vec<Origin> {
        let others =
            heads.iter().filter(|head| self.hash_of(head.origin, head.seq).is_some_and(|ours| ours != head.hash));
        others.map(|head| head.origin).collect()
    }

    /// Forgets these origins altogether: their deltas are in no base that we will hold.
    pub fn renounce(&mut self, origins: &[Origin]) {
        for &origin in origins {
            self.drop_retained(origin);
            self.drop_held(origin, u64::MAX);
        }
        self.forget_heads(&origins.iter().copied().collect());
    }

    /// Takes over the set of a snapshot whose base replaces ours. What we have beyond it stays; what waited and is next
    /// now is returned, to be applied after the replay.
    pub fn adopt(&mut self, heads: &[Head], excluded: &Exclusions) -> Vec<Delta> {
        let mut ready = Vec::new();
        for (about, seq) in excluded.iter() {
            self.excluded.unite(about, seq);
        }
        self.drop_excluded_waiting();
        let ours = self.heard.iter().map(|(origin, _)| origin);
        let anew: BTreeSet<_> = ours.filter(|&origin| excluded.last_allowed(origin) != u64::MAX).collect();
        anew.iter().for_each(|&origin| self.drop_retained(origin));
        self.forget_heads(&anew);
        for &Head { origin, seq, hash, samples } in heads {
            if seq <= self.heard.get(&origin) {
                continue;
            }
            self.drop_retained(origin);
            self.heard.set(origin, seq);
            self.heads.insert(origin, Tip { hash, samples });
            self.drop_held(origin, seq);
            self.release(origin, &mut ready);
        }
        ready
    }
}

/// The set that these heads end.
#[must_use]
pub fn heard_of(heads: &[Head]) -> VersionVector {
    heads.iter().map(|head| (head.origin, head.seq)).collect()
}
