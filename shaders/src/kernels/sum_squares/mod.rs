//! Sums of squares of the numbers of a buffer: the first half of a norm.
//!
//! ```text
//! parts[s] = sum of x[i]^2 over i = s, s + S, s + 2 S, ...
//! ```
//!
//! Neighbouring invocations read neighbouring numbers, and the twin goes by rows of S numbers, in the same order. Arguments: x [d], parts [S]. Words: d, S.

mod cpu;

use super::{Access, Argument, Cost, Grid, Kernel, WORDS, loops};

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct SumSquares;

impl Kernel for SumSquares {
    fn name(&self) -> &'static str {
        "sum_squares"
    }

    fn wgsl(&self) -> &'static str {
        include_str!("kernel.wgsl")
    }

    fn access(&self) -> &'static [Access] {
        &[Access::Read, Access::Write]
    }

    fn grid(&self, words: &[u32; WORDS]) -> Grid {
        Grid::elements(words[1])
    }

    fn cost(&self, words: &[u32; WORDS]) -> Cost {
        Cost::stream(words[0], 1, 2)
    }

    fn turns(&self, words: &[u32; WORDS]) -> u64 {
        loops::by_eight(words[0].div_ceil(words[1].max(1)).into())
    }

    fn twin(&self, arguments: &mut [Argument<'_>], words: &[u32; WORDS]) {
        cpu::run(arguments, words);
    }
}
