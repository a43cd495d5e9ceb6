//! `rate`: more deltas than an allowance that grows by `rate_max` times the median rate of the origins.
//!
//! The allowance is a token bucket that begins full and holds what grows in [`super::ledger::BURST`]: deltas that were said
//! during a partition arrive all at once when it heals, and that is no flood.

use super::{Evidence, Measure};
use crate::config::Trust;
use crate::trust::Reason;

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct Rate;

impl Measure for Rate {
    fn name(&self) -> &'static str {
        "rate"
    }

    fn about(&self) -> &'static str {
        "the origin says far more deltas than the others"
    }

    fn reason(&self) -> Reason {
        Reason::Rate
    }

    fn strikes(&self, evidence: &Evidence, _: &Trust) -> u32 {
        u32::from(evidence.over_rate > 0.0)
    }
}
