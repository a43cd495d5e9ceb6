use super::super::activation;
use super::{Argument, WORDS};

pub(super) fn run(arguments: &mut [Argument<'_>], words: &[u32; WORDS]) {
    let [a, b, y] = arguments else { return };
    let n = words[0] as usize;
    for ((y, a), b) in y.f32_mut()[..n].iter_mut().zip(a.f32()).zip(b.f32()) {
        *y = activation::value(a + b, words[1]);
    }
}
