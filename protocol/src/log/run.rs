//! The retained deltas of one chain: a run of numbers without gaps.

use super::Delta;
use super::blocks::Blocks;

/// In order of their numbers.
#[derive(Debug, Default)]
pub(super) struct Run(Blocks<Delta>);

impl Run {
    /// Number of the first one.
    pub(super) fn first(&self) -> Option<u64> {
        self.0.front().map(Delta::seq)
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn get(&self, seq: u64) -> Option<&Delta> {
        self.0.get(self.index(seq)?)
    }

    /// Those from `first` to `last`, as far as they are here.
    pub(super) fn range(&self, first: u64, last: u64) -> impl Iterator<Item = &Delta> + '_ {
        let from = self.index(first).unwrap_or(0);
        self.0.from(from).take_while(move |delta| delta.seq() <= last)
    }

    /// Appends the next one.
    pub(super) fn push(&mut self, delta: Delta) {
        debug_assert!(self.0.back().is_none_or(|last| last.seq() + 1 == delta.seq()));
        self.0.push_back(delta);
    }

    /// Puts back the one before the first.
    pub(super) fn push_before(&mut self, delta: Delta) {
        debug_assert!(self.first().is_none_or(|first| delta.seq() + 1 == first));
        self.0.push_front(delta);
    }

    /// Lets go of everything up to `seq`, if it is here; returns the bytes of that.
    pub(super) fn forget(&mut self, seq: u64) -> usize {
        let count = self.index(seq).map_or(0, |index| index + 1);
        if count > self.0.len() {
            return 0;
        }
        (0..count).filter_map(|_| self.0.pop_front()).map(|delta| delta.bytes()).sum()
    }

    /// Lets go of everything beyond `last`; returns the bytes of that.
    pub(super) fn cut(&mut self, last: u64) -> usize {
        let mut bytes = 0;
        while self.0.back().is_some_and(|delta| delta.seq() > last) {
            bytes += self.0.pop_back().map_or(0, |delta| delta.bytes());
        }
        bytes
    }

    pub(super) fn bytes(&self) -> usize {
        self.0.from(0).map(Delta::bytes).sum()
    }

    /// Place of that number, which may be past the end; `None` before the first.
    fn index(&self, seq: u64) -> Option<usize> {
        usize::try_from(seq.checked_sub(self.first()?)?).ok()
    }
}
