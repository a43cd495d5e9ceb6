//! Mean and inverse deviation of every group of a sample: the first half of group, layer and RMS norm.
//!
//! ```text
//! mean = 1/n sum x      inverse = 1 / sqrt( 1/n sum (x - mean)^2 + epsilon )      n = P C / G      RMS norm: mean = 0
//! ```
//!
//! x is [N, P, C] in G groups of C / G channels: group norm of a picture has P = H W; layer norm of a text has P = 1 and G = 1.
//! Wu and He 2018 (arXiv 1803.08494), Ba et al. 2016 (arXiv 1607.06450), Zhang and Sennrich 2019 (arXiv 1910.07467).
//!
//! Arguments: x [N, P, C], statistics [N, G, 2]. Words: N, P, C, G, offset, 1 for RMS norm, epsilon.
//! An invocation goes twice over one group: the mean first, so that no large squares are taken off each other.

pub(super) mod cpu;

use super::{Access, Argument, Cost, Grid, Kernel, WORDS, cost, groups, loops};

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct NormStatistics;

impl Kernel for NormStatistics {
    fn name(&self) -> &'static str {
        "norm_statistics"
    }

    fn wgsl(&self) -> &'static str {
        include_str!("kernel.wgsl")
    }

    fn access(&self) -> &'static [Access] {
        &[Access::Read, Access::Write]
    }

    fn grid(&self, words: &[u32; WORDS]) -> Grid {
        Grid::elements(words[0] * words[3])
    }

    fn cost(&self, words: &[u32; WORDS]) -> Cost {
        let n = cost::all([words[0], words[1], words[2]]);
        let groups = cost::all([words[0], words[3]]);
        Cost::of(n + 2 * groups, 4 * n)
    }

    fn turns(&self, words: &[u32; WORDS]) -> u64 {
        2 * loops::by_four(groups::members(words))
    }

    fn twin(&self, arguments: &mut [Argument<'_>], words: &[u32; WORDS]) {
        cpu::run(arguments, words);
    }
}
