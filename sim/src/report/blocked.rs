//! How long steps of training were blocked by anything of the network, as a histogram that adds up over lives and peers.
//!
//! A step is blocked while the learner has nothing to do and steps are to come: its queue of commands ran dry because
//! whoever fills it was busy with messages, or its results were not taken. What the learner does itself (folding in a delta,
//! evaluating) is no waiting, and what comes before its first step is the start. Time in which the operating system had no core for
//! one of the two is counted apart ([`Blocked::unscheduled_s`]): it is what a machine with too much to do costs.
//!
//! Buckets have the width of an eighth of a doubling; a percentile is the upper end of its bucket, so it is too high by an
//! eighth at most and never too low.

use serde::{Deserialize, Serialize};

/// Buckets of each doubling.
const PER_DOUBLING: u64 = 8;

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Blocked {
    /// Steps, blocked or not.
    pub steps: u64,
    /// Of these, blocked for 1 ms and longer.
    pub over_1ms: u64,
    /// Milliseconds; 0: not blocked at all.
    pub p50_ms: f64,
    /// Milliseconds.
    pub p99_ms: f64,
    /// Milliseconds.
    pub p999_ms: f64,
    /// Milliseconds.
    pub max_ms: f64,
    /// Seconds over all steps.
    pub total_s: f64,
    /// Seconds in which steps waited for a core, and not for the network: the operating system did not run the learner, or whoever
    /// fills its queue. No part of the figures above.
    #[serde(default)]
    pub unscheduled_s: f64,
    /// Upper end of a bucket, microseconds, and the steps in it, ascending.
    pub buckets: Vec<(u64, u64)>,
}

impl Blocked {
    /// So many steps were blocked so long, each.
    pub fn record(&mut self, steps: u64, micros: u64) {
        if steps == 0 {
            return;
        }
        self.add(upper_end(micros), steps);
        self.steps += steps;
        self.over_1ms += if micros >= 1000 { steps } else { 0 };
        self.max_ms = self.max_ms.max(micros as f64 / 1e3);
        self.total_s += micros as f64 / 1e6 * steps as f64;
    }

    /// Adds what another life or peer has seen.
    pub fn merge(&mut self, other: &Self) {
        for &(upper, steps) in &other.buckets {
            self.add(upper, steps);
        }
        self.steps += other.steps;
        self.over_1ms += other.over_1ms;
        self.max_ms = self.max_ms.max(other.max_ms);
        self.total_s += other.total_s;
        self.unscheduled_s += other.unscheduled_s;
    }

    /// With its percentiles.
    #[must_use]
    pub fn derive(mut self) -> Self {
        (self.p50_ms, self.p99_ms, self.p999_ms) =
            (self.percentile(0.5), self.percentile(0.99), self.percentile(0.999));
        self
    }

    fn add(&mut self, upper: u64, steps: u64) {
        match self.buckets.binary_search_by_key(&upper, |bucket| bucket.0) {
            Ok(at) => self.buckets[at].1 += steps,
            Err(at) => self.buckets.insert(at, (upper, steps)),
        }
    }

    /// Milliseconds that this share of the steps was not blocked longer than.
    fn percentile(&self, share: f64) -> f64 {
        let rank = (self.steps as f64 * share).ceil() as u64;
        let mut below = 0;
        let bucket = self.buckets.iter().find(|(_, steps)| {
            below += steps;
            below >= rank
        });
        bucket.map_or(0.0, |&(upper, _)| (upper as f64 / 1e3).min(self.max_ms))
    }
}

/// The upper end of the bucket that holds so many microseconds.
fn upper_end(micros: u64) -> u64 {
    if micros < PER_DOUBLING {
        return micros;
    }
    // The top four bits name the bucket.
    let shift = micros.ilog2() - PER_DOUBLING.ilog2();
    ((micros >> shift) << shift) + ((1 << shift) - 1)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn percentiles_are_those_of_the_steps_give_or_take_an_eighth() {
        let mut blocked = Blocked::default();
        (1..=10_000).for_each(|micros| blocked.record(1, micros));
        blocked.record(90_000, 0);
        let blocked = blocked.derive();
        assert_eq!((blocked.p50_ms, blocked.steps, blocked.max_ms, blocked.over_1ms), (0.0, 100_000, 10.0, 9001));
        for (found, exact) in [(blocked.p99_ms, 9.0), (blocked.p999_ms, 9.9)] {
            assert!((exact..=exact * 1.125).contains(&found), "{found} of {exact}");
        }
        assert!((blocked.total_s - 50.005).abs() < 1e-9);
        assert!(blocked.buckets.len() < 100, "{}", blocked.buckets.len());
    }

    #[test]
    fn two_peers_together_are_as_one_that_saw_both() {
        let (mut a, mut b, mut both) = (Blocked::default(), Blocked::default(), Blocked::default());
        for (i, micros) in [0, 3, 8, 999, 1000, 123_456, 7, u64::MAX >> 20].into_iter().enumerate() {
            if i % 2 == 0 { &mut a } else { &mut b }.record(1 + i as u64, micros);
            both.record(1 + i as u64, micros);
        }
        a.merge(&b);
        let (a, both) = (a.derive(), both.derive());
        assert_eq!(
            (&a.buckets, a.steps, a.p999_ms, a.over_1ms),
            (&both.buckets, both.steps, both.p999_ms, both.over_1ms)
        );
        let text = serde_json::to_string(&both).unwrap();
        assert_eq!(serde_json::from_str::<Blocked>(&text).unwrap(), both);
    }

    #[test]
    fn nothing_seen_is_nothing_said() {
        assert_eq!(Blocked::default().derive(), Blocked::default());
    }
}
