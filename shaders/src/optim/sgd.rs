//! Stochastic gradient descent with momentum.

use crate::kernels::word;

pub(super) const MOMENTS: usize = 1;

pub(super) fn words(parameters: usize, learning_rate: f32, momentum: f32) -> [u32; 3] {
    [parameters as u32, word(learning_rate), word(momentum)]
}
