use super::{Argument, WORDS};

pub(super) fn run(arguments: &mut [Argument<'_>], words: &[u32; WORDS]) {
    let [parts, factor] = arguments else { return };
    let sum: f32 = parts.f32()[..words[0] as usize].iter().sum();
    factor.f32_mut()[0] = (f32::from_bits(words[1]) / (sum.sqrt() + 1e-6)).min(1.0);
}
