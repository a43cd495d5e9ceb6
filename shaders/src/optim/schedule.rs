//! How the learning rate changes while the *swarm* makes progress.
//!
//! ```text
//! rate(p) = learning rate * warm_up(p) * curve(p)      p: samples that the whole swarm has trained on
//! warm_up = min(p / W, 1)                              1 without a warm-up
//! constant: curve = 1
//! cosine:   curve = floor + (1 - floor) (1 + cos(pi min((p - W) / (T - W), 1))) / 2    1 before W, floor from T on
//! ```
//!
//! (Loshchilov and Hutter 2016, arXiv 1608.03983, without restarts; warm-up as in Goyal et al. 2017, arXiv 1706.02677.)
//! `p` comes with every command to train, from the deltas that a peer has heard: a peer that joined late, was restarted, or
//! is slow is on the page of the others, and twice as many peers are through in half the time.
//!
//! Add a curve: a variant of [`Curve`], one line in [`ALL`].

use std::f64::consts::PI;

/// Names of the curves, as in a job file, and one line about each.
pub const ALL: &[(&str, &str)] =
    &[("constant", "the learning rate stays"), ("cosine", "falls along half a cosine to floor, over total_samples")];

/// The rate is set anew so often at least, while it changes: this many times in a warm-up, and in the fall.
const UPDATES: u64 = 64;

/// See the module.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Schedule {
    /// W: the rate rises from 0 over so many samples.
    pub warm_up_samples: u64,
    /// What it does then.
    pub curve: Curve,
}

/// What the rate does after the warm-up.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Curve {
    /// It stays.
    #[default]
    Constant,
    /// It falls.
    Cosine {
        /// T, counted from the first sample; above W.
        total_samples: u64,
        /// Share of the learning rate that is left in the end, 0 to 1.
        floor: f32,
    },
}

impl Curve {
    /// As in [`ALL`].
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Constant => "constant",
            Self::Cosine { .. } => "cosine",
        }
    }
}

impl Schedule {
    /// Share of the learning rate after `progress` samples of the swarm, 0 to 1.
    #[must_use]
    pub fn share(&self, progress: u64) -> f32 {
        let warm_up = self.warm_up_samples;
        if progress < warm_up {
            return (progress as f64 / warm_up as f64) as f32;
        }
        match self.curve {
            Curve::Constant => 1.0,
            Curve::Cosine { total_samples, floor } => {
                let length = total_samples.saturating_sub(warm_up).max(1);
                let done = ((progress - warm_up) as f64 / length as f64).min(1.0);
                let fallen = 0.5 * (1.0 + (PI * done).cos());
                (f64::from(floor) + (1.0 - f64::from(floor)) * fallen) as f32
            }
        }
    }

    /// Samples after which the rate should be looked at again; [`u64::MAX`] when it will not change.
    #[must_use]
    pub fn next_look(&self, progress: u64) -> u64 {
        if progress < self.warm_up_samples {
            return (self.warm_up_samples / UPDATES).max(1);
        }
        match self.curve {
            Curve::Cosine { total_samples, .. } if progress < total_samples => {
                (total_samples.saturating_sub(self.warm_up_samples) / UPDATES).max(1)
            }
            _ => u64::MAX,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(found: f32, expected: f32) {
        assert!((found - expected).abs() < 1e-6, "{found}, not {expected}");
    }

    #[test]
    fn the_default_leaves_the_rate_alone() {
        let schedule = Schedule::default();
        for progress in [0, 1, 1 << 40, u64::MAX] {
            close(schedule.share(progress), 1.0);
            assert_eq!(schedule.next_look(progress), u64::MAX);
        }
    }

    #[test]
    fn warm_up_is_a_line_and_combines_with_both_curves() {
        for curve in [Curve::Constant, Curve::Cosine { total_samples: 5000, floor: 0.1 }] {
            let schedule = Schedule { warm_up_samples: 1000, curve };
            close(schedule.share(0), 0.0);
            close(schedule.share(250), 0.25);
            close(schedule.share(999), 0.999);
            close(schedule.share(1000), 1.0);
            assert_eq!(schedule.next_look(0), 15);
        }
    }

    #[test]
    fn the_cosine_has_its_values() {
        let schedule = Schedule { warm_up_samples: 0, curve: Curve::Cosine { total_samples: 4000, floor: 0.1 } };
        close(schedule.share(0), 1.0);
        close(schedule.share(1000), 0.1 + 0.9 * (0.5 + 0.5f32.sqrt() / 2.0));
        close(schedule.share(2000), 0.55);
        close(schedule.share(4000), 0.1);
        close(schedule.share(u64::MAX), 0.1);
        assert_eq!((schedule.next_look(3999), schedule.next_look(4000)), (62, u64::MAX));
        let late = Schedule { warm_up_samples: 2000, ..schedule };
        close(late.share(3000), 0.55);
        let falls = (0..4000).all(|p| schedule.share(p + 1) <= schedule.share(p));
        assert!(falls, "it never rises");
    }

    #[test]
    fn every_curve_is_listed() {
        let curves = [Curve::Constant, Curve::Cosine { total_samples: 1, floor: 0.0 }];
        assert!(curves.iter().map(|curve| curve.name()).eq(ALL.iter().map(|(name, _)| *name)));
    }
}
