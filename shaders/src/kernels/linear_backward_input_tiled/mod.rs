//! `linear_backward_input` by workgroup tiles: see `kernels::tiles`. `WIDE_*` for N, K and an offset that are multiples of 4.
//!
//! ```text
//! dx[m, k] = sum_n dy[m, n] w[n, k]
//! ```
//!
//! Arguments and words of `linear_backward_input`, and its twin.

use super::tiles::{LARGE, MEDIUM, SMALL, Tile};
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

impl Kernel for LinearBackwardInputTiled {
    fn name(&self) -> &'static str {
        self.name
    }

    fn wgsl(&self) -> &'static str {
        include_str!("kernel.wgsl")
    }

    fn constants(&self) -> Vec<(&'static str, u32)> {
        self.tile.constants(self.wide, false)
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
        super::linear_backward_input::cpu::run(arguments, words);
    }
}
