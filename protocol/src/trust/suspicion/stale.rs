//! `stale`: the origin goes on speaking, and what it has heard does not change; or it claims no steps.

use super::{Evidence, Measure};
use crate::config::Trust;
use crate::trust::Reason;

/// Deltas in a row. An origin's own deltas are part of what it has heard, so an honest one repeats itself only while
/// its learner's queue holds more than one delta.
const UNMOVED_MAX: u32 = 6;

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct Stale;

impl Measure for Stale {
    fn name(&self) -> &'static str {
        "stale"
    }

    fn about(&self) -> &'static str {
        "the origin does not hear, or claims no steps"
    }

    fn reason(&self) -> Reason {
        Reason::Stale
    }

    fn strikes(&self, evidence: &Evidence, _: &Trust) -> u32 {
        u32::from(evidence.unmoved > UNMOVED_MAX || evidence.steps == 0)
    }
}
