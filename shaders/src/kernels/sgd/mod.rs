//! Stochastic gradient descent with momentum (Polyak; Nesterov's in the form of Sutskever et al. 2013).
//!
//! ```text
//! m = momentum * m + g          theta -= rate * m          with Nesterov: theta -= rate * (g + momentum * m)
//! ```
//!
//! Arguments: theta, gradient, m (all [d]). Words: d, then as floats rate, momentum, then 1 for Nesterov.

mod cpu;

use super::{Access, Argument, Cost, Grid, Kernel, WORDS};

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct Sgd;

impl Kernel for Sgd {
    fn name(&self) -> &'static str {
        "sgd"
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
        Cost::stream(words[0], 5, 5)
    }

    fn twin(&self, arguments: &mut [Argument<'_>], words: &[u32; WORDS]) {
        cpu::run(arguments, words);
    }
}
