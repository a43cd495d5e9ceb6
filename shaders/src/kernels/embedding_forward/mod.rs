//! Rows of a table by token.
//!
//! ```text
//! y[m, d] = table[tokens[m], d]
//! ```
//!
//! Arguments: tokens [M], parameters (flat; the table [V, D] at `offset`), y [M, D]. Words: M, D, offset, V.
//! A token that is none reads the last row.

mod cpu;

use super::{Access, Argument, Cost, Grid, Kernel, WORDS, cost};

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct EmbeddingForward;

impl Kernel for EmbeddingForward {
    fn name(&self) -> &'static str {
        "embedding_forward"
    }

    fn wgsl(&self) -> &'static str {
        include_str!("kernel.wgsl")
    }

    fn access(&self) -> &'static [Access] {
        &[Access::Read, Access::Read, Access::Write]
    }

    fn grid(&self, words: &[u32; WORDS]) -> Grid {
        Grid::elements(words[0] * words[1])
    }

    fn cost(&self, words: &[u32; WORDS]) -> Cost {
        Cost::of(2 * cost::all([words[0], words[1]]) + u64::from(words[0]), 0)
    }

    fn twin(&self, arguments: &mut [Argument<'_>], words: &[u32; WORDS]) {
        cpu::run(arguments, words);
    }
}
