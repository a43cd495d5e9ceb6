//! By how much a gradient must shrink so that its norm is at most `limit` (Pascanu et al. 2012, arXiv 1211.5063).
//!
//! ```text
//! factor = min( 1, limit / (sqrt(sum_s parts[s]) + 1e-6) )
//! ```
//!
//! Arguments: parts [S] of `sum_squares`, factor [1]. Words: S, then as a float limit. One invocation, so that the sum has one order.

mod cpu;

use super::{Access, Argument, Cost, Grid, Kernel, WORDS, loops};

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct ClipFactor;

impl Kernel for ClipFactor {
    fn name(&self) -> &'static str {
        "clip_factor"
    }

    fn wgsl(&self) -> &'static str {
        include_str!("kernel.wgsl")
    }

    fn access(&self) -> &'static [Access] {
        &[Access::Read, Access::Write]
    }

    fn grid(&self, _words: &[u32; WORDS]) -> Grid {
        Grid { invocations: [1, 1], workgroup: [1, 1] }
    }

    fn cost(&self, words: &[u32; WORDS]) -> Cost {
        Cost::stream(words[0], 1, 1)
    }

    fn turns(&self, words: &[u32; WORDS]) -> u64 {
        loops::plain(words[0].into())
    }

    fn twin(&self, arguments: &mut [Argument<'_>], words: &[u32; WORDS]) {
        cpu::run(arguments, words);
    }
}
