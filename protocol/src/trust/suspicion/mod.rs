//! Suspicion: how a delta compares with what the others say. Local opinion, so nothing is refused for it; see [`crate::trust`].
//!
//! Every delta that is next in its chain is laid before each [`Measure`], which answers with strikes: 0 for nothing unusual.
//! Enough strikes within the last [`WINDOW`] deltas of an origin put it on hold. The measures are relative to the other
//! origins, so they say nothing in a swarm of fewer than [`COMPANY_MIN`] origins, where no majority could be trusted anyway.
//!
//! Add a measure: one file here, one line in [`ALL`], one [`Reason`].

mod direction;
mod ledger;
mod norm;
mod rate;
mod stale;

pub use direction::Direction;
pub use norm::Norm;
pub use rate::Rate;
pub use stale::Stale;

pub(crate) use ledger::{Judged, Ledger};

use std::fmt::Debug;

use super::Reason;
use crate::config::Trust;

/// Every measure.
pub const ALL: &[&dyn Measure] = &[&Norm, &Rate, &Direction, &Stale];

/// Origins, the judge's own among them, below which nobody is judged. 4 is the least number of which one can be a liar and
/// the rest a majority that does not hang on a single voice.
pub const COMPANY_MIN: usize = 4;
/// Strikes count for so many deltas of their origin.
pub const WINDOW: u64 = 16;
/// Strikes of what no honest delta can look like: enough at once.
pub const OUTRAGE: u32 = 3;

/// What the measures look at: one delta beside the recent ones of all origins.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Evidence {
    /// ||v|| over the median of all origins; steps are taken into account. 0 when unknown.
    pub norm_ratio: f32,
    /// ||w v|| over the median of all origins, likewise. 0 when unknown, and for what an origin said while it was cut off:
    /// whoever is alone takes a larger w, rightly.
    pub weighted_ratio: f32,
    /// Deltas by which the origin has passed its allowance; see [`Rate`].
    pub over_rate: f32,
    /// Cosine between the delta and the recent motion of the others; 0 when unknown.
    pub cosine: f32,
    /// ||sum of the others' directions|| / their number, 0 to 1: 1 when all of them move the same way.
    pub coherence: f32,
    /// Deltas in a row that the origin took without having heard anything in between, this one included.
    pub unmoved: u32,
    /// Local steps that the delta claims.
    pub steps: u32,
}

/// One way to look at a delta.
pub trait Measure: Sync + Debug {
    /// Name in logs.
    fn name(&self) -> &'static str;

    /// One line for the docs.
    fn about(&self) -> &'static str;

    /// What goes into a vote.
    fn reason(&self) -> Reason;

    /// 0: nothing unusual.
    fn strikes(&self, evidence: &Evidence, config: &Trust) -> u32;
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What an honest delta looks like.
    const HONEST: Evidence = Evidence {
        norm_ratio: 1.5,
        weighted_ratio: 4.0,
        over_rate: 0.0,
        cosine: -0.9,
        coherence: 0.3,
        unmoved: 2,
        steps: 10,
    };

    #[test]
    fn each_measure_sees_its_own_kind_of_lie_and_nothing_in_an_honest_delta() {
        let lies = [
            (Reason::Norm, Evidence { norm_ratio: 10.0, ..HONEST }),
            (Reason::Norm, Evidence { weighted_ratio: 10.0, ..HONEST }),
            (Reason::Rate, Evidence { over_rate: 1.0, ..HONEST }),
            (Reason::Direction, Evidence { coherence: 0.9, norm_ratio: 2.5, ..HONEST }),
            (Reason::Stale, Evidence { unmoved: 9, ..HONEST }),
            (Reason::Stale, Evidence { steps: 0, ..HONEST }),
        ];
        let config = Trust::default();
        for measure in ALL {
            assert_eq!(measure.strikes(&HONEST, &config), 0, "{}", measure.name());
            for (reason, lie) in lies {
                let seen = measure.strikes(&lie, &config) > 0;
                assert_eq!(seen, reason == measure.reason(), "{} and {reason:?}", measure.name());
            }
        }
    }

    #[test]
    fn what_is_far_beyond_is_enough_at_once() {
        let outrage = Evidence { norm_ratio: 1000.0, ..HONEST };
        assert_eq!(Norm.strikes(&outrage, &Trust::default()), OUTRAGE);
        let unknown = Evidence { norm_ratio: f32::NAN, weighted_ratio: f32::NAN, cosine: f32::NAN, ..HONEST };
        assert!(ALL.iter().all(|measure| measure.strikes(&unknown, &Trust::default()) == 0));
    }
}
