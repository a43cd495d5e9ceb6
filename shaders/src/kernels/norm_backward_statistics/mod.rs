//! Two means of every group that the gradient of a norm with respect to its input needs.
//!
//! ```text
//! h = (x - mean) inverse        first = 1/n sum dy gamma        second = 1/n sum dy gamma h        RMS norm: first = 0
//! ```
//!
//! Arguments: dy [N, P, C], x [N, P, C], parameters (flat), statistics [N, G, 2], means [N, G, 2]. Words: N, P, C, G, offset, 1 for RMS norm, epsilon.

pub(super) mod cpu;

use super::{Access, Argument, Cost, Grid, Kernel, WORDS, cost, groups, loops};

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct NormBackwardStatistics;

impl Kernel for NormBackwardStatistics {
    fn name(&self) -> &'static str {
        "norm_backward_statistics"
    }

    fn wgsl(&self) -> &'static str {
        include_str!("kernel.wgsl")
    }

    fn access(&self) -> &'static [Access] {
        &[Access::Read, Access::Read, Access::Read, Access::Read, Access::Write]
    }

    fn grid(&self, words: &[u32; WORDS]) -> Grid {
        Grid::elements(words[0] * words[3])
    }

    fn cost(&self, words: &[u32; WORDS]) -> Cost {
        let n = cost::all([words[0], words[1], words[2]]);
        let groups = cost::all([words[0], words[3]]);
        Cost::of(2 * n + 4 * groups + u64::from(words[2]), 6 * n)
    }

    fn turns(&self, words: &[u32; WORDS]) -> u64 {
        loops::by_four(groups::members(words))
    }

    fn twin(&self, arguments: &mut [Argument<'_>], words: &[u32; WORDS]) {
        cpu::run(arguments, words);
    }
}
