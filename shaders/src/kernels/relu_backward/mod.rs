//! Gradient of y = max(0, z): dz = dy where y > 0, else 0. In place, from the output.
//!
//! Arguments: y [n], dy [n]. Words: n.

mod cpu;

use super::{Access, Argument, Grid, Kernel, WORDS};

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct ReluBackward;

impl Kernel for ReluBackward {
    fn name(&self) -> &'static str {
        "relu_backward"
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

    fn twin(&self, arguments: &mut [Argument<'_>], words: &[u32; WORDS]) {
        cpu::run(arguments, words);
    }
}
