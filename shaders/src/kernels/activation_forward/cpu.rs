use super::super::activation;
use super::{Argument, WORDS};

pub(super) fn run(arguments: &mut [Argument<'_>], words: &[u32; WORDS]) {
    let [z, y] = arguments else { return };
    let n = words[0] as usize;
    for (y, z) in y.f32_mut()[..n].iter_mut().zip(z.f32()) {
        *y = activation::value(*z, words[1]);
    }
}
