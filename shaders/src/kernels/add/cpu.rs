use super::super::{activation, threads};
use super::{Argument, WORDS};

pub(super) fn run(arguments: &mut [Argument<'_>], words: &[u32; WORDS]) {
    let [a, b, y] = arguments else { return };
    let (n, kind) = (words[0] as usize, words[1]);
    let (a, b) = (&a.f32()[..n], &b.f32()[..n]);
    threads::share_parts(
        [&mut y.f32_mut()[..n]],
        [1],
        (n, 1),
        #[inline(always)]
        |first, [y]| {
            y.iter_mut().zip(a[first..].iter().zip(&b[first..])).for_each(|(y, (a, b))| *y = a + b);
            activation::apply(y, kind);
        },
    );
}
