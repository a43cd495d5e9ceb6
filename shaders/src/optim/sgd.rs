//! Stochastic gradient descent with momentum, Polyak's or Nesterov's.

use crate::kernels::word;

pub(super) const MOMENTS: usize = 1;

pub(super) fn words(parameters: usize, learning_rate: f32, momentum: f32, nesterov: bool) -> [u32; 4] {
    [parameters as u32, word(learning_rate), word(momentum), u32::from(nesterov)]
}
