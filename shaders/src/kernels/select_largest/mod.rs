//! The largest numbers of every chunk of the residual: the part of a sparse codec that reads all of it.
//!
//! ```text
//! e = factor (theta - b)      of every chunk of 4,096 the k with the largest |e|, in ascending order of place; of equal ones the
//!                             first. k = K, of a last chunk of n numbers ceil(n K / 4096)
//! ```
//!
//! What is kept is K / 2048 of the residual's bytes, and the host makes the payload of it (`protocol::codec::Density`): scales are
//! fitted in f64 there, and every device says the same bytes. A workgroup takes a chunk, sixteen neighbouring numbers an
//! invocation. |e| as an integer orders as it does as a float; its k-th largest is found digit by digit of eight bits, by counts
//! (a radix select, MSB first), then places are summed up so that each invocation knows where to write.
//!
//! Arguments: theta [d], base [d] (i32), kept [pairs of place and e by its bits]. Words: d, K, factor.

mod cpu;

use protocol::codec::CHUNK;

use super::{Access, Argument, Cost, Grid, Kernel, WORDS};

/// Invocations that share a chunk.
const WORKGROUP: u32 = 256;

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct SelectLargest;

impl Kernel for SelectLargest {
    fn name(&self) -> &'static str {
        "select_largest"
    }

    fn wgsl(&self) -> &'static str {
        include_str!("kernel.wgsl")
    }

    fn access(&self) -> &'static [Access] {
        &[Access::Read, Access::Read, Access::Write]
    }

    fn grid(&self, words: &[u32; WORDS]) -> Grid {
        let chunks = words[0].div_ceil(CHUNK as u32);
        Grid { invocations: [chunks.saturating_mul(WORKGROUP), 1], workgroup: [WORKGROUP, 1] }
    }

    fn cost(&self, words: &[u32; WORDS]) -> Cost {
        Cost::stream(words[0], 2, 3)
    }

    fn turns(&self, _words: &[u32; WORDS]) -> u64 {
        // Rows of numbers, of counts and of digits, whatever d: below 2,000.
        2_000
    }

    fn twin(&self, arguments: &mut [Argument<'_>], words: &[u32; WORDS]) {
        cpu::run(arguments, words);
    }
}
