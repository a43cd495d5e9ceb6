//! `norm`: ||v|| more than `suspect_norm_factor` times the median of all origins, or ||w v|| three times as much as that.
//!
//! The bar for ||w v|| is higher because an honest peer that was alone, or in the smaller part of a swarm that was cut in two,
//! has rightly taken a larger w than we did; and w has a cap of its own ([`crate::trust::Limits`]).

use super::{Evidence, Measure, OUTRAGE};
use crate::config::Trust;
use crate::trust::Reason;

/// So many times the factor is enough at once. guess: an honest outlier after a pause reached 4 times the median.
const OUTRAGE_FACTOR: f32 = 10.0;

/// See the module.
pub(super) const WEIGHT_SLACK: f32 = 3.0;

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct Norm;

impl Measure for Norm {
    fn name(&self) -> &'static str {
        "norm"
    }

    fn about(&self) -> &'static str {
        "the delta is far longer than the others'"
    }

    fn reason(&self) -> Reason {
        Reason::Norm
    }

    fn strikes(&self, evidence: &Evidence, config: &Trust) -> u32 {
        let ratio = evidence.norm_ratio.max(evidence.weighted_ratio / WEIGHT_SLACK);
        if ratio > OUTRAGE_FACTOR * config.suspect_norm_factor {
            OUTRAGE
        } else {
            u32::from(ratio > config.suspect_norm_factor)
        }
    }
}
