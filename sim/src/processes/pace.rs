//! How fast those train who are left in peace, before the faults and while they go on.
//!
//! Two states of one life in a row, both while it trains, are so many steps in so many seconds. What lies between them belongs to
//! *before* when nothing was done to anybody yet, to *during* as long as something is still to be done to somebody. A peer that is
//! killed or stopped in between is not counted there, and one that comes back counts from its first steps on.

use std::time::Instant;

/// What is shorter says nothing about a pace.
const SECONDS_MIN: f64 = 0.5;

/// Steps and seconds.
#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    steps: u64,
    seconds: f64,
}

impl Sum {
    /// Of less it would be chance: words of a peer come together.
    fn rate(self) -> Option<f64> {
        (self.seconds >= SECONDS_MIN).then(|| self.steps as f64 / self.seconds)
    }
}

/// When it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Nothing was done to anybody yet.
    Before,
    /// Something was, and something is to be.
    During,
    /// The quiet end.
    After,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Pace {
    /// Of each peer: life, steps and when it said so.
    last: Vec<Option<(u32, u64, Instant, Phase)>>,
    before: Sum,
    during: Sum,
}

impl Pace {
    pub(super) fn new(peers: u32) -> Self {
        Self { last: vec![None; peers as usize], before: Sum::default(), during: Sum::default() }
    }

    /// A peer says how many steps it has taken in this life.
    pub(super) fn note(&mut self, peer: u32, life: u32, steps: u64, now: Instant, phase: Phase) {
        let Some(last) = self.last.get_mut(peer as usize) else { return };
        let state = (steps > 0).then_some((life, steps, now, phase));
        if let Some((before_life, before, at, then)) = std::mem::replace(last, state)
            && before_life == life
            && then == phase
        {
            let sum = match phase {
                Phase::Before => &mut self.before,
                Phase::During => &mut self.during,
                Phase::After => return,
            };
            sum.steps += steps.saturating_sub(before);
            sum.seconds += (now - at).as_secs_f64();
        }
    }

    /// What comes next of that peer is no measure: it was stopped, or goes on.
    pub(super) fn interrupt(&mut self, peer: u32) {
        if let Some(last) = self.last.get_mut(peer as usize) {
            *last = None;
        }
    }

    /// Steps a second of one peer, before and during.
    pub(super) fn rates(&self) -> (Option<f64>, Option<f64>) {
        (self.before.rate(), self.during.rate())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn only_what_lies_between_two_states_of_one_life_counts() {
        let mut pace = Pace::new(2);
        let begun = Instant::now();
        let at = |millis| begun + Duration::from_millis(millis);
        pace.note(0, 1, 0, at(0), Phase::Before);
        pace.note(0, 1, 10, at(500), Phase::Before);
        pace.note(0, 1, 60, at(1000), Phase::Before);
        assert_eq!(pace.rates(), (Some(100.0), None), "what came before its first step is not training");
        pace.note(0, 1, 100, at(1500), Phase::During);
        pace.note(0, 1, 125, at(2000), Phase::During);
        pace.note(0, 1, 125, at(2250), Phase::During);
        pace.note(0, 1, 150, at(2500), Phase::During);
        pace.interrupt(0);
        pace.note(0, 1, 151, at(12_000), Phase::During);
        pace.note(0, 2, 500, at(12_500), Phase::During);
        pace.note(0, 2, 900, at(13_000), Phase::After);
        pace.note(0, 2, 9000, at(13_500), Phase::After);
        assert_eq!(pace.rates(), (Some(100.0), Some(50.0)));
    }
}
