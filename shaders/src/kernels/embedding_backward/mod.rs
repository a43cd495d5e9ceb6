//! Gradient of an embedding, added to what is there: every row of the table hears from all places of its token, the last first, so
//! that the sum has one order.
//!
//! ```text
//! dtable[v, d] += sum of dy[m, d] over the places m of token v
//! ```
//!
//! Arguments: tokens [M], chain [M, 2] of `token_chain`, dy [M, D], gradient (flat; at `offset` dtable [V, D]).
//! Words: M, D, offset, V. It adds: a table that is the head of the network too has a gradient already, another one is filled with
//! zeros first. An invocation of the last place of a token goes along its chain.

mod cpu;

use super::{Access, Argument, Cost, Grid, Kernel, WORDS, cost, loops};

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct EmbeddingBackward;

impl Kernel for EmbeddingBackward {
    fn name(&self) -> &'static str {
        "embedding_backward"
    }

    fn wgsl(&self) -> &'static str {
        include_str!("kernel.wgsl")
    }

    fn access(&self) -> &'static [Access] {
        &[Access::Read, Access::Read, Access::Read, Access::Write]
    }

    fn grid(&self, words: &[u32; WORDS]) -> Grid {
        Grid::elements(words[0] * words[1])
    }

    fn cost(&self, words: &[u32; WORDS]) -> Cost {
        let (n, rows) = (cost::all([words[0], words[1]]), words[0].min(words[3]));
        Cost::of(n + 2 * cost::all([rows, words[1]]) + 3 * u64::from(words[0]), n)
    }

    fn turns(&self, words: &[u32; WORDS]) -> u64 {
        loops::plain(words[0].into())
    }

    fn twin(&self, arguments: &mut [Argument<'_>], words: &[u32; WORDS]) {
        cpu::run(arguments, words);
    }
}
