//! `linear_backward_input` for N, K and an offset that are multiples of 4: the same sums, read four numbers at a time.
//!
//! ```text
//! dx[m, k] = sum_n dy[m, n] w[n, k]        n and k in steps of 4
//! ```
//!
//! Arguments and words of `linear_backward_input`. An invocation makes 4 x 4 results with 8 loads for 64 multiply-adds.

mod cpu;

use super::{Access, Argument, Cost, Grid, Kernel, WORDS, loops};

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct LinearBackwardInputWide;

impl Kernel for LinearBackwardInputWide {
    fn name(&self) -> &'static str {
        "linear_backward_input_wide"
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
        loops::product(u64::from(words[1]).div_ceil(4))
    }

    fn twin(&self, arguments: &mut [Argument<'_>], words: &[u32; WORDS]) {
        cpu::run(arguments, words);
    }
}
