//! As `norm_statistics`, for GPUs and large groups: a workgroup a group of channels of a sample.
//!
//! Formula, arguments and words are those of `norm_statistics`; 64 invocations read what lies side by side. Not measured on a GPU yet.

use super::{Access, Argument, Cost, Grid, Kernel, WORDS, groups, shared};

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct NormStatisticsShared;

impl Kernel for NormStatisticsShared {
    fn name(&self) -> &'static str {
        "norm_statistics_shared"
    }

    fn wgsl(&self) -> &'static str {
        include_str!("kernel.wgsl")
    }

    fn constants(&self) -> Vec<(&'static str, u32)> {
        vec![("GROUP", groups::SHARED_BY)]
    }

    fn access(&self) -> &'static [Access] {
        super::norm_statistics::NormStatistics.access()
    }

    fn grid(&self, words: &[u32; WORDS]) -> Grid {
        shared::grid(words[0].saturating_mul(words[3]), groups::SHARED_BY)
    }

    fn cost(&self, words: &[u32; WORDS]) -> Cost {
        super::norm_statistics::NormStatistics.cost(words)
    }

    fn turns(&self, words: &[u32; WORDS]) -> u64 {
        2 * shared::turns(groups::members(words), groups::SHARED_BY) + 2 * shared::tree_turns(groups::SHARED_BY)
    }

    fn twin(&self, arguments: &mut [Argument<'_>], words: &[u32; WORDS]) {
        super::norm_statistics::cpu::run(arguments, words);
    }
}
