use super::super::advance::STATE_SECOND;
use super::{Argument, WORDS};

pub(super) fn run(arguments: &mut [Argument<'_>], words: &[u32; WORDS]) {
    let [gradient, state] = arguments else { return };
    let (d, b2) = (words[0] as usize, f32::from_bits(words[1]));
    let sum: f64 = gradient.f32()[..d].iter().map(|&g| f64::from(g) * f64::from(g)).sum();
    let mean = (sum / d.max(1) as f64) as f32;
    let second = &mut state.f32_mut()[STATE_SECOND];
    *second = b2 * *second + (1.0 - b2) * mean;
}
