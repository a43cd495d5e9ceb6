//! A batch out of the resident data set.
//!
//! ```text
//! r = order[step * B + i]      x[i, :] = features[r, :]      y[i] = labels[r]          i < B
//! ```
//!
//! Arguments: features [n, F], labels [n], order [steps * B], state, x [B, F], y [B]. Words: B, F.
//! `step` is a word of `state`, so that steps follow each other on the device without a word from the host.

mod cpu;

use super::{Access, Argument, Cost, Grid, Kernel, WORDS};

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct Gather;

impl Kernel for Gather {
    fn name(&self) -> &'static str {
        "gather"
    }

    fn wgsl(&self) -> &'static str {
        include_str!("kernel.wgsl")
    }

    fn access(&self) -> &'static [Access] {
        &[Access::Read, Access::Read, Access::Read, Access::Read, Access::Write, Access::Write]
    }

    fn grid(&self, words: &[u32; WORDS]) -> Grid {
        Grid::elements(words[0] * words[1])
    }

    fn cost(&self, words: &[u32; WORDS]) -> Cost {
        Cost::stream(words[0].saturating_mul(words[1]), 2, 0)
    }

    fn twin(&self, arguments: &mut [Argument<'_>], words: &[u32; WORDS]) {
        cpu::run(arguments, words);
    }
}
