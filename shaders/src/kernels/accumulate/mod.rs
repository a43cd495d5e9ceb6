//! Copy or sum of buffers: where a value was read by several layers, the parts of its gradient are added.
//!
//! ```text
//! add = 0     y = x          add = 1     y += x
//! ```
//!
//! Arguments: x [n], y [n]. Words: n, add.

mod cpu;

use super::{Access, Argument, Cost, Grid, Kernel, WORDS};

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct Accumulate;

impl Kernel for Accumulate {
    fn name(&self) -> &'static str {
        "accumulate"
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
        // A copy does not read y.
        if words[1] == 0 { Cost::stream(words[0], 2, 0) } else { Cost::stream(words[0], 3, 1) }
    }

    fn twin(&self, arguments: &mut [Argument<'_>], words: &[u32; WORDS]) {
        cpu::run(arguments, words);
    }
}
