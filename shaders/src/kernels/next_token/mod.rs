//! Windows of a text as tokens and what follows each of them.
//!
//! ```text
//! tokens[b, t] = x[b, t]      targets[b, t] = x[b, t + 1]        t < T
//! ```
//!
//! Arguments: x [B, T + 1] (tokens as floats, as a data set holds them), tokens [B, T], targets [B, T] (both u32). Words: B, T.

mod cpu;

use super::{Access, Argument, Cost, Grid, Kernel, WORDS};

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct NextToken;

impl Kernel for NextToken {
    fn name(&self) -> &'static str {
        "next_token"
    }

    fn wgsl(&self) -> &'static str {
        include_str!("kernel.wgsl")
    }

    fn access(&self) -> &'static [Access] {
        &[Access::Read, Access::Write, Access::Write]
    }

    fn grid(&self, words: &[u32; WORDS]) -> Grid {
        Grid::elements(words[0] * words[1])
    }

    fn cost(&self, words: &[u32; WORDS]) -> Cost {
        Cost::stream(words[0].saturating_mul(words[1]), 3, 0)
    }

    fn twin(&self, arguments: &mut [Argument<'_>], words: &[u32; WORDS]) {
        cpu::run(arguments, words);
    }
}
