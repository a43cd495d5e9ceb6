//! Gradient of the mean of every window: each of its pixels gets its share.
//!
//! ```text
//! dx[p] = 1 / (KH KW) sum of dy[i] over the windows i that hold p
//! ```
//!
//! Arguments: dy [N, OH, OW, C], dx [N, H, W, C]. Words: N, H, W, C, OH, OW, KH, KW, stride.

mod cpu;

use super::{Access, Argument, Cost, Grid, Kernel, WORDS, patches};

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct AveragePoolBackward;

impl Kernel for AveragePoolBackward {
    fn name(&self) -> &'static str {
        "average_pool_backward"
    }

    fn wgsl(&self) -> &'static str {
        include_str!("kernel.wgsl")
    }

    fn access(&self) -> &'static [Access] {
        &[Access::Read, Access::Write]
    }

    fn grid(&self, words: &[u32; WORDS]) -> Grid {
        Grid::elements(words[0] * words[1] * words[2] * words[3])
    }

    fn cost(&self, words: &[u32; WORDS]) -> Cost {
        patches::pool_cost(words, 1)
    }

    fn turns(&self, words: &[u32; WORDS]) -> u64 {
        patches::windows_turns(words)
    }

    fn twin(&self, arguments: &mut [Argument<'_>], words: &[u32; WORDS]) {
        cpu::run(arguments, words);
    }
}
