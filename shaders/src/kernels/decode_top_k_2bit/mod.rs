//! Decodes a delta of `top_k_2bit` and adds it: to the base as integers, to the weights as floats.
//!
//! ```text
//! b[i] += add        theta[i] += add / 2^24 - v        add = +-table[level]        v = +-level s of an own delta, else 0
//! ```
//!
//! Arguments: base [d] (i32), theta [d], packed (see `protocol::codec::Packing`). Words: d, K kept of a full chunk, words of a chunk's table.
//! An invocation takes one element. Places of one delta differ, so no atomics are needed; adds wrap. Payloads are looked at on the host
//! before (`Codec::decode`): here every index is in its chunk.

mod cpu;

use protocol::codec::CHUNK;

use super::{Access, Argument, Cost, Grid, Kernel, WORDS};

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct DecodeTopK2Bit;

/// Elements kept of d, K of each full chunk.
fn kept(words: &[u32; WORDS]) -> u32 {
    let [d, k, ..] = *words;
    let chunk = CHUNK as u32;
    (d / chunk).saturating_mul(k) + kept_of_rest(d, k)
}

/// Of the last chunk, where it is not full.
fn kept_of_rest(d: u32, k: u32) -> u32 {
    let chunk = CHUNK as u32;
    (d % chunk).div_ceil(chunk / k.clamp(1, chunk))
}

impl Kernel for DecodeTopK2Bit {
    fn name(&self) -> &'static str {
        "decode_top_k_2bit"
    }

    fn wgsl(&self) -> &'static str {
        include_str!("kernel.wgsl")
    }

    fn access(&self) -> &'static [Access] {
        &[Access::Write, Access::Write, Access::Read]
    }

    fn grid(&self, words: &[u32; WORDS]) -> Grid {
        Grid::elements(kept(words))
    }

    fn cost(&self, words: &[u32; WORDS]) -> Cost {
        // Both vectors read and written; 14 bits of the payload are about half a word.
        let tables = u64::from(words[0].div_ceil(CHUNK as u32)) * u64::from(words[2]);
        Cost::of(4 * u64::from(kept(words)) + u64::from(kept(words)) / 2 + tables, 3 * u64::from(kept(words)))
    }

    fn twin(&self, arguments: &mut [Argument<'_>], words: &[u32; WORDS]) {
        cpu::run(arguments, words);
    }
}
