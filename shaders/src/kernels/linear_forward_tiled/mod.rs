//! `linear_forward` by workgroup tiles: see `kernels::tiles`. `WIDE_*` for K and an offset that are multiples of 4.
//!
//! ```text
//! y[m, n] = act( sum_k x[m, k] w[n, k] + b[n] )
//! ```
//!
//! Arguments and words of `linear_forward`, and its twin.

use super::tiles::{self, LARGE, MEDIUM, MEDIUM_HALF, SMALL, Tile};
use super::{Access, Argument, Cost, Grid, Kernel, WORDS};

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct LinearForwardTiled {
    name: &'static str,
    tile: Tile,
    wide: bool,
}

const fn tiled(name: &'static str, tile: Tile, wide: bool) -> LinearForwardTiled {
    LinearForwardTiled { name, tile, wide }
}

/// Small tiles.
pub static TILED_32: LinearForwardTiled = tiled("linear_forward_32", SMALL, false);
/// Small tiles, four numbers at a time.
pub static WIDE_32: LinearForwardTiled = tiled("linear_forward_wide_32", SMALL, true);
/// Medium tiles.
pub static TILED_64: LinearForwardTiled = tiled("linear_forward_64", MEDIUM, false);
/// Medium tiles, four numbers at a time.
pub static WIDE_64: LinearForwardTiled = tiled("linear_forward_wide_64", MEDIUM, true);
/// Large tiles.
pub static TILED_128: LinearForwardTiled = tiled("linear_forward_128", LARGE, false);
/// Large tiles, four numbers at a time.
pub static WIDE_128: LinearForwardTiled = tiled("linear_forward_wide_128", LARGE, true);
/// Medium tiles of f16.
pub static HALF_64: LinearForwardTiled = tiled("linear_forward_half_64", MEDIUM_HALF, false);
/// Medium tiles of f16, four numbers at a time.
pub static HALF_WIDE_64: LinearForwardTiled = tiled("linear_forward_half_wide_64", MEDIUM_HALF, true);

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

    fn twin(&self, arguments: &mut [Argument<'_>], words: &[u32; WORDS]) {
        if !self.tile.half {
            return super::linear_forward::cpu::run(arguments, words);
        }
        let first = words[4] as usize;
        let weights = first..first + (words[1] * words[2]) as usize;
        tiles::on_halves(arguments, 1.0, weights, |rounded| super::linear_forward::cpu::run(rounded, words));
    }
}
