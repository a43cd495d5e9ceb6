use super::super::activation;
use super::{Argument, WORDS};

pub(super) fn run(arguments: &mut [Argument<'_>], words: &[u32; WORDS]) {
    let [z, dy] = arguments else { return };
    let n = words[0] as usize;
    for (dy, z) in dy.f32_mut()[..n].iter_mut().zip(z.f32()) {
        *dy *= activation::slope(*z, words[1]);
    }
}
