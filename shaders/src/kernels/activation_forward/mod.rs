//! y = act(z), number by number.
//!
//! Arguments: z [n], y [n]. Words: n, and the number of the activation, see [`super::Activation`].

mod cpu;

use super::{Access, Argument, Cost, Grid, Kernel, WORDS, activation};

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct ActivationForward;

impl Kernel for ActivationForward {
    fn name(&self) -> &'static str {
        "activation_forward"
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
        Cost::stream(words[0], 2, activation::flops(words[1]))
    }

    fn twin(&self, arguments: &mut [Argument<'_>], words: &[u32; WORDS]) {
        cpu::run(arguments, words);
    }
}
