//! As `softmax_cross_entropy`, for GPUs and many classes: a workgroup a row.
//!
//! Formula, arguments and words are those of `softmax_cross_entropy`. There an invocation goes over a row by itself, and neighbours read numbers
//! that lie a row apart; here 256 invocations read what lies side by side. Not measured on a GPU yet.

use super::{Access, Argument, Cost, Grid, Kernel, WORDS, shared};

/// Invocations that share a row.
const GROUP: u32 = 256;

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct SoftmaxCrossEntropyShared;

/// Whether a row is wide enough: four numbers and more for each invocation (reasoned, not measured).
#[must_use]
pub fn pays(classes: u32) -> bool {
    classes >= 4 * GROUP
}

impl Kernel for SoftmaxCrossEntropyShared {
    fn name(&self) -> &'static str {
        "softmax_cross_entropy_shared"
    }

    fn wgsl(&self) -> &'static str {
        include_str!("kernel.wgsl")
    }

    fn constants(&self) -> Vec<(&'static str, u32)> {
        vec![("GROUP", GROUP)]
    }

    fn access(&self) -> &'static [Access] {
        &[Access::Write, Access::Read, Access::Write]
    }

    fn grid(&self, words: &[u32; WORDS]) -> Grid {
        shared::grid(words[0], GROUP)
    }

    fn cost(&self, words: &[u32; WORDS]) -> Cost {
        Cost::stream(words[0].saturating_mul(words[1]), 2, 5)
    }

    fn turns(&self, words: &[u32; WORDS]) -> u64 {
        // Over the row for the largest, the sum, and the gradient; the largest and the sum of all.
        3 * shared::turns(words[1].into(), GROUP) + 2 * shared::tree_turns(GROUP)
    }

    fn twin(&self, arguments: &mut [Argument<'_>], words: &[u32; WORDS]) {
        super::softmax_cross_entropy::cpu::run(arguments, words);
    }
}
