//! Matrix products by workgroup tiles, for GPUs: the scheme of the kernels `linear_*_tiled` and `conv2d_*_tiled` (`wgsl/tiles.wgsl`). A
//! convolution is the product of patches and weights; patches are read from the picture where they are loaded (implicit GEMM).
//!
//! ```text
//! C [R, S] = sum over D of A [R, D] and B [D, S]
//! ```
//!
//! A workgroup makes a tile of C. Sixteen depths of its rows of A and of its columns of B are loaded together into workgroup memory,
//! each number once for the whole workgroup, and every thread multiplies its 4 x 4, 8 x 4 or 8 x 8 results from there (Volkov and
//! Demmel 2008, "Benchmarking GPUs to tune dense linear algebra"). What decides on a GPU, and how it is met:
//!
//! - Multiply-adds to loads: 8 x 8 results take 4 loads of four numbers for 64 multiply-adds.
//! - Latency: the next tile is loaded into registers while this one is multiplied. 64 sums, 16 operands and 16 numbers on their way
//!   leave room for two workgroups of 256 threads on a multiprocessor with 65,536 registers.
//! - No bounds in the inner loop: past an edge a tile is filled with zeros. The loop is unrolled in the text ([`crate::wgsl`]): a loop in
//!   WGSL carries a counter that proves its end, and an index that is no constant a comparison (wgpu#7698, gpuweb#1202). What is left is
//!   one comparison for each of a thread's operands, the same for all depths.
//! - Bank conflicts: threads that a memory serves together (8 of 16 bytes) load blocks that lie side by side, also where A or B has to be
//!   transposed on the way, so that no padding is needed and the largest tile takes 16,384 bytes, which all of WebGPU grants.
//! - Memory: four numbers at a time where extents and offset are multiples of four (`wide`); 32 neighbours read whole 64-byte pieces.
//! - Few results of long sums (weights of a narrow layer, of any convolution) leave most of a GPU idle: their sums are split into parts
//!   (`*_backward_weight_tiled`), that `sum_slices` adds.
//!
//! Every result has one thread that sums in one order: runs are equal to the bit.
//!
//! # Half precision
//!
//! The kernels `*_half_*` keep the operands in workgroup memory as f16, half of the memory and of its traffic, and multiply and add in
//! f32: what is lost is the rounding of each operand, 2^-11 of it, and nothing of a sum however long (Micikevicius et al. 2017, "Mixed
//! precision training", arXiv 1710.03740). Everything in buffers stays f32: weights, activations, gradients, optimizer. The sums of a
//! bias are of numbers as they are read, and not rounded at all.
//!
//! Gradients are small: those of a mean over the rows of a batch are below 1 / rows, and f16 has no number below 2^-24 (2^-14 on a device that flushes
//! what is subnormal). So dY is multiplied by [`GRADIENT_SCALE`] where it is rounded, and the f32 sum divided by it: exact, as a power of two.
//! That is loss scaling, but for one product at a time: nothing is scaled in a buffer, so no other kernel has to know, and there is no
//! scale to adapt. What is beyond the largest f16 is clamped to it, so no infinity arises; a NaN and an infinity stay what they are, so that it
//! shows when training has diverged.

use std::ops::Range;

use half::f16;

use super::{Argument, Grid, loops};

/// By what dY is multiplied where it is rounded to f16: from 2^-26 to 16 it then has the full 11 bits. A mean over 2^20 rows has gradients of
/// about 2^-20, and one beyond 16 in a single place of a layer is one that has burst.
pub const GRADIENT_SCALE: u32 = 4096;
/// The largest f16.
const HALF_MAX: f32 = 65_504.0;

/// Depths of a tile.
pub const DEPTH: u32 = 16;

/// Extents of a tile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tile {
    /// Results along each axis.
    pub side: u32,
    /// Rows of a thread, in fours.
    row_fours: u32,
    /// Columns of a thread, in fours.
    column_fours: u32,
    /// Whether operands are f16.
    pub half: bool,
}

/// 32 x 32 results by 64 threads of 4 x 4; 4 KiB.
pub const SMALL: Tile = Tile { side: 32, row_fours: 1, column_fours: 1, half: false };
/// 64 x 64 results by 128 threads of 8 x 4; 8 KiB.
pub const MEDIUM: Tile = Tile { side: 64, row_fours: 2, column_fours: 1, half: false };
/// 128 x 128 results by 256 threads of 8 x 8; 16 KiB.
pub const LARGE: Tile = Tile { side: 128, row_fours: 2, column_fours: 2, half: false };
/// [`MEDIUM`] of f16; 4 KiB, and 1 KiB where a bias is summed.
pub const MEDIUM_HALF: Tile = Tile { half: true, ..MEDIUM };

impl Tile {
    /// Threads of a workgroup: each loads a block of 4 x 4 numbers of A or of B.
    #[must_use]
    pub const fn threads(&self) -> u32 {
        self.side * self.side / (16 * self.row_fours * self.column_fours)
    }

    /// Workgroups for so many rows and columns, each sum in so many parts.
    #[must_use]
    pub fn grid(&self, rows: u32, columns: u32, parts: u32) -> Grid {
        let workgroup = [8, self.threads() / 8];
        let groups = [columns.div_ceil(self.side), rows.div_ceil(self.side).saturating_mul(parts)];
        Grid { invocations: [0, 1].map(|axis| groups[axis].saturating_mul(workgroup[axis])), workgroup }
    }

    /// Turns of its loop over such a depth in so many parts; what it stores may loop, too.
    #[must_use]
    pub fn turns(&self, depth: u64, parts: u32) -> u64 {
        loops::product(depth.div_ceil(DEPTH.into()).div_ceil(u64::from(parts).max(1)))
    }

    /// What its WGSL is made of; `bias` where the rows of A are summed, too; `scale` is what A is multiplied by where it is rounded to f16.
    #[must_use]
    pub fn constants(&self, wide: bool, bias: bool, scale: u32) -> Vec<(&'static str, u32)> {
        vec![
            ("ROWS", self.side),
            ("COLUMNS", self.side),
            ("DEPTH", DEPTH),
            ("ROW_FOURS", self.row_fours),
            ("COLUMN_FOURS", self.column_fours),
            ("WIDE", u32::from(wide)),
            ("BIAS", u32::from(bias)),
            ("F16", u32::from(self.half)),
            ("SCALE", scale),
        ]
    }
}

/// A kernel and its variants: of each tile one that reads a number at a time, and one that reads four.
macro_rules! variants {
    ($kernel:ident, $name:literal) => {
        /// See the module.
        #[derive(Clone, Copy, Debug)]
        pub struct $kernel {
            name: &'static str,
            tile: $crate::kernels::tiles::Tile,
            wide: bool,
        }

        $crate::kernels::tiles::variants! {
            $kernel, $name;
            TILED_32 "_32" SMALL false "Small tiles.";
            WIDE_32 "_wide_32" SMALL true "Small tiles, four numbers at a time.";
            TILED_64 "_64" MEDIUM false "Medium tiles.";
            WIDE_64 "_wide_64" MEDIUM true "Medium tiles, four numbers at a time.";
            TILED_128 "_128" LARGE false "Large tiles.";
            WIDE_128 "_wide_128" LARGE true "Large tiles, four numbers at a time.";
            HALF_64 "_half_64" MEDIUM_HALF false "Medium tiles of f16.";
            HALF_WIDE_64 "_half_wide_64" MEDIUM_HALF true "Medium tiles of f16, four numbers at a time.";
        }
    };
    ($kernel:ident, $name:literal; $($variant:ident $suffix:literal $tile:ident $wide:literal $what:literal;)*) => {
        $(
            #[doc = $what]
            pub static $variant: $kernel =
                $kernel { name: concat!($name, $suffix), tile: $crate::kernels::tiles::$tile, wide: $wide };
        )*
    };
}
pub(super) use variants;

/// Numbers as f16 holds them, multiplied by a power of two.
fn rounded(words: &[u32], scale: f32) -> Vec<u32> {
    let one = |bits: &u32| {
        let scaled = f32::from_bits(*bits) * scale;
        let held = if scaled.is_finite() { scaled.clamp(-HALF_MAX, HALF_MAX) } else { scaled };
        (f16::from_f32(held).to_f32() / scale).to_bits()
    };
    words.iter().map(one).collect()
}

/// Runs the twin of an f32 kernel on operands as f16 holds them: A, and of the other argument the part that is B. The sums are those of
/// scaled operands, divided: a power of two changes no rounding.
pub(super) fn on_halves(
    arguments: &mut [Argument<'_>],
    scale: f32,
    of_b: Range<usize>,
    twin: impl FnOnce(&mut [Argument<'_>]),
) {
    let [a, b, out] = arguments else { return };
    let (a, mut b) = (rounded(a.words(), scale), b.words().to_vec());
    let part = rounded(&b[of_b.clone()], 1.0);
    b[of_b].copy_from_slice(&part);
    twin(&mut [Argument::Read(&a), Argument::Read(&b), Argument::Write(out.words_mut())]);
}

/// The same for the gradient of weights, which lies from `first` on in so many parts of dW and db, where db is of numbers that nobody rounded.
pub(super) fn on_halves_but_bias(
    arguments: &mut [Argument<'_>],
    (first, parts): (usize, usize),
    [weights, bias]: [usize; 2],
    twin: impl Fn(&mut [Argument<'_>]),
) {
    twin(arguments);
    let exact = arguments[2].words().to_vec();
    let all = 0..arguments[1].words().len();
    on_halves(arguments, GRADIENT_SCALE as f32, all, twin);
    for part in 0..parts {
        let end = first + (part + 1) * (weights + bias);
        arguments[2].words_mut()[end - bias..end].copy_from_slice(&exact[end - bias..end]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_thread_loads_one_block_and_all_of_webgpu_grants_it() {
        for tile in [SMALL, MEDIUM, LARGE, MEDIUM_HALF] {
            let blocks = 2 * (tile.side / 4) * (DEPTH / 4);
            assert_eq!(tile.threads(), blocks, "{tile:?}");
            assert!(tile.threads() <= 256 && 2 * 4 * tile.side * DEPTH <= 16_384, "{tile:?}");
            // Whole eights of columns for each 32 threads.
            assert!((tile.side / (4 * tile.column_fours)).is_multiple_of(8), "{tile:?}");
        }
    }
}
