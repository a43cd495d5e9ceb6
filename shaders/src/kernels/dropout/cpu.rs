use super::super::advance::STATE_TOTAL;
use super::{Argument, WORDS};

/// One word of pcg4d.
pub(super) fn draw(i: u32, step: u32, layer: u32, seed: u32) -> u32 {
    let [mut x, mut y, mut z, mut w] =
        [i, step, layer, seed].map(|word| word.wrapping_mul(1_664_525).wrapping_add(1_013_904_223));
    x = x.wrapping_add(y.wrapping_mul(w));
    y = y.wrapping_add(z.wrapping_mul(x));
    z = z.wrapping_add(x.wrapping_mul(y));
    w = w.wrapping_add(y.wrapping_mul(z));
    [x, y, w] = [x, y, w].map(|word| word ^ (word >> 16));
    x.wrapping_add(y.wrapping_mul(w))
}

pub(super) fn run(arguments: &mut [Argument<'_>], words: &[u32; WORDS]) {
    let [x, state, y] = arguments else { return };
    let (n, step, factor) = (words[0] as usize, state.words()[STATE_TOTAL], f32::from_bits(words[2]));
    for (i, (y, x)) in y.f32_mut()[..n].iter_mut().zip(x.f32()).enumerate() {
        *y = if draw(i as u32, step, words[3], words[4]) >= words[1] { x * factor } else { 0.0 };
    }
}
