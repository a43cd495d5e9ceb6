//! [`Saved`]: a learner as plain numbers, for a disk.

use std::collections::BTreeMap;

/// All that a learner goes on from. Two learners of one job that hold equal ones and take the same steps hold equal ones again, on a
/// device that computes alike.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Saved {
    /// b, length d, units of 2^-24.
    pub base: Vec<i32>,
    /// Training weights, length d.
    pub theta: Vec<f32>,
    /// What else the learner needs, under names of its own: moments of the optimizer, the order of the samples. Words of 32 bits.
    pub own: BTreeMap<String, Vec<u32>>,
}
