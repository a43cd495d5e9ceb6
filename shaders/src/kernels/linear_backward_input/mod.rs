//! Gradient of a linear layer with respect to its input: dX = dY W.
//!
//! ```text
//! dx[m, k] = sum_n dy[m, n] w[n, k]
//! ```
//!
//! Arguments: dy [M, N], parameters (flat; w [N, K] at `offset`), dx [M, K]. Words: M, N, K, offset. Blocks as in `linear_forward`.

pub(super) mod cpu;

use super::{Access, Argument, Cost, Grid, Kernel, WORDS, loops};

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct LinearBackwardInput;

impl Kernel for LinearBackwardInput {
    fn name(&self) -> &'static str {
        "linear_backward_input"
    }

    fn wgsl(&self) -> &'static str {
        include_str!("kernel.wgsl")
    }

    fn access(&self) -> &'static [Access] {
        &[Access::Read, Access::Read, Access::Write]
    }

    fn grid(&self, words: &[u32; WORDS]) -> Grid {
        Grid { invocations: [words[2].div_ceil(4), words[0].div_ceil(4)], workgroup: [8, 4] }
    }

    fn cost(&self, words: &[u32; WORDS]) -> Cost {
        Cost::product(words[0], words[1], words[2])
    }

    fn turns(&self, words: &[u32; WORDS]) -> u64 {
        loops::product(words[1].into())
    }

    fn twin(&self, arguments: &mut [Argument<'_>], words: &[u32; WORDS]) {
        cpu::run(arguments, words);
    }
}
