use protocol::codec::CHUNK;
use protocol::fixed::to_f32;

use super::{Argument, WORDS, kept, kept_of_rest};

pub(super) fn run(arguments: &mut [Argument<'_>], words: &[u32; WORDS]) {
    let [base, theta, packed] = arguments else { return };
    let (base, theta, packed) = (base.i32_mut(), theta.f32_mut(), packed.words());
    let [d, k, table, ..] = *words;
    let (full, chunks) = (d / CHUNK as u32, d.div_ceil(CHUNK as u32));
    let (indices, codes) = ((12 * k).div_ceil(8), (2 * k).div_ceil(8));
    let bits = |byte: u32, bit: u32, count: u32| {
        let (byte, shift) = (byte + bit / 8, bit % 8);
        let at = (byte / 4) as usize;
        let both = u64::from(packed[at]) | u64::from(packed.get(at + 1).copied().unwrap_or(0)) << 32;
        (both >> (byte % 4 * 8 + shift)) as u32 & ((1 << count) - 1)
    };
    for e in 0..kept(words) {
        let (chunk, j) = (e / k, e % k);
        let start = 4 * chunks * table + chunk * (indices + codes);
        let of_indices = if chunk < full { indices } else { (12 * kept_of_rest(d, k)).div_ceil(8) };
        let i = (chunk * CHUNK as u32 + bits(start, 12 * j, 12)) as usize;
        let code = bits(start + of_indices, 2 * j, 2);
        let (negative, level) = (code & 1 == 1, code >> 1);
        let at = (chunk * table) as usize;
        let add = packed[at + level as usize] as i32;
        let add = if negative { -add } else { add };
        let size = if table > 2 { f32::from_bits(packed[at + 2]) * (level + 1) as f32 } else { 0.0 };
        base[i] = base[i].wrapping_add(add);
        theta[i] += to_f32(add) - if negative { -size } else { size };
    }
}
