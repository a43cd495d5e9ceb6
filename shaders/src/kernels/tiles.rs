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

use super::Grid;

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
}

/// 32 x 32 results by 64 threads of 4 x 4; 4 KiB.
pub const SMALL: Tile = Tile { side: 32, row_fours: 1, column_fours: 1 };
/// 64 x 64 results by 128 threads of 8 x 4; 8 KiB.
pub const MEDIUM: Tile = Tile { side: 64, row_fours: 2, column_fours: 1 };
/// 128 x 128 results by 256 threads of 8 x 8; 16 KiB.
pub const LARGE: Tile = Tile { side: 128, row_fours: 2, column_fours: 2 };

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

    /// What its WGSL is made of; `bias` where the rows of A are summed, too.
    #[must_use]
    pub fn constants(&self, wide: bool, bias: bool) -> Vec<(&'static str, u32)> {
        vec![
            ("ROWS", self.side),
            ("COLUMNS", self.side),
            ("DEPTH", DEPTH),
            ("ROW_FOURS", self.row_fours),
            ("COLUMN_FOURS", self.column_fours),
            ("WIDE", u32::from(wide)),
            ("BIAS", u32::from(bias)),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_thread_loads_one_block_and_all_of_webgpu_grants_it() {
        for tile in [SMALL, MEDIUM, LARGE] {
            let blocks = 2 * (tile.side / 4) * (DEPTH / 4);
            assert_eq!(tile.threads(), blocks, "{tile:?}");
            assert!(tile.threads() <= 256 && 2 * 4 * tile.side * DEPTH <= 16_384, "{tile:?}");
            // Whole eights of columns for each 32 threads.
            assert!((tile.side / (4 * tile.column_fours)).is_multiple_of(8), "{tile:?}");
        }
    }
}
