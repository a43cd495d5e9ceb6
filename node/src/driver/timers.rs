//! A peer's time, and what is due when.

use std::collections::BTreeMap;
use std::time::Duration;

use protocol::Timer;
use protocol::time::Time;
use tokio::time::Instant;

/// Timers by time; those of one time in the order in which they were set.
#[derive(Debug, Default)]
pub(super) struct Timers {
    queue: BTreeMap<(Time, u64), Timer>,
    set: u64,
}

impl Timers {
    pub(super) fn set(&mut self, at: Time, timer: Timer) {
        self.set += 1;
        self.queue.insert((at, self.set), timer);
    }

    pub(super) fn next_due(&self) -> Option<Time> {
        self.queue.first_key_value().map(|(&(at, _), _)| at)
    }

    pub(super) fn pop_due(&mut self, now: Time) -> Option<Timer> {
        let entry = self.queue.first_entry()?;
        (entry.key().0 <= now).then(|| entry.remove())
    }
}

/// The peer's time: microseconds since it was started, by a clock that nobody sets back.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock(pub(super) Instant);

impl Clock {
    pub(super) fn now(self) -> Time {
        Time(u64::try_from(self.0.elapsed().as_micros()).unwrap_or(u64::MAX))
    }

    pub(super) fn instant(self, time: Time) -> Instant {
        // A timer beyond the range of the clock is one that never fires: a year will do.
        const FAR: Duration = Duration::from_secs(365 * 24 * 3600);
        self.0 + Duration::from_micros(time.0).min(self.0.elapsed() + FAR)
    }
}
