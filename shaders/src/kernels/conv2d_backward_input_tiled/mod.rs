//! `conv2d_backward_input` by workgroup tiles: see `kernels::tiles`. `WIDE_*` for C, O and an offset that are multiples of 4.
//!
//! ```text
//! dx[m, c] = sum over (ky, kx, o) of dy[what saw pixel m at (ky, kx), o] w[o, ky, kx, c]
//! ```
//!
//! Arguments and words of `conv2d_backward_input`, and its twin.

use super::tiles::{self, LARGE, MEDIUM, MEDIUM_HALF, SMALL, Tile};
use super::{Access, Argument, Cost, Grid, Kernel, WORDS};

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct Conv2dBackwardInputTiled {
    name: &'static str,
    tile: Tile,
    wide: bool,
}

const fn tiled(name: &'static str, tile: Tile, wide: bool) -> Conv2dBackwardInputTiled {
    Conv2dBackwardInputTiled { name, tile, wide }
}

/// Small tiles.
pub static TILED_32: Conv2dBackwardInputTiled = tiled("conv2d_backward_input_32", SMALL, false);
/// Small tiles, four numbers at a time.
pub static WIDE_32: Conv2dBackwardInputTiled = tiled("conv2d_backward_input_wide_32", SMALL, true);
/// Medium tiles.
pub static TILED_64: Conv2dBackwardInputTiled = tiled("conv2d_backward_input_64", MEDIUM, false);
/// Medium tiles, four numbers at a time.
pub static WIDE_64: Conv2dBackwardInputTiled = tiled("conv2d_backward_input_wide_64", MEDIUM, true);
/// Large tiles.
pub static TILED_128: Conv2dBackwardInputTiled = tiled("conv2d_backward_input_128", LARGE, false);
/// Large tiles, four numbers at a time.
pub static WIDE_128: Conv2dBackwardInputTiled = tiled("conv2d_backward_input_wide_128", LARGE, true);
/// Medium tiles of f16.
pub static HALF_64: Conv2dBackwardInputTiled = tiled("conv2d_backward_input_half_64", MEDIUM_HALF, false);
/// Medium tiles of f16, four numbers at a time.
pub static HALF_WIDE_64: Conv2dBackwardInputTiled = tiled("conv2d_backward_input_half_wide_64", MEDIUM_HALF, true);

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
