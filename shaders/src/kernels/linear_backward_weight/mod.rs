//! Gradient of a linear layer with respect to its parameters: dW = dY^T X, db = sum of the rows of dY.
//!
//! ```text
//! dw[n, k] = sum_m dy[m, n] x[m, k]          db[n] = sum_m dy[m, n]
//! ```
//!
//! Arguments: dy [M, N], x [M, K], gradient (flat; at `offset` dw [N, K] row by row, then db [N],
//! overwritten). Words: M, N, K, offset, and 1 where there is no b.
//! Blocks as in `linear_forward`; the invocations of the first column also sum the bias.

pub(super) mod cpu;

use super::{Access, Argument, Cost, Grid, Kernel, WORDS, loops};

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct LinearBackwardWeight;

impl Kernel for LinearBackwardWeight {
    fn name(&self) -> &'static str {
        "linear_backward_weight"
    }

    fn wgsl(&self) -> &'static str {
        include_str!("kernel.wgsl")
    }

    fn access(&self) -> &'static [Access] {
        &[Access::Read, Access::Read, Access::Write]
    }

    fn grid(&self, words: &[u32; WORDS]) -> Grid {
        Grid { invocations: [words[2].div_ceil(4), words[1].div_ceil(4)], workgroup: [8, 4] }
    }

    fn cost(&self, words: &[u32; WORDS]) -> Cost {
        Cost::product(words[0], words[1], words[2])
    }

    fn turns(&self, words: &[u32; WORDS]) -> u64 {
        loops::product(words[0].into())
    }

    fn twin(&self, arguments: &mut [Argument<'_>], words: &[u32; WORDS]) {
        cpu::run(arguments, words);
    }
}
