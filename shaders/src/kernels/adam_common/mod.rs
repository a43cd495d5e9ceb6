//! Adam with one second moment for all parameters.
//!
//! ```text
//! m = b1 m + (1 - b1) g         theta -= rate * (m / (1 - b1^t)) / (sqrt(s / (1 - b2^t)) + epsilon)
//! ```
//!
//! s is what [`mean_square`](super::mean_square) made of this step's gradient. Arguments: theta, gradient, m (all [d]), state.
//! Words: d, then as floats rate, b1, epsilon. b1^t, b2^t and s are words of `state`.

mod cpu;

use super::{Access, Argument, Cost, Grid, Kernel, WORDS};

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct AdamCommon;

impl Kernel for AdamCommon {
    fn name(&self) -> &'static str {
        "adam_common"
    }

    fn wgsl(&self) -> &'static str {
        include_str!("kernel.wgsl")
    }

    fn access(&self) -> &'static [Access] {
        &[Access::Write, Access::Read, Access::Write, Access::Read]
    }

    fn grid(&self, words: &[u32; WORDS]) -> Grid {
        Grid::elements(words[0])
    }

    fn cost(&self, words: &[u32; WORDS]) -> Cost {
        Cost::stream(words[0], 5, 5)
    }

    fn twin(&self, arguments: &mut [Argument<'_>], words: &[u32; WORDS]) {
        cpu::run(arguments, words);
    }
}
