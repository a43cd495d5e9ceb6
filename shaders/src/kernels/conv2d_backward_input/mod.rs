//! Gradient of a convolution with respect to its input: every pixel hears from all patches that saw it.
//!
//! ```text
//! dx[n, y, x, c] = sum_(ky, kx, o) dy[n, oy, ox, o] w[o, ky, kx, c]        where oy s - p + ky = y and ox s - p + kx = x
//! ```
//!
//! Arguments: dy [N, OH, OW, O], parameters (flat; w [O, K, K, C] at `offset`), dx [N, H, W, C].
//! Words: N, H, W, C, OH, OW, O, offset, K, stride, padding.
//!
//! An invocation makes 4 pixels x 4 channels. It gathers, so that no two write to one place.

pub(super) mod cpu;

use super::{Access, Argument, Cost, Grid, Kernel, WORDS, patches};

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct Conv2dBackwardInput;

impl Kernel for Conv2dBackwardInput {
    fn name(&self) -> &'static str {
        "conv2d_backward_input"
    }

    fn wgsl(&self) -> &'static str {
        include_str!("kernel.wgsl")
    }

    fn access(&self) -> &'static [Access] {
        &[Access::Read, Access::Read, Access::Write]
    }

    fn grid(&self, words: &[u32; WORDS]) -> Grid {
        patches::input_grid(words)
    }

    fn cost(&self, words: &[u32; WORDS]) -> Cost {
        Cost::convolution(words)
    }

    fn turns(&self, words: &[u32; WORDS]) -> u64 {
        patches::window_turns(words, words[6])
    }

    fn twin(&self, arguments: &mut [Argument<'_>], words: &[u32; WORDS]) {
        cpu::run(arguments, words);
    }
}
