//! Rotary position embedding (Su et al. 2021, arXiv 2104.09864): pairs of numbers of queries and keys are turned by an angle that grows
//! with their place. In place; turned back by the sign, it is its own gradient.
//!
//! ```text
//! (a, b) = (x[h, i], x[h, i + E/2])        x[h, i] = a cos - sign b sin        x[h, i + E/2] = b cos + sign a sin
//! ```
//!
//! Arguments: x [M, W] (rows that begin with R heads of E numbers), angles [T, E/2, 2] (cosine, sine), of place m modulo T.
//! Words: M, W, R, E, T, 1 for turning back.

mod cpu;

use super::{Access, Argument, Cost, Grid, Kernel, WORDS, cost};

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct Rotary;

impl Kernel for Rotary {
    fn name(&self) -> &'static str {
        "rotary"
    }

    fn wgsl(&self) -> &'static str {
        include_str!("kernel.wgsl")
    }

    fn access(&self) -> &'static [Access] {
        &[Access::Write, Access::Read]
    }

    fn grid(&self, words: &[u32; WORDS]) -> Grid {
        Grid::elements(words[0] * words[2] * (words[3] / 2))
    }

    fn cost(&self, words: &[u32; WORDS]) -> Cost {
        let pairs = cost::all([words[0], words[2], words[3] / 2]);
        Cost::of(4 * pairs + cost::all([words[4], words[3]]), 6 * pairs)
    }

    fn twin(&self, arguments: &mut [Argument<'_>], words: &[u32; WORDS]) {
        cpu::run(arguments, words);
    }
}
