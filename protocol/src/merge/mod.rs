//! How to fold in: one model out of a peer's own and those of others, for modes that average models. Math on slices.
//!
//! The rules promise different things, and each says which ([`Merge::keeps_mean`], [`Merge::hostile_max`]): an average
//! keeps the mean of the swarm and falls to a single liar; a median does the opposite. What holds for all:
//!
//! - The order of `others` makes no difference, to the bit.
//! - Without others, and where all are equal, the result is `own`.
//! - A model that holds a NaN or an infinity counts as absent, whole: who sends one has diverged or lies, and what else
//!   it says is worth nothing. An `own` that is not finite is an error: no merge should hide that a peer has diverged.
//! - The result is finite. (Sums are kept in f64, and every rule stays among or between its inputs.)
//!
//! Results of different machines may differ in the last bit; nothing here is part of what must be equal everywhere.
//!
//! Add a rule: one file here and one line in [`ALL`]. The conformance test below loops over [`ALL`].

mod average;
mod clipped;
mod coordinate_median;
mod trimmed_mean;

pub use average::Average;
pub use clipped::Clipped;
pub use coordinate_median::CoordinateMedian;
pub use trimmed_mean::TrimmedMean;

use std::cmp::Ordering;
use std::fmt::Debug;

use crate::config::MergeRule;

/// Every rule, with its default parameters.
pub const ALL: &[&dyn Merge] = &[&Average, &Clipped::ADAPTIVE, &CoordinateMedian, &TrimmedMean::QUARTER];

/// Makes one model of several.
pub trait Merge: Sync + Debug {
    /// Name in job files and on the command line.
    fn name(&self) -> &'static str;

    /// One line for `--help` and the docs.
    fn about(&self) -> &'static str;

    /// Whether the mean over all peers stays what it was when every peer merges the models of all others.
    fn keeps_mean(&self) -> bool;

    /// Among `models` finite ones (our own counted), how many may lie without moving any coordinate of the result out of
    /// the range of the honest ones.
    fn hostile_max(&self, models: usize) -> usize;

    /// The rule itself. `own` and all of `others` are finite and of one length, `others` is not empty and in an order
    /// that does not depend on the caller's. Fills `out`, which is empty.
    fn merge_finite(&self, own: &[f32], others: &[&[f32]], out: &mut Vec<f32>);

    /// Replaces `out` by `own` merged with `others`; see the module.
    ///
    /// # Errors
    /// [`MergeError`] for another length than that of `own`, and for an `own` that is not finite; `out` is empty then.
    fn merge(&self, own: &[f32], others: &[&[f32]], out: &mut Vec<f32>) -> Result<(), MergeError> {
        out.clear();
        if let Some(odd) = others.iter().find(|other| other.len() != own.len()) {
            return Err(MergeError::Shape { found: odd.len(), expected: own.len() });
        }
        let count = own.iter().filter(|value| !value.is_finite()).count();
        if count > 0 {
            return Err(MergeError::NonFinite { count, parameters: own.len() });
        }
        let mut present: Vec<&[f32]> =
            others.iter().copied().filter(|other| other.iter().all(|value| value.is_finite())).collect();
        // Float sums depend on their order: one that is of the models alone makes them a function of the set.
        present.sort_by(|a, b| lexicographic(a, b));
        if present.is_empty() {
            out.extend_from_slice(own);
        } else {
            self.merge_finite(own, &present, out);
        }
        Ok(())
    }
}

/// Why models were not merged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MergeError {
    /// A model has another length.
    #[error("a model of {found} parameters cannot be merged into one of {expected}")]
    Shape {
        /// Its length.
        found: usize,
        /// Ours.
        expected: usize,
    },
    /// Our own model has diverged.
    #[error("{count} of {parameters} weights of our own are not finite")]
    NonFinite {
        /// Weights that are NaN or infinite.
        count: usize,
        /// Weights in all.
        parameters: usize,
    },
}

/// The implementation of a configured rule.
#[must_use]
pub fn of(rule: MergeRule) -> &'static dyn Merge {
    match rule {
        MergeRule::Average => &Average,
        MergeRule::Clipped => &Clipped::ADAPTIVE,
        MergeRule::CoordinateMedian => &CoordinateMedian,
        MergeRule::TrimmedMean => &TrimmedMean::QUARTER,
    }
}

/// The rule of that name.
#[must_use]
pub fn by_name(name: &str) -> Option<&'static dyn Merge> {
    ALL.iter().copied().find(|rule| rule.name() == name)
}

fn lexicographic(a: &[f32], b: &[f32]) -> Ordering {
    a.iter().zip(b).map(|(x, y)| x.total_cmp(y)).find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
}

/// Fills `out` coordinate by coordinate with `rule` of all values of that coordinate, ascending.
fn by_coordinate(own: &[f32], others: &[&[f32]], out: &mut Vec<f32>, rule: impl Fn(&[f32]) -> f32) {
    let mut column = Vec::with_capacity(others.len() + 1);
    out.extend(own.iter().enumerate().map(|(i, &value)| {
        column.clear();
        column.push(value);
        column.extend(others.iter().map(|other| other[i]));
        column.sort_unstable_by(f32::total_cmp);
        rule(&column)
    }));
}

/// Mean of a few values, in f64; NaN of none.
fn mean(values: &[f32]) -> f32 {
    (values.iter().copied().map(f64::from).sum::<f64>() / values.len() as f64) as f32
}

#[cfg(test)]
mod tests;
