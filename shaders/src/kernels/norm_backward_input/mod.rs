//! Gradient of group, layer or RMS norm with respect to its input.
//!
//! ```text
//! dx = inverse (dy gamma - first - h second),  h = (x - mean) inverse
//! ```
//!
//! Arguments: dy [N, P, C], x [N, P, C], parameters (flat), statistics [N, G, 2], means [N, G, 2] of `norm_backward_statistics`,
//! dx [N, P, C]. Words: N, P, C, G, offset, 1 for RMS norm, epsilon.

mod cpu;

use super::{Access, Argument, Cost, Grid, Kernel, WORDS, cost};

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct NormBackwardInput;

impl Kernel for NormBackwardInput {
    fn name(&self) -> &'static str {
        "norm_backward_input"
    }

    fn wgsl(&self) -> &'static str {
        include_str!("kernel.wgsl")
    }

    fn access(&self) -> &'static [Access] {
        &[Access::Read, Access::Read, Access::Read, Access::Read, Access::Read, Access::Write]
    }

    fn grid(&self, words: &[u32; WORDS]) -> Grid {
        Grid::elements(words[0] * words[1] * words[2])
    }

    fn cost(&self, words: &[u32; WORDS]) -> Cost {
        let n = cost::all([words[0], words[1], words[2]]);
        let groups = cost::all([words[0], words[3]]);
        Cost::of(3 * n + 4 * groups + u64::from(words[2]), 7 * n)
    }

    fn twin(&self, arguments: &mut [Argument<'_>], words: &[u32; WORDS]) {
        cpu::run(arguments, words);
    }
}
