//! `conv2d_backward_input` by workgroup tiles: see `kernels::tiles`. `WIDE_*` for C, O and an offset that are multiples of 4.
//!
//! ```text
//! dx[m, c] = sum over (ky, kx, o) of dy[what saw pixel m at (ky, kx), o] w[o, ky, kx, c]
//! ```
//!
//! Arguments and words of `conv2d_backward_input`, and its twin.

use super::{Access, Argument, Cost, Grid, Kernel, WORDS, cost, tiles};

tiles::variants!(Conv2dBackwardInputTiled, "conv2d_backward_input");

impl Kernel for Conv2dBackwardInputTiled {
    fn name(&self) -> &'static str {
        self.name
    }

    fn wgsl(&self) -> &'static str {
        include_str!("kernel.wgsl")
    }

    fn constants(&self) -> Vec<(&'static str, u32)> {
        self.tile.constants(self.wide, false, tiles::GRADIENT_SCALE)
    }

    fn needs_f16(&self) -> bool {
        self.tile.half
    }

    fn access(&self) -> &'static [Access] {
        &[Access::Read, Access::Read, Access::Write]
    }

    fn grid(&self, words: &[u32; WORDS]) -> Grid {
        self.tile.grid(words[0] * words[1] * words[2], words[3], 1)
    }

    fn cost(&self, words: &[u32; WORDS]) -> Cost {
        Cost::convolution(words)
    }

    fn turns(&self, words: &[u32; WORDS]) -> u64 {
        self.tile.turns(cost::all([words[8], words[8], words[6]]), 1)
    }

    fn twin(&self, arguments: &mut [Argument<'_>], words: &[u32; WORDS]) {
        if !self.tile.half {
            return super::conv2d_backward_input::cpu::run(arguments, words);
        }
        let all = 0..arguments[1].words().len();
        tiles::on_halves(arguments, tiles::GRADIENT_SCALE as f32, all, |rounded| {
            super::conv2d_backward_input::cpu::run(rounded, words)
        });
    }
}
