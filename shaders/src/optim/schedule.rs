//! How the learning rate changes while the *swarm* makes progress.
//!
//! ```text
//! rate(p) = learning rate * warm_up(p) * curve(p) * by_peers(n)    p: samples that the whole swarm has trained on
//!                                                                  n: peers that live
//! warm_up = min(p / W, 1)                              1 without a warm-up
//! constant: curve = 1
//! cosine:   curve = floor + (1 - floor) (1 + cos(pi min((p - W) / (T - W), 1))) / 2    1 before W, floor from T on
//! by_peers: constant 1, sqrt sqrt(n), linear n; 16 at most     the mean of n batches is n times less noisy: it bears a longer step
//! ```
//!
//! (Loshchilov and Hutter 2016, arXiv 1608.03983, without restarts; warm-up and the linear rule as in Goyal et al. 2017, arXiv 1706.02677; the square root as in Krizhevsky
//! 2014, arXiv 1404.5997, and for Adam in Malladi et al. 2022, arXiv 2205.10287.)
//! `p` comes with every command to train, from the deltas that a peer has heard: a peer that joined late, was restarted, or
//! is slow is on the page of the others, and twice as many peers are through in half the time.
//!
//! Add a curve: a variant of [`Curve`], one line in [`ALL`].

use std::f64::consts::PI;

use protocol::learner::Progress;

/// Names of the curves, as in a job file, and one line about each.
pub const ALL: &[(&str, &str)] =
    &[("constant", "the learning rate stays"), ("cosine", "falls along half a cosine to floor, over total_samples")];

/// Names of the rules for the number of peers, as in a job file, and one line about each.
pub const BY_PEERS: &[(&str, &str)] = &[
    ("constant", "the learning rate is that of every peer, however many there are"),
    ("sqrt", "it grows with the square root of the number of living peers, 16-fold at most"),
    ("linear", "it grows with the number of living peers, 16-fold at most"),
];

/// By so much a rate grows with the swarm at most: 256 peers by the square root. Guess; the brake on the gain bounds what is left.
const BY_PEERS_MAX: f32 = 16.0;

/// The rate is set anew so often at least, while it changes: this many times in a warm-up, and in the fall.
const UPDATES: u64 = 64;

/// See the module.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Schedule {
    /// W: the rate rises from 0 over so many samples.
    pub warm_up_samples: u64,
    /// What it does then.
    pub curve: Curve,
    /// How it goes with the number of peers.
    pub by_peers: ByPeers,
}

/// How the rate goes with the number of living peers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ByPeers {
    /// Not at all.
    #[default]
    Constant,
    /// By its square root.
    SquareRoot,
    /// In proportion.
    Linear,
}

impl ByPeers {
    /// As in [`BY_PEERS`].
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Constant => "constant",
            Self::SquareRoot => "sqrt",
            Self::Linear => "linear",
        }
    }

    /// Of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        [Self::Constant, Self::SquareRoot, Self::Linear].into_iter().find(|rule| rule.name() == name)
    }

    fn factor(self, live_peers: usize) -> f32 {
        let peers = live_peers.max(1) as f32;
        match self {
            Self::Constant => 1.0,
            Self::SquareRoot => peers.sqrt().min(BY_PEERS_MAX),
            Self::Linear => peers.min(BY_PEERS_MAX),
        }
    }
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
    /// Share of the learning rate at that progress of the swarm, 0 to 16.
    #[must_use]
    pub fn share(&self, progress: Progress) -> f32 {
        self.share_by_samples(progress.samples) * self.by_peers.factor(progress.live_peers)
    }

    /// Of warm-up and curve, 0 to 1.
    fn share_by_samples(&self, progress: u64) -> f32 {
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

    /// How many steps of `batch` samples are taken at one rate from `progress` on, 1 or more, and the progress whose rate it is.
    ///
    /// The rate changes at fixed places of the way and not wherever somebody begins to look: a stretch of steps is the same however it is
    /// cut, and so is a run that was stopped in the middle and resumed.
    #[must_use]
    pub fn stretch(&self, progress: u64, batch: u64) -> (u64, u64) {
        let (batch, length) = (batch.max(1), self.next_look(progress));
        if length == u64::MAX {
            return (u64::MAX, progress);
        }
        if length <= batch {
            return (1, progress.saturating_add(batch / 2));
        }
        let (origin, end) =
            if progress < self.warm_up_samples { (0, self.warm_up_samples) } else { (self.warm_up_samples, u64::MAX) };
        let first = origin + (progress - origin) / length * length;
        let last = first.saturating_add(length).min(end);
        ((last - progress).div_ceil(batch), first + (last - first) / 2)
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
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn close(found: f32, expected: f32) {
        assert!((found - expected).abs() < 1e-6, "{found}, not {expected}");
    }

    #[test]
    fn the_default_leaves_the_rate_alone() {
        let schedule = Schedule::default();
        for progress in [0, 1, 1 << 40, u64::MAX] {
            close(schedule.share_by_samples(progress), 1.0);
            assert_eq!(schedule.next_look(progress), u64::MAX);
        }
    }

    #[test]
    fn warm_up_is_a_line_and_combines_with_both_curves() {
        for curve in [Curve::Constant, Curve::Cosine { total_samples: 5000, floor: 0.1 }] {
            let schedule = Schedule { warm_up_samples: 1000, curve, ..Schedule::default() };
            close(schedule.share_by_samples(0), 0.0);
            close(schedule.share_by_samples(250), 0.25);
            close(schedule.share_by_samples(999), 0.999);
            close(schedule.share_by_samples(1000), 1.0);
            assert_eq!(schedule.next_look(0), 15);
        }
    }

    #[test]
    fn the_cosine_has_its_values() {
        let schedule = Schedule {
            warm_up_samples: 0,
            curve: Curve::Cosine { total_samples: 4000, floor: 0.1 },
            ..Schedule::default()
        };
        close(schedule.share_by_samples(0), 1.0);
        close(schedule.share_by_samples(1000), 0.1 + 0.9 * (0.5 + 0.5f32.sqrt() / 2.0));
        close(schedule.share_by_samples(2000), 0.55);
        close(schedule.share_by_samples(4000), 0.1);
        close(schedule.share_by_samples(u64::MAX), 0.1);
        assert_eq!((schedule.next_look(3999), schedule.next_look(4000)), (62, u64::MAX));
        let late = Schedule { warm_up_samples: 2000, ..schedule };
        close(late.share_by_samples(3000), 0.55);
        let falls = (0..4000).all(|p| schedule.share_by_samples(p + 1) <= schedule.share_by_samples(p));
        assert!(falls, "it never rises");
    }

    #[test]
    fn the_rate_of_a_step_hangs_on_nothing_but_its_place() {
        for (warm_up_samples, batch) in [(0, 16), (1000, 16), (64_000, 16), (100_000, 2048)] {
            let curve = Curve::Cosine { total_samples: 300_000, floor: 0.0 };
            let schedule = Schedule { warm_up_samples, curve, ..Schedule::default() };
            let rates = |cut: u64| {
                let (mut rates, mut progress) = (Vec::new(), 0);
                while progress < 310_000 {
                    let (steps, place) = schedule.stretch(progress, batch);
                    assert!(steps > 0);
                    let steps = steps.min(cut);
                    rates.extend((0..steps).map(|_| schedule.share_by_samples(place).to_bits()));
                    progress += steps * batch;
                }
                rates.truncate(300_000 / batch as usize);
                rates
            };
            let whole = rates(1000);
            assert!([1, 3, 7].into_iter().all(|cut| rates(cut) == whole), "{warm_up_samples} {batch}");
            assert!(whole.windows(2).filter(|pair| pair[0] != pair[1]).count() >= 60.min(whole.len() / 2));
        }
    }

    #[test]
    fn every_curve_is_listed() {
        let curves = [Curve::Constant, Curve::Cosine { total_samples: 1, floor: 0.0 }];
        assert!(curves.iter().map(|curve| curve.name()).eq(ALL.iter().map(|(name, _)| *name)));
    }

    #[test]
    fn the_rate_grows_with_the_swarm_within_bounds() {
        for (name, at_4, at_a_million) in [("constant", 1.0, 1.0), ("sqrt", 2.0, 16.0), ("linear", 4.0, 16.0)] {
            let by_peers = ByPeers::named(name).expect("a rule of that name");
            assert_eq!(by_peers.name(), name);
            let schedule = Schedule { warm_up_samples: 100, by_peers, ..Schedule::default() };
            close(schedule.share(Progress { samples: 50, live_peers: 4 }), 0.5 * at_4);
            close(schedule.share(Progress { samples: 500, live_peers: 1_000_000 }), at_a_million);
            close(schedule.share(Progress { samples: 500, live_peers: 0 }), 1.0);
        }
        assert!(BY_PEERS.iter().all(|(name, _)| ByPeers::named(name).is_some()));
        assert_eq!(ByPeers::named("cubic"), None);
    }
}
