//! How long a submission is: as many replays as take half a second, or a part of one, where a driver ends what takes some seconds.

use std::ops::Range;
use std::time::Duration;

use super::bind::Bound;

/// What a submission of several replays should take at most: a display stays alive, and a wait sees that something is done.
pub(super) const SUBMISSION_TARGET: Duration = Duration::from_millis(500);
/// Most replays in one submission: enough that submitting costs nothing.
pub(super) const REPLAYS_A_SUBMISSION_MAX: u32 = 32;
/// What the first submission of a recording may hold, in operations on floats: half a second of a slow GPU, before anything was measured.
pub(super) const FIRST_CUT: u64 = 50_000_000_000;
/// Operations on floats in the time that a byte is read or written, roughly: what a cut is estimated by.
pub(super) const FLOPS_A_BYTE: u64 = 20;

/// A prepared recording.
#[derive(Debug)]
pub(super) struct Replay {
    pub(super) dispatches: Vec<Bound>,
    /// Replays in one submission, as found out so far.
    pub(super) at_once: u32,
    /// Submissions of one replay, as found out so far; more than one only where `at_once` is 1.
    pub(super) cuts: u32,
    /// The longest submission of the replay that is done in part.
    pub(super) longest: Duration,
}

/// What a submission holds.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) recording: usize,
    /// Of its dispatches.
    pub(super) dispatches: Range<usize>,
    /// How often.
    pub(super) replays: u32,
    /// Submissions of one replay, when it was sent.
    pub(super) cuts: u32,
}

/// How long a submission took, from the end of the one before it to its own.
#[derive(Clone, Copy, Debug)]
pub(super) struct Took {
    pub(super) time: Duration,
    /// Whether its end was seen, and not noticed some time later: it took no less.
    pub(super) no_less: bool,
    /// The same of the end of the one before it: it took no more.
    pub(super) no_more: bool,
}

/// How many replays the next submission holds, after one of `replays` took that long.
pub(super) fn paced(at_once: u32, replays: u32, took: Duration) -> u32 {
    if took > SUBMISSION_TARGET {
        (replays / 2).max(1).min(at_once)
    } else if replays == at_once && took < SUBMISSION_TARGET / 2 {
        (2 * at_once).min(REPLAYS_A_SUBMISSION_MAX)
    } else {
        at_once
    }
}

/// Into how many submissions a replay of so many dispatches is to be cut, whose longest one took that long.
pub(super) fn recut(cuts: u32, dispatches: usize, longest: Duration) -> u32 {
    if longest > SUBMISSION_TARGET {
        (2 * cuts).min(dispatches as u32)
    } else if longest < SUBMISSION_TARGET / 4 {
        (cuts / 2).max(1)
    } else {
        cuts
    }
}

/// Cuts a row of costs into at most `n` stretches of about equal cost; none is empty.
pub(super) fn cuts_of(costs: &[u64], n: u32) -> Vec<Range<usize>> {
    let n = (n as usize).clamp(1, costs.len().max(1));
    if n == costs.len() {
        return (0..n).map(|i| i..i + 1).collect();
    }
    // What costs nothing costs something all the same.
    let costs = || costs.iter().map(|&cost| u128::from(cost.max(1)));
    let (total, mut before) = (costs().sum::<u128>(), 0);
    let mut stretches: Vec<Range<usize>> = Vec::with_capacity(n);
    let mut last = None;
    for (i, cost) in costs().enumerate() {
        // The stretch in which its middle lies.
        let stretch = (2 * before + cost) * n as u128 / (2 * total);
        before += cost;
        match stretches.last_mut().filter(|_| last == Some(stretch)) {
            Some(range) => range.end = i + 1,
            None => stretches.push(i..i + 1),
        }
        last = Some(stretch);
    }
    stretches
}

impl Replay {
    /// Whose first submissions hold no more than that many operations.
    pub(super) fn new(dispatches: Vec<Bound>, first_cut: u64) -> Self {
        let whole = dispatches.iter().fold(0u64, |sum, bound| sum.saturating_add(bound.estimate()));
        let cuts = whole.div_ceil(first_cut).min(dispatches.len() as u64).max(1) as u32;
        Self { dispatches, at_once: 1, cuts, longest: Duration::ZERO }
    }

    /// What of a replay goes into each submission.
    pub(super) fn shares(&self) -> Vec<Range<usize>> {
        let costs: Vec<u64> = self.dispatches.iter().map(Bound::estimate).collect();
        cuts_of(&costs, self.cuts)
    }

    /// Learns from a submission.
    pub(super) fn note(&mut self, part: &Part, took: Took) {
        let Part { dispatches, replays, cuts, .. } = part;
        if *cuts != self.cuts {
            // Sent before the last change was found out.
            return;
        }
        if *cuts == 1 {
            self.at_once = paced(self.at_once, *replays, took.time);
        }
        // What is not known to be too long, or cannot be cut, is a reason for nothing.
        let long = took.time > SUBMISSION_TARGET;
        let sure = if long { took.no_less && dispatches.len() > 1 } else { took.no_more };
        self.longest = self.longest.max(if sure { took.time } else { SUBMISSION_TARGET });
        if dispatches.end == self.dispatches.len() {
            let longest = std::mem::take(&mut self.longest);
            if *replays == 1 {
                self.cuts = recut(self.cuts, self.dispatches.len(), longest);
            }
        }
    }
}
