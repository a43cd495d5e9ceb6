//! `linear_backward_input` by workgroup tiles: see `kernels::tiles`. `WIDE_*` for N, K and an offset that are multiples of 4.
//!
//! ```text
//! dx[m, k] = sum_n dy[m, n] w[n, k]
//! ```
//!
//! Arguments and words of `linear_backward_input`, and its twin.

use super::tiles::{self, LARGE, MEDIUM, MEDIUM_HALF, SMALL, Tile};
use super::{Access, Argument, Cost, Grid, Kernel, WORDS};

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct LinearBackwardInputTiled {
    name: &'static str,
    tile: Tile,
    wide: bool,
}

const fn tiled(name: &'static str, tile: Tile, wide: bool) -> LinearBackwardInputTiled {
    LinearBackwardInputTiled { name, tile, wide }
}

/// Small tiles.
pub static TILED_32: LinearBackwardInputTiled = tiled("linear_backward_input_32", SMALL, false);
/// Small tiles, four numbers at a time.
pub static WIDE_32: LinearBackwardInputTiled = tiled("linear_backward_input_wide_32", SMALL, true);
/// Medium tiles.
pub static TILED_64: LinearBackwardInputTiled = tiled("linear_backward_input_64", MEDIUM, false);
/// Medium tiles, four numbers at a time.
pub static WIDE_64: LinearBackwardInputTiled = tiled("linear_backward_input_wide_64", MEDIUM, true);
/// Large tiles.
pub static TILED_128: LinearBackwardInputTiled = tiled("linear_backward_input_128", LARGE, false);
/// Large tiles, four numbers at a time.
pub static WIDE_128: LinearBackwardInputTiled = tiled("linear_backward_input_wide_128", LARGE, true);
/// Medium tiles of f16.
pub static HALF_64: LinearBackwardInputTiled = tiled("linear_backward_input_half_64", MEDIUM_HALF, false);
/// Medium tiles of f16, four numbers at a time.
pub static HALF_WIDE_64: LinearBackwardInputTiled = tiled("linear_backward_input_half_wide_64", MEDIUM_HALF, true);

impl Kernel for LinearBackwardInputTiled {
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
        self.tile.grid(words[0], words[2], 1)
    }

    fn cost(&self, words: &[u32; WORDS]) -> Cost {
        Cost::product(words[0], words[1], words[2])
    }

    fn twin(&self, arguments: &mut [Argument<'_>], words: &[u32; WORDS]) {
        if !self.tile.half {
            return super::linear_backward_input::cpu::run(arguments, words);
        }
        let all = 0..arguments[1].words().len();
        tiles::on_halves(arguments, tiles::GRADIENT_SCALE as f32, all, |rounded| {
            super::linear_backward_input::cpu::run(rounded, words)
        });
    }
}
