//! `conv2d_backward_weight` for C and O that are multiples of 4: the same sums, read four numbers at a time.
//!
//! ```text
//! dw[o, ky, kx, c] = sum_(n, oy, ox) dy[n, oy, ox, o] x[n, oy s - p + ky, ox s - p + kx, c]        db[o] = sum dy[n, oy, ox, o]
//! ```
//!
//! Arguments and words of `conv2d_backward_weight`. An invocation makes 8 x 8 results of a part with 4 loads for 64 multiply-adds.

mod cpu;

use super::{Access, Argument, Cost, Grid, Kernel, WORDS, loops, patches};

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct Conv2dBackwardWeightWide;

impl Kernel for Conv2dBackwardWeightWide {
    fn name(&self) -> &'static str {
        "conv2d_backward_weight_wide"
    }

    fn wgsl(&self) -> &'static str {
        include_str!("kernel.wgsl")
    }

    fn access(&self) -> &'static [Access] {
        &[Access::Read, Access::Read, Access::Write]
    }

    fn grid(&self, words: &[u32; WORDS]) -> Grid {
        patches::wide_weight_grid(words)
    }

    fn cost(&self, words: &[u32; WORDS]) -> Cost {
        Cost::convolution(words)
    }

    fn turns(&self, words: &[u32; WORDS]) -> u64 {
        loops::product(patches::rows_of_part(words))
    }

    fn twin(&self, arguments: &mut [Argument<'_>], words: &[u32; WORDS]) {
        cpu::run(arguments, words);
    }
}
