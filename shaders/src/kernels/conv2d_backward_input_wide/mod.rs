//! `conv2d_backward_input` for C, O and an offset that are multiples of 4: the same sums, read four numbers at a time.
//!
//! ```text
//! dx[n, y, x, c] = sum_(ky, kx, o) dy[n, oy, ox, o] w[o, ky, kx, c]        c and o in steps of 4
//! ```
//!
//! Arguments and words of `conv2d_backward_input`. An invocation makes 4 x 4 results with 8 loads for 64 multiply-adds.

mod cpu;

use super::{Access, Argument, Cost, Grid, Kernel, WORDS, patches};

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct Conv2dBackwardInputWide;

impl Kernel for Conv2dBackwardInputWide {
    fn name(&self) -> &'static str {
        "conv2d_backward_input_wide"
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
        patches::window_turns(words, words[6].div_ceil(4))
    }

    fn twin(&self, arguments: &mut [Argument<'_>], words: &[u32; WORDS]) {
        cpu::run(arguments, words);
    }
}
