//! A peer's own time, which stands still while the peer does.
//!
//! A process that was stopped (SIGSTOP, a machine that froze, a virtual machine that was moved) finds that seconds have passed in which
//! it heard nobody. Were that taken for the silence of the others, it would let go of all its neighbours, count itself
//! alone, say what it has at full weight, and be taken for a liar by those who were there all the time. So a gap in its own
//! life is left out of its time: the others are as they were a moment ago. Heartbeats come every second, so a gap of several is
//! no pause between events.

use crate::time::{Span, Time};

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Clock {
    now: Time,
    stood_still: Span,
    begun: bool,
}

impl Clock {
    pub(crate) fn now(&self) -> Time {
        self.now
    }

    /// It is `now` for the driver. Returns whether the peer stood still for longer than `gap_max` since the last time; of
    /// the gap that much remains.
    pub(crate) fn advance(&mut self, now: Time, gap_max: Span) -> bool {
        let ours = Time(now.0.saturating_sub(self.stood_still.0));
        let gap = ours - self.now;
        let stood_still = std::mem::replace(&mut self.begun, true) && gap > gap_max;
        if stood_still {
            self.stood_still.0 += gap.0 - gap_max.0;
            self.now = self.now + gap_max;
        } else {
            self.now = self.now.max(ours);
        }
        stood_still
    }

    /// When that is for the driver.
    pub(crate) fn for_driver(&self, at: Time) -> Time {
        at + self.stood_still
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GAP_MAX: Span = Span::from_secs(3);

    #[test]
    fn time_that_a_peer_did_not_live_does_not_pass_for_it() {
        let mut clock = Clock::default();
        let at = |seconds| Time(0) + Span::from_secs(seconds);
        assert!(!clock.advance(at(100), GAP_MAX), "it is born then");
        assert!(!clock.advance(at(103), GAP_MAX) && clock.now() == at(103));
        assert!(clock.advance(at(113), GAP_MAX));
        assert_eq!((clock.now(), clock.for_driver(at(107))), (at(106), at(114)));
        assert!(!clock.advance(at(114), GAP_MAX) && clock.now() == at(107), "it goes on from there");
        assert!(!clock.advance(at(10), GAP_MAX) && clock.now() == at(107), "and never back");
    }
}
