//! `linear_forward` by workgroup tiles: see `kernels::tiles`. `WIDE_*` for K and an offset that are multiples of 4.
//!
//! ```text
//! y[m, n] = act( sum_k x[m, k] w[n, k] + b[n] )
//! ```
//!
//! Arguments and words of `linear_forward`, and its twin.

use super::{Access, Argument, Cost, Grid, Kernel, WORDS, tiles};

tiles::variants!(LinearForwardTiled, "linear_forward");

impl Kernel for LinearForwardTiled {
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
        self.tile.grid(words[0], words[1], 1)
    }

    fn cost(&self, words: &[u32; WORDS]) -> Cost {
        Cost::product(words[0], words[1], words[2])
    }

    fn turns(&self, words: &[u32; WORDS]) -> u64 {
        self.tile.turns(words[2].into(), 1)
    }

    fn twin(&self, arguments: &mut [Argument<'_>], words: &[u32; WORDS]) {
        if !self.tile.half {
            return super::linear_forward::cpu::run(arguments, words);
        }
        let first = words[4] as usize;
        let weights = first..first + (words[1] * words[2]) as usize;
        tiles::on_halves(arguments, 1.0, weights, |rounded| super::linear_forward::cpu::run(rounded, words));
    }
}
