//! Equal tokens in a chain, in place of a sort: what the gradient of an embedding adds up along.
//!
//! ```text
//! chain[m, 0] = the place before m with the same token, or M       chain[m, 1] = 1 where no later place has it, else 0
//! ```
//!
//! Arguments: tokens [M], chain [M, 2]. Words: M. An invocation looks back and forth from its place until it finds its like: in a
//! text that is soon.

mod cpu;

use super::{Access, Argument, Cost, Grid, Kernel, WORDS, loops};

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct TokenChain;

impl Kernel for TokenChain {
    fn name(&self) -> &'static str {
        "token_chain"
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
        Cost::stream(words[0], 3, 0)
    }

    fn turns(&self, words: &[u32; WORDS]) -> u64 {
        // Lanes that go on together: one looks far back while another looks far ahead.
        loops::plain(u64::from(words[0]) + 64)
    }

    fn twin(&self, arguments: &mut [Argument<'_>], words: &[u32; WORDS]) {
        cpu::run(arguments, words);
    }
}
