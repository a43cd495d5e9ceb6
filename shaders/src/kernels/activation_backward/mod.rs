//! Gradient of y = act(z) with respect to z: dz = dy act'(z). In place.
//!
//! ```text
//! relu'(z) = [z > 0]      silu'(z) = s (1 + z (1 - s)),  s = 1 / (1 + exp(-z))
//! gelu'(z) = s + 2 z s (1 - s) du/dz,  s = 1 / (1 + exp(-2 u)),  du/dz = sqrt(2 / pi) (1 + 3 * 0.044715 z^2)
//! ```
//!
//! Of ReLU z may be y: one is positive where the other is. Arguments: z [n], dy [n]. Words: n, and the number of the activation, see [`super::Activation`].

mod cpu;

use super::{Access, Argument, Cost, Grid, Kernel, WORDS, activation};

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct ActivationBackward;

impl Kernel for ActivationBackward {
    fn name(&self) -> &'static str {
        "activation_backward"
    }

    fn wgsl(&self) -> &'static str {
        include_str!("kernel.wgsl")
    }

    fn access(&self) -> &'static [Access] {
        &[Access::Read, Access::Write]
    }

    fn grid(&self, words: &[u32; WORDS]) -> Grid {
        Grid::elements(words[0])
    }

    fn cost(&self, words: &[u32; WORDS]) -> Cost {
        Cost::stream(words[0], 3, 1 + activation::flops_of_slope(words[1]))
    }

    fn twin(&self, arguments: &mut [Argument<'_>], words: &[u32; WORDS]) {
        cpu::run(arguments, words);
    }
}
