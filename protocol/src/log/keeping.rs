//! What the log lets go of when it is full, and what it keeps for somebody all the same.
//!
//! Whoever takes a snapshot is led on from there by the logs of its neighbours. A large one takes a while, and a log that had turned over by
//! then would make the next snapshot necessary. So what came after the one that is served stays as long as it is: at most as many bytes
//! more as the snapshot itself has.

use std::collections::BTreeMap;

use super::blocks::Blocks;
use super::run::Run;
use super::{Log, VersionVector};
use crate::id::Origin;

/// Arrivals of deltas that are gone, beyond as many as there are deltas. guess: 48 KiB, and no sweep in a log of a few deltas.
const STALE_MAX: usize = 1024;

/// Deltas that are kept beyond the bound of the log.
#[derive(Debug)]
pub(super) struct Keep {
    beyond: VersionVector,
    bytes_more: usize,
}

impl Log {
    /// Keeps what is beyond that set, as far as it is no more than so many bytes beyond the bound.
    pub fn keep_beyond(&mut self, set: VersionVector, bytes_more: usize) {
        self.keep = Some(Keep { beyond: set, bytes_more });
    }

    /// The bound is what it was.
    pub fn keep_nothing(&mut self) {
        self.keep = None;
        self.let_go();
    }

    /// Lets go of the oldest deltas until the rest is within its bound.
    pub(super) fn let_go(&mut self) {
        while self.bytes > self.bytes_max {
            let Some(&(origin, seq)) = self.arrivals.front() else { break };
            let kept = self.keep.as_ref().is_some_and(|keep| {
                seq > keep.beyond.get(&origin) && self.bytes <= self.bytes_max.saturating_add(keep.bytes_more)
            });
            if kept {
                break;
            }
            self.arrivals.pop_front();
            self.shorten(origin, |run| run.forget(seq));
        }
        self.sweep_arrivals();
    }

    pub(super) fn drop_retained(&mut self, origin: Origin) {
        if let Some(run) = self.retained.remove(&origin) {
            self.bytes -= run.bytes();
            self.count -= run.len();
        }
    }

    /// Lets go of a part of a run, whose bytes `part` returns. A life that is over says nothing more: its room is not kept for ever.
    pub(super) fn shorten(&mut self, origin: Origin, part: impl FnOnce(&mut Run) -> usize) {
        let Some(run) = self.retained.get_mut(&origin) else { return };
        let before = run.len();
        self.bytes -= part(run);
        self.count -= before - run.len();
        if run.len() == 0 {
            self.retained.remove(&origin);
        }
    }

    /// Forgets arrivals whose deltas are gone, when they are most: what is excluded or renounced leaves its own behind, and a log that never
    /// fills would never come to them. Each sweep takes as many as came since the last one, so it costs no more than they did.
    pub(super) fn sweep_arrivals(&mut self) {
        if self.arrivals.len() <= 2 * self.count + STALE_MAX {
            return;
        }
        // What was taken out and came again has two: the later one counts. Of an origin they descend, seen from the end.
        let mut kept = Blocks::default();
        let mut least: BTreeMap<Origin, u64> = BTreeMap::new();
        for &(origin, seq) in self.arrivals.backwards() {
            let is_here = self.retained.get(&origin).is_some_and(|run| run.get(seq).is_some());
            if is_here && least.get(&origin).is_none_or(|least| seq < *least) {
                least.insert(origin, seq);
                kept.push_front((origin, seq));
            }
        }
        self.arrivals = kept;
    }
}
