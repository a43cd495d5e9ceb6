//! `coordinate_median`: the median of every coordinate on its own; of an even number the mean of the middle two.
//!
//! As long as fewer than half of the models lie, the middle lies between honest values, whatever is sent. It pays with
//! what it throws away: where honest peers differ (unequal data) the median is not their mean, and the swarm's mean moves.
//! Source: Byzantine-robust distributed learning, optimal statistical rates (arXiv 1803.01498).

use super::{Merge, by_coordinate, mean};

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct CoordinateMedian;

impl Merge for CoordinateMedian {
    fn name(&self) -> &'static str {
        "coordinate_median"
    }

    fn about(&self) -> &'static str {
        "the median of every coordinate; withstands just under a half"
    }

    fn keeps_mean(&self) -> bool {
        false
    }

    fn hostile_max(&self, models: usize) -> usize {
        models.saturating_sub(1) / 2
    }

    fn merge_finite(&self, own: &[f32], others: &[&[f32]], out: &mut Vec<f32>) {
        by_coordinate(own, others, out, |column| mean(&column[(column.len() - 1) / 2..=column.len() / 2]));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_of_odd_and_even() {
        let mut out = Vec::new();
        CoordinateMedian.merge(&[1.0, 5.0], &[&[9.0, 4.0], &[2.0, -1e9]], &mut out).expect("of one shape");
        assert_eq!(out, [2.0, 4.0]);
        CoordinateMedian.merge(&[1.0, 5.0], &[&[9.0, 4.0], &[2.0, -1e9], &[4.0, 0.0]], &mut out).expect("of one shape");
        assert_eq!(out, [3.0, 2.0]);
    }
}
