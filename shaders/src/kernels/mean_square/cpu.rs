use super::super::advance::STATE_SECOND;
use super::{Argument, WORDS};

pub(super) fn run(arguments: &mut [Argument<'_>], words: &[u32; WORDS]) {
    let [parts, state] = arguments else { return };
    let (d, b2) = (words[1] as f32, f32::from_bits(words[2]));
    let sum: f32 = parts.f32()[..words[0] as usize].iter().sum();
    let second = &mut state.f32_mut()[STATE_SECOND];
    *second = b2 * *second + (1.0 - b2) * sum / d;
}
