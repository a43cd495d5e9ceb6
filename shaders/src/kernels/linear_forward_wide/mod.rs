//! `linear_forward` for K and an offset that are multiples of 4: the same sums, read four numbers at a time.
//!
//! ```text
//! y[m, n] = act( sum_k x[m, k] . w[n, k] + b[n] )        k in steps of 4
//! ```
//!
//! Arguments and words of `linear_forward`. An invocation makes 4 x 4 results with 8 loads for 64 multiply-adds; the narrow kernel
//! takes 32.

mod cpu;

use super::{Access, Argument, Cost, Grid, Kernel, WORDS, loops};

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct LinearForwardWide;

impl Kernel for LinearForwardWide {
    fn name(&self) -> &'static str {
        "linear_forward_wide"
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
        loops::product(u64::from(words[2]).div_ceil(4))
    }

    fn twin(&self, arguments: &mut [Argument<'_>], words: &[u32; WORDS]) {
        cpu::run(arguments, words);
    }
}
