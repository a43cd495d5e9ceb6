//! Sum of two values, Y = act(A + B): a residual connection.
//!
//! Arguments: a [n], b [n], y [n]. Words: n, and the number of the activation, see [`super::Activation`].

mod cpu;

use super::{Access, Argument, Cost, Grid, Kernel, WORDS, activation};

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct Add;

impl Kernel for Add {
    fn name(&self) -> &'static str {
        "add"
    }

    fn wgsl(&self) -> &'static str {
        include_str!("kernel.wgsl")
    }

    fn access(&self) -> &'static [Access] {
        &[Access::Read, Access::Read, Access::Write]
    }

    fn grid(&self, words: &[u32; WORDS]) -> Grid {
        Grid::elements(words[0])
    }

    fn cost(&self, words: &[u32; WORDS]) -> Cost {
        Cost::stream(words[0], 3, 1 + activation::flops(words[1]))
    }

    fn twin(&self, arguments: &mut [Argument<'_>], words: &[u32; WORDS]) {
        cpu::run(arguments, words);
    }
}
