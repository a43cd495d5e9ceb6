//! Leaving out of the set what the swarm has excluded, and what is left out.

use std::collections::{BTreeSet, VecDeque};

use super::{Delta, Log, Tip, claimed};
use crate::id::{Hash, Origin, PeerId};
use crate::wire::Range;

impl Log {
    /// Of each chain that leaving out `about` from `seq` on cuts: the last number that stays, and the last that we have.
    #[must_use]
    pub fn cuts(&self, about: Origin, seq: u64) -> Vec<(Origin, u64, u64)> {
        let lives = self.heard.lives(about.peer);
        let allowed = |origin| self.excluded.last_allowed_with((about, seq), origin);
        lives
            .map(|(origin, last)| (origin, allowed(origin), last))
            .filter(|(_, allowed, last)| allowed < last)
            .collect()
    }

    /// Whether [`Log::exclude`] would find all that is to be taken back.
    #[must_use]
    pub fn can_exclude(&self, about: Origin, seq: u64) -> bool {
        self.cuts(about, seq).iter().all(|&(origin, allowed, _)| self.first_retained(origin) <= allowed + 1)
    }

    /// Leaves out `about` from `seq` on: forgets those deltas, and returns those that were in the set, which are to be
    /// retracted from the base. `None`, and nothing changes, when the log no longer holds all of them: others may have
    /// them yet ([`Log::exclude_with`]), or a snapshot is needed.
    pub fn exclude(&mut self, about: Origin, seq: u64) -> Option<Vec<Delta>> {
        self.exclude_with(about, seq, |_| None)
    }

    /// As [`Log::exclude`]; `older` has of a chain what the log has let go of, in order and of this very chain.
    pub fn exclude_with<'a>(
        &mut self,
        about: Origin,
        seq: u64,
        older: impl Fn(&Origin) -> Option<&'a VecDeque<Delta>>,
    ) -> Option<Vec<Delta>> {
        let mut cuts = Vec::new();
        for (origin, allowed, last) in self.cuts(about, seq) {
            let first = self.first_retained(origin);
            let gone = older(&origin).into_iter().flatten();
            let mut cut: Vec<Delta> =
                gone.filter(|delta| (allowed + 1..first).contains(&delta.seq())).cloned().collect();
            cut.extend(self.range(Range { origin, first: allowed + 1, last }).cloned());
            if cut.len() as u64 != last - allowed {
                return None;
            }
            cuts.push((origin, allowed, cut));
        }
        self.excluded.unite(about, seq);
        let mut out = Vec::new();
        let mut gone = BTreeSet::new();
        for (origin, allowed, cut) in cuts {
            let hash = cut.first().map_or(Hash::ZERO, |delta| delta.header().previous);
            let samples = self.heads.get(&origin).map_or(0, |tip| tip.samples);
            let samples = samples.saturating_sub(cut.iter().map(claimed).sum());
            self.shorten(origin, |run| run.cut(allowed));
            if allowed == 0 {
                gone.insert(origin);
            } else {
                self.set_head(origin, allowed, Tip { hash, samples });
            }
            out.extend(cut);
        }
        self.forget_heads(&gone);
        self.drop_excluded_waiting();
        Some(out)
    }

    /// That peer's deltas may come in again: none of them is in the set, and its lies are no news to anybody any more.
    pub fn forget_exclusion(&mut self, peer: PeerId) {
        self.excluded.forget(peer);
    }

    pub(super) fn drop_excluded_waiting(&mut self) {
        let excluded = &self.excluded;
        let mut dropped = 0;
        self.held.retain(|&(origin, seq), delta| {
            let out = excluded.covers(origin, seq);
            dropped += if out { delta.bytes() } else { 0 };
            !out
        });
        self.held_bytes -= dropped;
    }
}
