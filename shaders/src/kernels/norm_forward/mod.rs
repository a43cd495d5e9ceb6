//! Group, layer or RMS norm from its statistics.
//!
//! ```text
//! y = act( gamma[c] (x - mean) inverse + beta[c] )        RMS norm: beta = 0
//! ```
//!
//! x is [N, P, C] in G groups of C / G channels: group norm of a picture has P = H W; layer norm of a text has P = 1 and G = 1.
//!
//! Arguments: x [N, P, C], parameters (flat; at `offset` gamma [C], then beta [C] but for RMS norm), statistics [N, G, 2],
//! y [N, P, C]. Words: N, P, C, G, offset, 1 for RMS norm, epsilon, number of the activation.

mod cpu;

use super::{Access, Argument, Cost, Grid, Kernel, WORDS, activation, cost};

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct NormForward;

impl Kernel for NormForward {
    fn name(&self) -> &'static str {
        "norm_forward"
    }

    fn wgsl(&self) -> &'static str {
        include_str!("kernel.wgsl")
    }

    fn access(&self) -> &'static [Access] {
        &[Access::Read, Access::Read, Access::Read, Access::Write]
    }

    fn grid(&self, words: &[u32; WORDS]) -> Grid {
        Grid::elements(words[0] * words[1] * words[2])
    }

    fn cost(&self, words: &[u32; WORDS]) -> Cost {
        let n = cost::all([words[0], words[1], words[2]]);
        let groups = cost::all([words[0], words[3]]);
        Cost::of(2 * n + 2 * groups + 2 * u64::from(words[2]), n * (4 + activation::flops(words[7])))
    }

    fn twin(&self, arguments: &mut [Argument<'_>], words: &[u32; WORDS]) {
        cpu::run(arguments, words);
    }
}
