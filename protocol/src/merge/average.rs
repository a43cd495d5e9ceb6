//! `average`: the mean of all models.
//!
//! ```text
//! x = (own + sum_j x_j) / n
//! ```
//!
//! The only rule here that keeps the mean of the swarm, so the one to take where everybody is honest. One liar moves it as
//! far as it likes. Source: decentralised SGD (arXiv 1705.09056), with equal weights.

use super::{Merge, by_coordinate, mean};

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct Average;

impl Merge for Average {
    fn name(&self) -> &'static str {
        "average"
    }

    fn about(&self) -> &'static str {
        "the mean; keeps the swarm's mean, no defence"
    }

    fn keeps_mean(&self) -> bool {
        true
    }

    fn hostile_max(&self, _models: usize) -> usize {
        0
    }

    fn merge_finite(&self, own: &[f32], others: &[&[f32]], out: &mut Vec<f32>) {
        by_coordinate(own, others, out, mean);
    }
}
