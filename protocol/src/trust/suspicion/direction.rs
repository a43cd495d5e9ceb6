//! `direction`: against the way that the others move, while they agree on it.
//!
//! Near an optimum honest peers with different data pull against each other, and each one's pull is exactly against the sum of
//! the others'. What tells them from a liar is coherence: the others' pulls cancel there. So the cosine counts only while
//! the others move together, as they do when an attack can do most harm.
//!
//! A peer whose data asks for something else than everybody's is against them too, and is right. It does not go farther than the
//! others, though: going against them only lowers the bar for the norm.

use super::{Evidence, Measure};
use crate::config::Trust;
use crate::trust::Reason;

/// Cosine below which a delta counts as going against the others. guess.
const COSINE_MIN: f32 = -0.5;
/// Coherence from which on the others count as agreeing. Of n peers half of which pull against the other half, n - 1 reach
/// 1 / (n - 1); of an odd number 2 / (n - 1), which is 0.4 for the least company in which the cosine is measured.
const COHERENCE_MIN: f32 = 0.6;

/// Of the factor of [`super::Norm`]: the bar for whoever goes against the others.
const LENGTH_SHARE: f32 = 2.0 / 3.0;

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct Direction;

impl Measure for Direction {
    fn name(&self) -> &'static str {
        "direction"
    }

    fn about(&self) -> &'static str {
        "the delta goes against the common motion of the others"
    }

    fn reason(&self) -> Reason {
        Reason::Direction
    }

    fn strikes(&self, evidence: &Evidence, config: &Trust) -> u32 {
        let against = evidence.cosine < COSINE_MIN && evidence.coherence > COHERENCE_MIN;
        let long = evidence.norm_ratio > LENGTH_SHARE * config.suspect_norm_factor;
        u32::from(against && long)
    }
}
