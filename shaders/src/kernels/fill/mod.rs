//! A stretch of a buffer, all one word.
//!
//! Arguments: x (flat). Words: offset, n, the word.

mod cpu;

use super::{Access, Argument, Grid, Kernel, WORDS};

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct Fill;

impl Kernel for Fill {
    fn name(&self) -> &'static str {
        "fill"
    }

    fn wgsl(&self) -> &'static str {
        include_str!("kernel.wgsl")
    }

    fn access(&self) -> &'static [Access] {
        &[Access::Write]
    }

    fn grid(&self, words: &[u32; WORDS]) -> Grid {
        Grid::elements(words[1])
    }

    fn twin(&self, arguments: &mut [Argument<'_>], words: &[u32; WORDS]) {
        cpu::run(arguments, words);
    }
}
