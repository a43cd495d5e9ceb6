//! Adam with the constants of its paper (arXiv 1412.6980), and AdamW, which is Adam with decoupled weight decay (arXiv 1711.05101).

use super::Betas;
use crate::kernels::word;

pub(super) const MOMENTS: usize = 2;
pub(super) const BETAS: Betas = Betas(0.9, 0.999);
const EPSILON: f32 = 1e-8;

pub(super) fn words(parameters: usize, learning_rate: f32, decay: f32) -> [u32; 6] {
    [parameters as u32, word(learning_rate), word(BETAS.0), word(BETAS.1), word(EPSILON), word(decay)]
}
