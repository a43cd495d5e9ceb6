use super::{Argument, WORDS};

pub(super) fn run(arguments: &mut [Argument<'_>], words: &[u32; WORDS]) {
    let [y, dy] = arguments else { return };
    let n = words[0] as usize;
    for (dy, y) in dy.f32_mut()[..n].iter_mut().zip(y.f32()) {
        *dy = if *y > 0.0 { *dy } else { 0.0 };
    }
}
