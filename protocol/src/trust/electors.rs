//! The number of electors that a majority is measured against.
//!
//! Those that live and may vote, and not all that have a link: a key is made in no time, and sixty silent ones would raise the bar for twelve honest
//! peers beyond their number, so that nobody could be voted out any more.

use std::cell::Cell;
use std::collections::VecDeque;

use crate::time::{Span, Time};

/// The electorate is the largest number of electors within so long: a swarm that was just cut in two does not let
/// the smaller half decide for the larger.
const MEMORY: Span = Span::from_secs(60);
/// As long as nothing else has changed they are not counted again for so long: votes come by the thousand, if they are a liar's.
const COUNTED_FOR: Span = Span::from_millis(250);

/// What the number hangs on, as far as it is cheap to tell: peers that live, origins in the set, peers left out.
pub(crate) type AskedWith = (usize, usize, usize);

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Electors {
    lately: VecDeque<(Time, usize)>,
    counted: Cell<Option<(Time, AskedWith, usize)>>,
}

impl Electors {
    /// How many there are; `count` is asked when that may have changed.
    pub(crate) fn counted(&self, now: Time, with: AskedWith, count: impl FnOnce() -> usize) -> usize {
        let fresh = |&(at, asked_with, _): &(Time, AskedWith, usize)| asked_with == with && now - at < COUNTED_FOR;
        if let Some((_, _, electors)) = self.counted.get().filter(fresh) {
            return electors;
        }
        let electors = count();
        self.counted.set(Some((now, with, electors)));
        electors
    }

    /// Once a heartbeat.
    pub(crate) fn note(&mut self, now: Time, electors: usize) {
        self.lately.push_back((now, electors));
        while self.lately.front().is_some_and(|(at, _)| now - *at > MEMORY) {
            self.lately.pop_front();
        }
    }

    /// Most that there were lately, with those that there are now.
    pub(crate) fn electorate(&self, now: usize) -> usize {
        self.lately.iter().map(|(_, electors)| *electors).max().unwrap_or(0).max(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minority_that_was_just_cut_off_is_measured_against_all_for_a_minute() {
        let mut electors = Electors::default();
        electors.note(Time(0), 9);
        electors.note(Time(0) + Span::from_secs(59), 2);
        assert_eq!((electors.electorate(2), electors.electorate(12)), (9, 12));
        electors.note(Time(0) + Span::from_secs(61), 2);
        assert_eq!(electors.electorate(2), 2);
    }

    #[test]
    fn they_are_counted_anew_when_something_has_changed() {
        let electors = Electors::default();
        assert_eq!(electors.counted(Time(0), (3, 3, 0), || 3), 3);
        assert_eq!(electors.counted(Time(0), (3, 3, 0), || 4), 3);
        assert_eq!(electors.counted(Time(0), (3, 4, 0), || 4), 4);
        assert_eq!(electors.counted(Time(0) + COUNTED_FOR, (3, 4, 0), || 5), 5);
    }
}
