//! Gradient of group, layer or RMS norm with respect to gamma and beta, in S parts that `sum_slices` adds.
//!
//! ```text
//! dgamma[c] = sum dy h,  h = (x - mean) inverse        dbeta[c] = sum dy
//! ```
//!
//! Arguments: dy [N, P, C], x [N, P, C], statistics [N, G, 2], parts [S, 2 C] (dgamma, dbeta; [S, C] for RMS norm).
//! Words: N, P, C, G, offset, 1 for RMS norm, epsilon, unused, S. Part s takes the s-th stretch of the N P rows.

mod cpu;

use super::{Access, Argument, Cost, Grid, Kernel, WORDS, cost, loops};

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct NormBackwardWeight;

impl Kernel for NormBackwardWeight {
    fn name(&self) -> &'static str {
        "norm_backward_weight"
    }

    fn wgsl(&self) -> &'static str {
        include_str!("kernel.wgsl")
    }

    fn access(&self) -> &'static [Access] {
        &[Access::Read, Access::Read, Access::Read, Access::Write]
    }

    fn grid(&self, words: &[u32; WORDS]) -> Grid {
        Grid::elements(words[8] * words[2])
    }

    fn cost(&self, words: &[u32; WORDS]) -> Cost {
        let n = cost::all([words[0], words[1], words[2]]);
        let groups = cost::all([words[0], words[3]]);
        Cost::of(2 * n + 2 * groups + 2 * cost::all([words[2], words[8]]), 5 * n)
    }

    fn turns(&self, words: &[u32; WORDS]) -> u64 {
        loops::plain(cost::all([words[0], words[1]]).div_ceil(u64::from(words[8]).max(1)))
    }

    fn twin(&self, arguments: &mut [Argument<'_>], words: &[u32; WORDS]) {
        cpu::run(arguments, words);
    }
}
