//! Bounds on one delta that are the same function everywhere: of the job and of the delta. Whatever is over them is refused
//! for ever, by every peer, so they cannot make two peers' bases differ.
//!
//! - `norm_max`: ||v||_2. Adam moves a coordinate by about lr a step, so `lr * H_max * sqrt(d)` is a bound that honest training
//!   does not pass; the job computes it. With plain SGD there is no such bound: leave it off.
//! - `weight_max`: w. The rule `w <= 1/2` holds in company alone, and a delta does not show whether its origin had company, so
//!   the default is the format's own bound 1; a job that knows that nobody trains alone sets 1/2. A peer in company that takes
//!   w = 1 shows in ||w v||, which is what suspicion measures.
//! - `probation`: the first so many deltas of every life of every peer weigh a tenth of that. Whoever makes a new identity
//!   for every lie pays for it in deltas.
//!
//! Origins obey the same limits when they choose w ([`Limits::weight`]), so honest deltas are never refused for them.

use crate::fixed::Weight;

/// Deltas on probation weigh at most this fraction of the cap.
const PROBATION_DIVISOR: u32 = 10;

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// Largest ||v||_2; infinite: off.
    pub norm_max: f32,
    /// Largest w.
    pub weight_max: Weight,
    /// Number of first deltas of an origin that weigh less; 0: off.
    pub probation: u64,
}

impl Limits {
    /// Nothing beyond what the format itself bounds.
    pub const OFF: Self = Self { norm_max: f32::INFINITY, weight_max: Weight::ONE, probation: 0 };

    /// Largest w of the delta with that number.
    #[must_use]
    pub fn weight_cap(&self, seq: u64) -> Weight {
        if seq > self.probation {
            return self.weight_max;
        }
        Weight::from_raw(self.weight_max.raw() / PROBATION_DIVISOR).unwrap_or(self.weight_max)
    }

    /// `wanted`, within the cap.
    #[must_use]
    pub fn weight(&self, seq: u64, wanted: Weight) -> Weight {
        wanted.min(self.weight_cap(seq))
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::OFF
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probation_ends() {
        let limits = Limits { probation: 5, weight_max: Weight::HALF, ..Limits::OFF };
        assert_eq!(limits.weight(5, Weight::ONE).raw(), 3276);
        assert_eq!(limits.weight(6, Weight::ONE), Weight::HALF);
        assert_eq!(limits.weight(5, Weight::for_swarm(0.0, 9)).raw(), 1, "what weighs less stays as it is");
        assert_eq!(Limits::OFF.weight(1, Weight::ONE), Weight::ONE);
    }
}
