//! A delta goes into the base, and into the training weights.
//!
//! ```text
//! b[i] += add          theta[i] += add * 2^-24 - value          for each (i, add, value) of the delta
//! ```
//!
//! `value` is 0 for the delta of another peer, and v for one of our own: the residual shrinks by exactly v.
//! Arguments: base [d] (i32), theta [d], entries (sparse: n triples of index, add, value by its bits; dense: d pairs of add
//! and value). Words: n, dense (0 or 1). Indices of one delta differ, so no atomics are needed; adds wrap.

mod cpu;

use super::{Access, Argument, Cost, Grid, Kernel, WORDS};

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct ScatterAdd;

impl Kernel for ScatterAdd {
    fn name(&self) -> &'static str {
        "scatter_add"
    }

    fn wgsl(&self) -> &'static str {
        include_str!("kernel.wgsl")
    }

    fn access(&self) -> &'static [Access] {
        &[Access::Write, Access::Write, Access::Read]
    }

    fn grid(&self, words: &[u32; WORDS]) -> Grid {
        Grid::elements(words[0])
    }

    fn cost(&self, words: &[u32; WORDS]) -> Cost {
        Cost::stream(words[0], if words[1] == 0 { 7 } else { 6 }, 3)
    }

    fn twin(&self, arguments: &mut [Argument<'_>], words: &[u32; WORDS]) {
        cpu::run(arguments, words);
    }
}
