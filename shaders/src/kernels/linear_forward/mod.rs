//! Y = act(X W^T + b).
//!
//! ```text
//! y[m, n] = act( sum_k x[m, k] w[n, k] + b[n] )
//! ```
//!
//! Arguments: x [M, K], parameters (flat; at `offset` w [N, K] row by row, then b [N]), y [M, N].
//! Words: M, N, K, number of the activation (see [`super::Activation`]), offset, and 1 where there is no b.
//!
//! On the GPU an invocation makes 4 x 4 outputs from registers, without workgroup memory: on software Vulkan every load
//! is paid lane by lane, so the number of loads is the cost, and a 4 x 4 block takes 8 loads for 16 multiply-adds.

pub(super) mod cpu;

use super::{Access, Argument, Cost, Grid, Kernel, WORDS, loops};

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct LinearForward;

impl Kernel for LinearForward {
    fn name(&self) -> &'static str {
        "linear_forward"
    }

    fn wgsl(&self) -> &'static str {
        include_str!("kernel.wgsl")
    }

    fn access(&self) -> &'static [Access] {
        &[Access::Read, Access::Read, Access::Write]
    }

    fn grid(&self, words: &[u32; WORDS]) -> Grid {
        Grid { invocations: [words[1].div_ceil(4), words[0].div_ceil(4)], workgroup: [8, 4] }
    }

    fn cost(&self, words: &[u32; WORDS]) -> Cost {
        Cost::product(words[0], words[1], words[2])
    }

    fn turns(&self, words: &[u32; WORDS]) -> u64 {
        loops::product(words[2].into())
    }

    fn twin(&self, arguments: &mut [Argument<'_>], words: &[u32; WORDS]) {
        cpu::run(arguments, words);
    }
}
