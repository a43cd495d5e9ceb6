//! Largest of every window, and where it stood.
//!
//! ```text
//! y[n, oy, ox, c] = max_(ky, kx) x[n, oy s + ky, ox s + kx, c]        the first of equals is chosen
//! ```
//!
//! Of a window with a NaN that is it, the first one: a maximum that passes over it would hide a model that has diverged.
//!
//! Arguments: x [N, H, W, C], y [N, OH, OW, C], chosen [N, OH, OW, C] (its place in x). Words: N, H, W, C, OH, OW, KH, KW, stride.

mod cpu;

use super::{Access, Argument, Cost, Grid, Kernel, WORDS, loops, patches};

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct MaxPoolForward;

impl Kernel for MaxPoolForward {
    fn name(&self) -> &'static str {
        "max_pool_forward"
    }

    fn wgsl(&self) -> &'static str {
        include_str!("kernel.wgsl")
    }

    fn access(&self) -> &'static [Access] {
        &[Access::Read, Access::Write, Access::Write]
    }

    fn grid(&self, words: &[u32; WORDS]) -> Grid {
        Grid::elements(words[0] * words[4] * words[5] * words[3])
    }

    fn cost(&self, words: &[u32; WORDS]) -> Cost {
        patches::pool_cost(words, 2)
    }

    fn turns(&self, words: &[u32; WORDS]) -> u64 {
        loops::nested(words[6], words[7])
    }

    fn twin(&self, arguments: &mut [Argument<'_>], words: &[u32; WORDS]) {
        cpu::run(arguments, words);
    }
}
