//! Mean of every window.
//!
//! ```text
//! y[n, oy, ox, c] = 1 / (KH KW) sum_(ky, kx) x[n, oy s + ky, ox s + kx, c]
//! ```
//!
//! Arguments: x [N, H, W, C], y [N, OH, OW, C]. Words: N, H, W, C, OH, OW, KH, KW, stride.

mod cpu;

use super::{Access, Argument, Cost, Grid, Kernel, WORDS, loops, patches};

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct AveragePoolForward;

impl Kernel for AveragePoolForward {
    fn name(&self) -> &'static str {
        "average_pool_forward"
    }

    fn wgsl(&self) -> &'static str {
        include_str!("kernel.wgsl")
    }

    fn access(&self) -> &'static [Access] {
        &[Access::Read, Access::Write]
    }

    fn grid(&self, words: &[u32; WORDS]) -> Grid {
        Grid::elements(words[0] * words[4] * words[5] * words[3])
    }

    fn cost(&self, words: &[u32; WORDS]) -> Cost {
        patches::pool_cost(words, 1)
    }

    fn turns(&self, words: &[u32; WORDS]) -> u64 {
        loops::nested(words[6], words[7])
    }

    fn twin(&self, arguments: &mut [Argument<'_>], words: &[u32; WORDS]) {
        cpu::run(arguments, words);
    }
}
