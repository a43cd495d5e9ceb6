//! Gradient of a convolution with respect to its parameters, in S parts that `sum_slices` adds.
//!
//! ```text
//! dw[o, ky, kx, c] = sum_(n, oy, ox) dy[n, oy, ox, o] x[n, oy s - p + ky, ox s - p + kx, c]        db[o] = sum dy[n, oy, ox, o]
//! ```
//!
//! Arguments: dy [N, OH, OW, O], x [N, H, W, C], parts [S, O K K C + O] (dw, then db).
//! Words: N, H, W, C, OH, OW, O, offset, K, stride, padding, unused, S.
//!
//! A sum over all pixels of the batch with few results: split into S stretches of pixels, or a GPU would stand idle. An invocation
//! makes 4 channels x 4 weights of one part; those of the first column also sum the bias.

pub(super) mod cpu;

use super::{Access, Argument, Cost, Grid, Kernel, WORDS, loops, patches};

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct Conv2dBackwardWeight;

impl Kernel for Conv2dBackwardWeight {
    fn name(&self) -> &'static str {
        "conv2d_backward_weight"
    }

    fn wgsl(&self) -> &'static str {
        include_str!("kernel.wgsl")
    }

    fn access(&self) -> &'static [Access] {
        &[Access::Read, Access::Read, Access::Write]
    }

    fn grid(&self, words: &[u32; WORDS]) -> Grid {
        patches::weight_grid(words)
    }

    fn cost(&self, words: &[u32; WORDS]) -> Cost {
        Cost::convolution(words)
    }

    fn turns(&self, words: &[u32; WORDS]) -> u64 {
        loops::product(patches::rows_of_part(words))
    }

    fn twin(&self, arguments: &mut [Argument<'_>], words: &[u32; WORDS]) {
        cpu::run(arguments, words);
    }
}
