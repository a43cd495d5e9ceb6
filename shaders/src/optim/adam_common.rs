//! Adam with one second moment for all parameters: the drift correction for peers that see different classes.
//!
//! Adam divides every coordinate by the size of its *own* gradient. Where peers see different data these sizes differ, so each
//! peer steps in a geometry of its own and the mean of the steps is no step of anything: on Fashion-MNIST with half of the
//! classes on each peer, averaging local steps of Adam costs 6 points even at every single step, with all bytes sent. Sharing
//! the second moments mends it (Chen et al. 2020, arXiv 2109.05109) and costs bytes. One moment for the whole model mends it
//! for nothing: it is a mean over all coordinates, nearly the same on every peer, so that a step is one and the same multiple
//! of a gradient everywhere and the mean of the steps is a step along the mean gradient. What remains of Adam is a rate that
//! needs no knowledge of the size of the gradients. Figures: `docs/algorithms.md`, "Unequal classes".

use super::adam;
use crate::kernels::word;

pub(super) const MOMENTS: usize = 1;
const EPSILON: f32 = 1e-8;

/// Of the kernel `adam_common`.
pub(super) fn words(parameters: usize, learning_rate: f32) -> [u32; 4] {
    [parameters as u32, word(learning_rate), word(adam::BETAS.0), word(EPSILON)]
}

/// Of the kernel `mean_square`.
pub(super) fn moment_words(parts: u32, parameters: usize) -> [u32; 3] {
    [parts, parameters as u32, word(adam::BETAS.1)]
}
