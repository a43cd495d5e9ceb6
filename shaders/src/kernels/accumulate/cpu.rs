use super::{Argument, WORDS};

pub(super) fn run(arguments: &mut [Argument<'_>], words: &[u32; WORDS]) {
    let [x, y] = arguments else { return };
    let n = words[0] as usize;
    let (x, y) = (&x.f32()[..n], &mut y.f32_mut()[..n]);
    if words[1] == 0 {
        y.copy_from_slice(x);
    } else {
        y.iter_mut().zip(x).for_each(|(y, x)| *y += x);
    }
}
