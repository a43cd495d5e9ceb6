//! Kernels in which a workgroup shares a row, for GPUs: neighbours read what lies side by side, where one invocation a row would have
//! them read numbers that lie a row apart. Each sums every GROUP-th number, and the sums are added by a tree (`wgsl/sums.wgsl`): one order,
//! so runs are equal to the bit.
//!
//! Software Vulkan pays for every barrier, and takes the kernels of one invocation a row.

use super::{Grid, loops};

/// A workgroup for each of so many rows.
pub(super) fn grid(rows: u32, group: u32) -> Grid {
    Grid { invocations: [rows.saturating_mul(group), 1], workgroup: [group, 1] }
}

/// Turns over what an invocation has of a row.
pub(super) fn turns(numbers: u64, group: u32) -> u64 {
    loops::plain(numbers.div_ceil(group.into()))
}

/// Turns of the tree.
pub(super) fn tree_turns(group: u32) -> u64 {
    loops::plain(group.ilog2().into())
}
