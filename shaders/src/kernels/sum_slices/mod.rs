//! Sum of parts: the end of a sum that was split, in one order.
//!
//! ```text
//! y[offset + i] = sum_s parts[s, i]        i < P
//! ```
//!
//! Arguments: parts [S, P], y (flat). Words: S, P, offset.

mod cpu;

use super::{Access, Argument, Cost, Grid, Kernel, WORDS, cost, loops};

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

    fn cost(&self, words: &[u32; WORDS]) -> Cost {
        let sums = cost::all([words[0], words[1]]);
        Cost::of(sums + u64::from(words[1]), sums)
    }

    fn turns(&self, words: &[u32; WORDS]) -> u64 {
        loops::plain(words[0].into())
    }

    fn twin(&self, arguments: &mut [Argument<'_>], words: &[u32; WORDS]) {
        cpu::run(arguments, words);
    }
}
