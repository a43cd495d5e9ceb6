//! `conv2d_backward_weight` by workgroup tiles: see `kernels::tiles`. `WIDE_*` for C and O that are multiples of 4.
//!
//! ```text
//! dw[s, o, k] = sum_m dy[m, o] patch[m, k]          db[s, o] = sum_m dy[m, o]          m in part s
//! ```
//!
//! Arguments and words of `conv2d_backward_weight`, but that a part is ceil(ceil(M / 16) / S) x 16 patches, the last ones fewer or none.

mod cpu;

use super::{Access, Argument, Cost, Grid, Kernel, WORDS, cost, tiles};

tiles::variants!(Conv2dBackwardWeightTiled, "conv2d_backward_weight");

impl Kernel for Conv2dBackwardWeightTiled {
    fn name(&self) -> &'static str {
        self.name
    }

    fn wgsl(&self) -> &'static str {
        include_str!("kernel.wgsl")
    }

    fn constants(&self) -> Vec<(&'static str, u32)> {
        self.tile.constants(self.wide, true, tiles::GRADIENT_SCALE)
    }

    fn needs_f16(&self) -> bool {
        self.tile.half
    }

    fn access(&self) -> &'static [Access] {
        &[Access::Read, Access::Read, Access::Write]
    }

    fn grid(&self, words: &[u32; WORDS]) -> Grid {
        self.tile.grid(words[6], words[8] * words[8] * words[3], words[12])
    }

    fn cost(&self, words: &[u32; WORDS]) -> Cost {
        Cost::convolution(words)
    }

    fn turns(&self, words: &[u32; WORDS]) -> u64 {
        self.tile.turns(cost::all([words[0], words[4], words[5]]), words[12])
    }

    fn twin(&self, arguments: &mut [Argument<'_>], words: &[u32; WORDS]) {
        let twin = |arguments: &mut [Argument<'_>]| cpu::run(arguments, words);
        if self.tile.half {
            let o = words[6] as usize;
            let weights = o * (words[8] * words[8] * words[3]) as usize;
            tiles::on_halves_but_bias(arguments, (0, words[12] as usize), [weights, o], twin);
        } else {
            twin(arguments);
        }
    }
}
