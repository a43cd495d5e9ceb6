//! Gradient of the largest of every window: it goes to the pixel that was chosen.
//!
//! ```text
//! dx[p] = sum of dy[i] over the windows i that chose p
//! ```
//!
//! Arguments: dy [N, OH, OW, C], chosen [N, OH, OW, C], dx [N, H, W, C]. Words: N, H, W, C, OH, OW, KH, KW, stride.
//!
//! On the GPU every pixel looks at the windows that hold it, so that no two write to one place.

mod cpu;

use super::{Access, Argument, Cost, Grid, Kernel, WORDS, patches};

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct MaxPoolBackward;

impl Kernel for MaxPoolBackward {
    fn name(&self) -> &'static str {
        "max_pool_backward"
    }

    fn wgsl(&self) -> &'static str {
        include_str!("kernel.wgsl")
    }

    fn access(&self) -> &'static [Access] {
        &[Access::Read, Access::Read, Access::Write]
    }

    fn grid(&self, words: &[u32; WORDS]) -> Grid {
        Grid::elements(words[0] * words[1] * words[2] * words[3])
    }

    fn cost(&self, words: &[u32; WORDS]) -> Cost {
        patches::pool_cost(words, 2)
    }

    fn turns(&self, words: &[u32; WORDS]) -> u64 {
        patches::windows_turns(words)
    }

    fn twin(&self, arguments: &mut [Argument<'_>], words: &[u32; WORDS]) {
        cpu::run(arguments, words);
    }
}
