//! `trimmed_mean`: for every coordinate, the mean of what remains when the b lowest and the b highest values are dropped.
//!
//! ```text
//! b = floor(n / parts)      n models, our own counted; parts = 4 by default
//! ```
//!
//! Between average (b = 0) and median (all but the middle): it withstands b liars and uses more of the honest than a
//! median does. With b a quarter it withstands up to a quarter and no more: who fears a third takes parts = 3 (and of
//! fewer than 3 models trims none). Source: arXiv 1803.01498.

use super::{Merge, by_coordinate, mean};

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct TrimmedMean {
    /// One part in so many is dropped at each end; at least 3, or nothing would remain.
    parts: usize,
}

impl TrimmedMean {
    /// Drops a quarter at each end.
    pub const QUARTER: Self = Self { parts: 4 };

    /// Drops `floor(n / parts)` at each end; `None` for fewer than 3 parts.
    #[must_use]
    pub const fn one_in(parts: usize) -> Option<Self> {
        if parts < 3 { None } else { Some(Self { parts }) }
    }

    const fn trim(self, models: usize) -> usize {
        models / self.parts
    }
}

impl Merge for TrimmedMean {
    fn name(&self) -> &'static str {
        "trimmed_mean"
    }

    fn about(&self) -> &'static str {
        "the mean of every coordinate without its lowest and highest quarter; withstands a quarter"
    }

    fn keeps_mean(&self) -> bool {
        false
    }

    fn hostile_max(&self, models: usize) -> usize {
        self.trim(models)
    }

    fn merge_finite(&self, own: &[f32], others: &[&[f32]], out: &mut Vec<f32>) {
        let trim = self.trim(others.len() + 1);
        by_coordinate(own, others, out, |column| mean(&column[trim..column.len() - trim]));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ends_are_dropped() {
        let mut out = Vec::new();
        let merge = |rule: TrimmedMean, out: &mut Vec<f32>| rule.merge(&[1.0], &[&[1e9], &[3.0], &[-1e9]], out);
        merge(TrimmedMean::QUARTER, &mut out).expect("of one shape");
        assert_eq!(out, [2.0]);
        merge(TrimmedMean::one_in(5).expect("five parts"), &mut out).expect("of one shape");
        assert_eq!(out, [1.0], "four models are too few to drop a fifth: a plain mean");
        assert!(TrimmedMean::one_in(2).is_none(), "two halves leave nothing");
    }
}
