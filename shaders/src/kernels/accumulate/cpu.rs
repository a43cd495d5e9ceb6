use super::super::threads;
use super::{Argument, WORDS};

pub(super) fn run(arguments: &mut [Argument<'_>], words: &[u32; WORDS]) {
    let [x, y] = arguments else { return };
    let (n, add) = (words[0] as usize, words[1] != 0);
    let x = &x.f32()[..n];
    threads::share_parts(
        [&mut y.f32_mut()[..n]],
        [1],
        (n, 1),
        #[inline(always)]
        |first, [y]| {
            let x = &x[first..first + y.len()];
            if add {
                y.iter_mut().zip(x).for_each(|(y, x)| *y += x);
            } else {
                y.copy_from_slice(x);
            }
        },
    );
}
