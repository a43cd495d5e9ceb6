use super::{Argument, WORDS};

pub(super) fn run(arguments: &mut [Argument<'_>], words: &[u32; WORDS]) {
    let [factor, x] = arguments else { return };
    let factor = factor.f32()[0];
    x.f32_mut()[..words[0] as usize].iter_mut().for_each(|x| *x *= factor);
}
