//! `conv2d_forward` for C and an offset that are multiples of 4: the same sums, read four numbers at a time.
//!
//! ```text
//! y[n, oy, ox, o] = act( b[o] + sum_(ky, kx, c) x[n, oy s - p + ky, ox s - p + kx, c] . w[o, ky, kx, c] )        c in steps of 4
//! ```
//!
//! Arguments and words of `conv2d_forward`. An invocation makes 4 x 4 results with 8 loads for 64 multiply-adds.

mod cpu;

use super::{Access, Argument, Cost, Grid, Kernel, WORDS, patches};

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct Conv2dForwardWide;

impl Kernel for Conv2dForwardWide {
    fn name(&self) -> &'static str {
        "conv2d_forward_wide"
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
        patches::window_turns(words, words[3].div_ceil(4))
    }

    fn twin(&self, arguments: &mut [Argument<'_>], words: &[u32; WORDS]) {
        cpu::run(arguments, words);
    }
}
