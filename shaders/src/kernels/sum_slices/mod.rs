//! Sum of parts: the end of a sum that was split, in one order.
//!
//! ```text
//! y[offset + i] = sum_s parts[s, i]        i < P
//! ```
//!
//! Arguments: parts [S, P], y (flat). Words: S, P, offset.

mod cpu;

use super::{Access, Argument, Grid, Kernel, WORDS};

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct SumSlices;

impl Kernel for SumSlices {
    fn name(&self) -> &'static str {
        "sum_slices"
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

    fn twin(&self, arguments: &mut [Argument<'_>], words: &[u32; WORDS]) {
        cpu::run(arguments, words);
    }
}
