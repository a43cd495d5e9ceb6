//! Dropout by counter (Srivastava et al. 2014): which numbers stay follows from (seed, step, layer, place) alone, so that nothing
//! is kept for the backward pass, which is the same kernel on the gradient.
//!
//! ```text
//! y[i] = x[i] / (1 - p) where draw(i, step, layer, seed) >= p, else 0
//! ```
//!
//! The draw is one word of pcg4d (Jarzynski and Olano 2020, "Hash functions for GPU rendering"), the same bits on every device.
//!
//! Arguments: x [n], state, y [n]. Words: n, smallest draw that stays (p 2^32), 1 / (1 - p) as a float, layer, seed.
//! The step is a word of `state` that is never reset.

mod cpu;

use super::{Access, Argument, Cost, Grid, Kernel, WORDS};

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct Dropout;

impl Kernel for Dropout {
    fn name(&self) -> &'static str {
        "dropout"
    }

    fn wgsl(&self) -> &'static str {
        include_str!("kernel.wgsl")
    }

    fn access(&self) -> &'static [Access] {
        &[Access::Read, Access::Read, Access::Write]
    }

    fn grid(&self, words: &[u32; WORDS]) -> Grid {
        Grid::elements(words[0])
    }

    fn cost(&self, words: &[u32; WORDS]) -> Cost {
        Cost::stream(words[0], 2, 1)
    }

    fn twin(&self, arguments: &mut [Argument<'_>], words: &[u32; WORDS]) {
        cpu::run(arguments, words);
    }
}
