//! `linear_backward_weight` for N, K and an offset that are multiples of 4: the same sums, read four numbers at a time.
//!
//! ```text
//! dw[n, k] = sum_m dy[m, n] x[m, k]          db[n] = sum_m dy[m, n]        n and k in steps of 4
//! ```
//!
//! Arguments and words of `linear_backward_weight`. An invocation makes 8 x 8 results with 4 loads for 64 multiply-adds; those of the
//! first columns also sum the bias.

mod cpu;

use super::{Access, Argument, Cost, Grid, Kernel, WORDS, loops};

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct LinearBackwardWeightWide;

impl Kernel for LinearBackwardWeightWide {
    fn name(&self) -> &'static str {
        "linear_backward_weight_wide"
    }

    fn wgsl(&self) -> &'static str {
        include_str!("kernel.wgsl")
    }

    fn access(&self) -> &'static [Access] {
        &[Access::Read, Access::Read, Access::Write]
    }

    fn grid(&self, words: &[u32; WORDS]) -> Grid {
        Grid { invocations: [words[2].div_ceil(8), words[1].div_ceil(8)], workgroup: [8, 4] }
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
