//! Convolution with a square kernel, Y = act(X * W + b), as a matrix product over patches that are never written down
//! (implicit GEMM).
//!
//! ```text
//! y[n, oy, ox, o] = act( b[o] + sum_(ky, kx, c) x[n, oy s - p + ky, ox s - p + kx, c] w[o, ky, kx, c] )        x = 0 outside
//! ```
//!
//! Arguments: x [N, H, W, C], parameters (flat; at `offset` w [O, K, K, C], then b [O]), y [N, OH, OW, O].
//! Words: N, H, W, C, OH, OW, O, offset, K, stride, padding, number of the activation.
//!
//! An invocation makes 4 pixels x 4 channels from registers, as in `linear_forward`; where a patch leaves the picture it reads what
//! is there anyway, and takes 0.

pub(super) mod cpu;

use super::{Access, Argument, Cost, Grid, Kernel, WORDS, patches};

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct Conv2dForward;

impl Kernel for Conv2dForward {
    fn name(&self) -> &'static str {
        "conv2d_forward"
    }

    fn wgsl(&self) -> &'static str {
        include_str!("kernel.wgsl")
    }

    fn access(&self) -> &'static [Access] {
        &[Access::Read, Access::Read, Access::Write]
    }

    fn grid(&self, words: &[u32; WORDS]) -> Grid {
        patches::forward_grid(words)
    }

    fn cost(&self, words: &[u32; WORDS]) -> Cost {
        Cost::convolution(words)
    }

    fn turns(&self, words: &[u32; WORDS]) -> u64 {
        patches::window_turns(words, words[3])
    }

    fn twin(&self, arguments: &mut [Argument<'_>], words: &[u32; WORDS]) {
        cpu::run(arguments, words);
    }
}
