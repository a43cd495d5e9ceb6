//! The bookkeeping between two steps, in one invocation so that sums have one order.
//!
//! ```text
//! losses[steps] = sum_m rows[m].loss      steps += 1      batch += 1   total += 1      b1^t *= b1      b2^t *= b2
//! ```
//!
//! Arguments: state, rows [M, 2]. Words: M, then as floats b1, b2. The words of `state` are the constants below.

mod cpu;

use super::{Access, Argument, Cost, Grid, Kernel, WORDS, loops};

/// Word of `state`: steps since the host last looked.
pub const STATE_STEPS: usize = 0;
/// Word of `state`: number of the batch within the uploaded order.
pub const STATE_BATCH: usize = 1;
/// Word of `state`: b1^t, f32.
pub const STATE_POWER_1: usize = 4;
/// Word of `state`: b2^t, f32.
pub const STATE_POWER_2: usize = 5;
/// Word of `state`: running mean square of the gradient, f32; see `mean_square`.
pub const STATE_SECOND: usize = 6;
/// Word of `state`: steps since the beginning, modulo 2^32; never reset.
pub const STATE_TOTAL: usize = 7;
/// Word of `state` from which on the losses of the steps since the host last looked lie, f32: the host sums them in f64.
pub const STATE_LOSSES: usize = 8;
/// Most steps between two looks.
pub const STEPS_MAX: usize = 256;
/// Words of `state`.
pub const STATE_WORDS: usize = STATE_LOSSES + STEPS_MAX;

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct Advance;

impl Kernel for Advance {
    fn name(&self) -> &'static str {
        "advance"
    }

    fn wgsl(&self) -> &'static str {
        include_str!("kernel.wgsl")
    }

    fn access(&self) -> &'static [Access] {
        &[Access::Write, Access::Read]
    }

    fn grid(&self, _words: &[u32; WORDS]) -> Grid {
        Grid { invocations: [1, 1], workgroup: [1, 1] }
    }

    fn cost(&self, words: &[u32; WORDS]) -> Cost {
        Cost::stream(words[0], 2, 1)
    }

    fn turns(&self, words: &[u32; WORDS]) -> u64 {
        loops::by_eight(words[0].into())
    }

    fn twin(&self, arguments: &mut [Argument<'_>], words: &[u32; WORDS]) {
        cpu::run(arguments, words);
    }
}
