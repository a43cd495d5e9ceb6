use protocol::fixed::to_f32;

use super::{Argument, WORDS};

pub(super) fn run(arguments: &mut [Argument<'_>], words: &[u32; WORDS]) {
    let [base, theta, entries] = arguments else { return };
    let dense = words[1] != 0;
    let (base, theta) = (base.i32_mut(), theta.f32_mut());
    let entries = entries.words().chunks_exact(if dense { 2 } else { 3 }).take(words[0] as usize);
    for (i, entry) in entries.enumerate() {
        let (i, add, value) = if dense { (i, entry[0], entry[1]) } else { (entry[0] as usize, entry[1], entry[2]) };
        let add = add as i32;
        base[i] = base[i].wrapping_add(add);
        theta[i] += to_f32(add) - f32::from_bits(value);
    }
}
