//! Softmax and cross-entropy in one, forward and backward.
//!
//! ```text
//! p = softmax(z[m, :])       loss[m] = -ln p[label]       dz[m, c] = (p[c] - [c = label]) / M
//! correct[m] = 1 when the largest logit (the first of equals) is that of the label
//! ```
//!
//! Arguments: logits [M, C] (overwritten by their gradient), labels [M], rows [M, 2] (loss as f32, correct as u32).
//! Words: M, C. The largest logit is taken off first, so that nothing overflows.

pub(super) mod cpu;

use super::{Access, Argument, Cost, Grid, Kernel, WORDS, loops};

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct SoftmaxCrossEntropy;

impl Kernel for SoftmaxCrossEntropy {
    fn name(&self) -> &'static str {
        "softmax_cross_entropy"
    }

    fn wgsl(&self) -> &'static str {
        include_str!("kernel.wgsl")
    }

    fn access(&self) -> &'static [Access] {
        &[Access::Write, Access::Read, Access::Write]
    }

    fn grid(&self, words: &[u32; WORDS]) -> Grid {
        Grid::elements(words[0])
    }

    fn cost(&self, words: &[u32; WORDS]) -> Cost {
        Cost::stream(words[0].saturating_mul(words[1]), 2, 5)
    }

    fn turns(&self, words: &[u32; WORDS]) -> u64 {
        3 * loops::by_four(words[1].into())
    }

    fn twin(&self, arguments: &mut [Argument<'_>], words: &[u32; WORDS]) {
        cpu::run(arguments, words);
    }
}
