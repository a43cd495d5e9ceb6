//! `conv2d_forward` by workgroup tiles: see `kernels::tiles`. `WIDE_*` for C and an offset that are multiples of 4.
//!
//! ```text
//! y[m, o] = act( b[o] + sum_k patch[m, k] w[o, k] )        patches are read where they lie in x
//! ```
//!
//! Arguments and words of `conv2d_forward`, and its twin.

use super::{Access, Argument, Cost, Grid, Kernel, WORDS, cost, tiles};

tiles::variants!(Conv2dForwardTiled, "conv2d_forward");

impl Kernel for Conv2dForwardTiled {
    fn name(&self) -> &'static str {
        self.name
    }

    fn wgsl(&self) -> &'static str {
        include_str!("kernel.wgsl")
    }

    fn constants(&self) -> Vec<(&'static str, u32)> {
        self.tile.constants(self.wide, false, 1)
    }

    fn needs_f16(&self) -> bool {
        self.tile.half
    }

    fn access(&self) -> &'static [Access] {
        &[Access::Read, Access::Read, Access::Write]
    }

    fn grid(&self, words: &[u32; WORDS]) -> Grid {
        self.tile.grid(words[0] * words[4] * words[5], words[6], 1)
    }

    fn cost(&self, words: &[u32; WORDS]) -> Cost {
        Cost::convolution(words)
    }

    fn turns(&self, words: &[u32; WORDS]) -> u64 {
        self.tile.turns(cost::all([words[8], words[8], words[3]]), 1)
    }

    fn twin(&self, arguments: &mut [Argument<'_>], words: &[u32; WORDS]) {
        if !self.tile.half {
            return super::conv2d_forward::cpu::run(arguments, words);
        }
        let first = words[7] as usize;
        let weights = first..first + (words[6] * words[8] * words[8] * words[3]) as usize;
        tiles::on_halves(arguments, 1.0, weights, |rounded| super::conv2d_forward::cpu::run(rounded, words));
    }
}
