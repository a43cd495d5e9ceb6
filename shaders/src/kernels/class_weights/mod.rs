//! Weights of classes: the gradient of a loss as if each row were counted so many times.
//!
//! ```text
//! dz[m, c] *= weight[class[m]]
//! ```
//!
//! Arguments: dz [M, C], classes [M], weights [C]. Words: M, C. After whichever loss has turned the logits into their gradient.

mod cpu;

use super::{Access, Argument, Cost, Grid, Kernel, WORDS};

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct ClassWeights;

impl Kernel for ClassWeights {
    fn name(&self) -> &'static str {
        "class_weights"
    }

    fn wgsl(&self) -> &'static str {
        include_str!("kernel.wgsl")
    }

    fn access(&self) -> &'static [Access] {
        &[Access::Write, Access::Read, Access::Read]
    }

    fn grid(&self, words: &[u32; WORDS]) -> Grid {
        Grid::elements(words[0].saturating_mul(words[1]))
    }

    fn cost(&self, words: &[u32; WORDS]) -> Cost {
        Cost::stream(words[0].saturating_mul(words[1]), 2, 1)
    }

    fn twin(&self, arguments: &mut [Argument<'_>], words: &[u32; WORDS]) {
        cpu::run(arguments, words);
    }
}
