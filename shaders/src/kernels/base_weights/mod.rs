//! The base as weights that a model can run with: x = b * 2^-24.
//!
//! Arguments: base [d] (i32), x [d]. Words: d.

mod cpu;

use super::{Access, Argument, Cost, Grid, Kernel, WORDS};

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct BaseWeights;

impl Kernel for BaseWeights {
    fn name(&self) -> &'static str {
        "base_weights"
    }

    fn wgsl(&self) -> &'static str {
        include_str!("kernel.wgsl")
    }

    fn access(&self) -> &'static [Access] {
        &[Access::Read, Access::Write]
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
