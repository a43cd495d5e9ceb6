//! `conv2d_backward_weight` by workgroup tiles: see `kernels::tiles`. `WIDE_*` for C and O that are multiples of 4.
//!
//! ```text
//! dw[s, o, k] = sum_m dy[m, o] patch[m, k]          db[s, o] = sum_m dy[m, o]          m in part s
//! ```
//!
//! Arguments and words of `conv2d_backward_weight`, but that a part is ceil(ceil(M / 16) / S) x 16 patches, the last ones fewer or none.

mod cpu;

use super::tiles::{self, LARGE, MEDIUM, MEDIUM_HALF, SMALL, Tile};
use super::{Access, Argument, Cost, Grid, Kernel, WORDS};

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct Conv2dBackwardWeightTiled {
    name: &'static str,
    tile: Tile,
    wide: bool,
}

const fn tiled(name: &'static str, tile: Tile, wide: bool) -> Conv2dBackwardWeightTiled {
    Conv2dBackwardWeightTiled { name, tile, wide }
}

/// Small tiles.
pub static TILED_32: Conv2dBackwardWeightTiled = tiled("conv2d_backward_weight_32", SMALL, false);
/// Small tiles, four numbers at a time.
pub static WIDE_32: Conv2dBackwardWeightTiled = tiled("conv2d_backward_weight_wide_32", SMALL, true);
/// Medium tiles.
pub static TILED_64: Conv2dBackwardWeightTiled = tiled("conv2d_backward_weight_64", MEDIUM, false);
/// Medium tiles, four numbers at a time.
pub static WIDE_64: Conv2dBackwardWeightTiled = tiled("conv2d_backward_weight_wide_64", MEDIUM, true);
/// Large tiles.
pub static TILED_128: Conv2dBackwardWeightTiled = tiled("conv2d_backward_weight_128", LARGE, false);
/// Large tiles, four numbers at a time.
pub static WIDE_128: Conv2dBackwardWeightTiled = tiled("conv2d_backward_weight_wide_128", LARGE, true);
/// Medium tiles of f16.
pub static HALF_64: Conv2dBackwardWeightTiled = tiled("conv2d_backward_weight_half_64", MEDIUM_HALF, false);
/// Medium tiles of f16, four numbers at a time.
pub static HALF_WIDE_64: Conv2dBackwardWeightTiled = tiled("conv2d_backward_weight_half_wide_64", MEDIUM_HALF, true);

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
