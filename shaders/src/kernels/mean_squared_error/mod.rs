//! Mean squared error, forward and backward.
//!
//! ```text
//! loss[m] = 1/C sum_c (y[m, c] - t[m, c])^2        dy[m, c] = 2 (y[m, c] - t[m, c]) / (M C)        t = 1 at the class, 0 elsewhere
//! correct[m] = 1 when the largest y (the first of equals) is at the class
//! ```
//!
//! Arguments: y [M, C] (overwritten by its gradient), classes [M], rows [M, 2] (loss as f32, correct as u32). Words: M, C.

mod cpu;

use super::{Access, Argument, Cost, Grid, Kernel, WORDS, loops};

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct MeanSquaredError;

impl Kernel for MeanSquaredError {
    fn name(&self) -> &'static str {
        "mean_squared_error"
    }

    fn wgsl(&self) -> &'static str {
        include_str!("kernel.wgsl")
    }

    fn access(&self) -> &'static [Access] {
        &[Access::Write, Access::Read, Access::Write]
    }

    fn grid(&self, words: &[u32; WORDS]) -> Grid {
        Grid::elements(words[0])
    }

    fn cost(&self, words: &[u32; WORDS]) -> Cost {
        Cost::stream(words[0].saturating_mul(words[1]), 2, 5)
    }

    fn turns(&self, words: &[u32; WORDS]) -> u64 {
        loops::plain(words[1].into())
    }

    fn twin(&self, arguments: &mut [Argument<'_>], words: &[u32; WORDS]) {
        cpu::run(arguments, words);
    }
}
