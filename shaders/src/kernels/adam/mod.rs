//! Adam (Kingma and Ba, arXiv 1412.6980, algorithm 1) and AdamW (Loshchilov and Hutter, arXiv 1711.05101) over the flat parameter
//! buffer.
//!
//! ```text
//! m = b1 m + (1 - b1) g        v = b2 v + (1 - b2) g^2
//! theta = (1 - rate * decay) theta - rate * (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + epsilon)
//! ```
//!
//! Arguments: theta, gradient, m, v (all [d]), state. Words: d, then as floats rate, b1, b2, epsilon, decay (0 for Adam).
//! b1^t and b2^t are running products in `state`, advanced by `advance`: no power on the device.

mod cpu;

use super::{Access, Argument, Cost, Grid, Kernel, WORDS};

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct Adam;

impl Kernel for Adam {
    fn name(&self) -> &'static str {
        "adam"
    }

    fn wgsl(&self) -> &'static str {
        include_str!("kernel.wgsl")
    }

    fn access(&self) -> &'static [Access] {
        &[Access::Write, Access::Read, Access::Write, Access::Write, Access::Read]
    }

    fn grid(&self, words: &[u32; WORDS]) -> Grid {
        Grid::elements(words[0])
    }

    fn cost(&self, words: &[u32; WORDS]) -> Cost {
        Cost::stream(words[0], 7, 14)
    }

    fn twin(&self, arguments: &mut [Argument<'_>], words: &[u32; WORDS]) {
        cpu::run(arguments, words);
    }
}
