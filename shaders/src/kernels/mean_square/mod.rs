//! The running mean square of a gradient: one number for the whole model.
//!
//! ```text
//! s = b2 s + (1 - b2) (sum_s parts[s]) / d
//! ```
//!
//! Arguments: parts [S] of `sum_squares`, state (word [`STATE_SECOND`](super::advance::STATE_SECOND) is s). Words: S, d, then as a
//! float b2. One invocation, so that the sum has one order.

mod cpu;

use super::{Access, Argument, Cost, Grid, Kernel, WORDS, loops};

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct MeanSquare;

impl Kernel for MeanSquare {
    fn name(&self) -> &'static str {
        "mean_square"
    }

    fn wgsl(&self) -> &'static str {
        include_str!("kernel.wgsl")
    }

    fn access(&self) -> &'static [Access] {
        &[Access::Read, Access::Write]
    }

    fn grid(&self, _words: &[u32; WORDS]) -> Grid {
        Grid { invocations: [1, 1], workgroup: [1, 1] }
    }

    fn cost(&self, words: &[u32; WORDS]) -> Cost {
        Cost::stream(words[0], 1, 1)
    }

    fn turns(&self, words: &[u32; WORDS]) -> u64 {
        loops::plain(words[0].into())
    }

    fn twin(&self, arguments: &mut [Argument<'_>], words: &[u32; WORDS]) {
        cpu::run(arguments, words);
    }
}
