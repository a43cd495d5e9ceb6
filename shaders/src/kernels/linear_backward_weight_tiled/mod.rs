//! `linear_backward_weight` by workgroup tiles, its sums in parts: see `kernels::tiles`. `WIDE_*` for N, K and an offset that are
//! multiples of 4.
//!
//! ```text
//! dw[s, n, k] = sum_m dy[m, n] x[m, k]          db[s, n] = sum_m dy[m, n]          m in part s
//! ```
//!
//! Arguments: dy [M, N], x [M, K], gradient (flat; at `offset` S times dw [N, K] row by row, then db [N]; overwritten).
//! Words: M, N, K, offset, 1 where there is no b, S. A part is ceil(ceil(M / 16) / S) x 16 rows, the last ones fewer or none. With S > 1
//! gradient is a buffer of parts, that `sum_slices` adds.

mod cpu;

use super::{Access, Argument, Cost, Grid, Kernel, WORDS, tiles};

tiles::variants!(LinearBackwardWeightTiled, "linear_backward_weight");

impl Kernel for LinearBackwardWeightTiled {
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
        self.tile.grid(words[1], words[2], words[5])
    }

    fn cost(&self, words: &[u32; WORDS]) -> Cost {
        Cost::product(words[0], words[1], words[2])
    }

    fn turns(&self, words: &[u32; WORDS]) -> u64 {
        self.tile.turns(words[0].into(), words[5])
    }

    fn twin(&self, arguments: &mut [Argument<'_>], words: &[u32; WORDS]) {
        let twin = |arguments: &mut [Argument<'_>]| cpu::run(arguments, words);
        if self.tile.half {
            let [n, k] = [words[1], words[2]].map(|extent| extent as usize);
            let db = if words[4] == 0 { n } else { 0 };
            tiles::on_halves_but_bias(arguments, (words[3] as usize, words[5] as usize), [n * k, db], twin);
        } else {
            twin(arguments);
        }
    }
}
