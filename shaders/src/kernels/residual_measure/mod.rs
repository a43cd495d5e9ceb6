//! How long the residual and the base are, and whether a weight is a number: all that a peer tells of them, without reading them.
//!
//! ```text
//! parts[s] = sum e[i]^2      parts[S + s] = sum b[i]^2      broken[s] = how many theta[i] are NaN or infinite
//!                            over i = s, s + S, s + 2 S, ...      e = theta - b
//! ```
//!
//! Neighbouring invocations read neighbouring numbers. Numbers are judged by their bits: a GPU may take for granted that no
//! float is a NaN. Arguments: theta [d] (by its bits), base [d] (i32), parts [2 S], broken [S]. Words: d, S.

mod cpu;

use super::{Access, Argument, Cost, Grid, Kernel, WORDS, loops};

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct ResidualMeasure;

impl Kernel for ResidualMeasure {
    fn name(&self) -> &'static str {
        "residual_measure"
    }

    fn wgsl(&self) -> &'static str {
        include_str!("kernel.wgsl")
    }

    fn access(&self) -> &'static [Access] {
        &[Access::Read, Access::Read, Access::Write, Access::Write]
    }

    fn grid(&self, words: &[u32; WORDS]) -> Grid {
        Grid::elements(words[1])
    }

    fn cost(&self, words: &[u32; WORDS]) -> Cost {
        Cost::stream(words[0], 2, 6)
    }

    fn turns(&self, words: &[u32; WORDS]) -> u64 {
        loops::plain(words[0].div_ceil(words[1].max(1)).into())
    }

    fn twin(&self, arguments: &mut [Argument<'_>], words: &[u32; WORDS]) {
        cpu::run(arguments, words);
    }
}
