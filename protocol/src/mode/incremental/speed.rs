//! How fast a peer trains: steps a second, a running mean over about a second of the past.
//!
//! ```text
//! k = e^(-dt / memory);  sum = k sum + (1 - k) steps / dt;  weight = k weight + (1 - k);  speed = sum / weight
//! ```
//!
//! The mean is over time and not over stretches. Where processes share cores, a stretch of one step lasts a millisecond or
//! a whole time slice, and a mean of the rates of stretches follows that: H, which goes by the speeds of a peer and its
//! neighbours, jumped between a quarter and four times what it should be, and a peer said a third more or fewer deltas than
//! its steps ask for. Dividing by the weight (Adam's bias correction, arXiv 1412.6980) keeps the first stretch from counting
//! for a whole second.

use crate::time::{Span, Time};

/// What is older than this hardly counts.
const MEMORY: Span = Span::from_secs(1);

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Speed {
    sum: f64,
    weight: f64,
    last: Option<Time>,
}

impl Speed {
    /// So many steps are done since the last word. Wall time from result to result: evaluation and heard deltas slow a peer
    /// down too.
    pub(crate) fn note(&mut self, steps: u32, now: Time) {
        let Some(before) = self.last.replace(now) else { return };
        let seconds = (now - before).as_secs_f64().max(1e-6);
        let kept = (-seconds / MEMORY.as_secs_f64()).exp();
        self.sum = kept * self.sum + (1.0 - kept) * f64::from(steps) / seconds;
        self.weight = kept * self.weight + (1.0 - kept);
    }

    /// Steps a second; 0 when not known yet.
    pub(crate) fn steps_per_second(&self) -> f32 {
        if self.weight > 0.0 { (self.sum / self.weight) as f32 } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(spans: impl IntoIterator<Item = u64>) -> Speed {
        let (mut speed, mut now) = (Speed::default(), Time(0));
        speed.note(1, now);
        for micros in spans {
            now = now + Span(micros);
            speed.note(1, now);
        }
        speed
    }

    #[test]
    fn time_slices_do_not_move_it() {
        // Nine steps of a millisecond, then one that waits for its turn: 200 steps a second, whenever one looks.
        let slices = |count: usize| (0..count).map(|i| if i % 10 == 9 { 41_000 } else { 1000 });
        for count in 1000..1020 {
            let found = after(slices(count)).steps_per_second();
            assert!((180.0..=220.0).contains(&found), "{found} after {count} steps");
        }
    }

    #[test]
    fn the_first_stretch_counts_for_as_long_as_it_took() {
        assert_eq!(after([]).steps_per_second(), 0.0);
        assert_eq!(after([1000]).steps_per_second().round(), 1000.0);
        let found = after([1].into_iter().chain([10_000; 20])).steps_per_second();
        assert!((95.0..=110.0).contains(&found), "{found}: one step in a microsecond, then 100 a second");
    }

    #[test]
    fn after_a_pause_it_is_itself_again_within_seconds() {
        let found = after([10_000; 100].into_iter().chain([60_000_000]).chain([10_000; 300])).steps_per_second();
        assert!(found > 90.0, "{found}");
    }
}
