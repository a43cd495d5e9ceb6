use super::super::{activation, threads};
use super::{Argument, WORDS};

pub(super) fn run(arguments: &mut [Argument<'_>], words: &[u32; WORDS]) {
    let [z, dy] = arguments else { return };
    let (n, kind) = (words[0] as usize, words[1]);
    let z = &z.f32()[..n];
    threads::share_parts(
        [&mut dy.f32_mut()[..n]],
        [1],
        (n, 1),
        #[inline(always)]
        |first, [dy]| activation::apply_slope(dy, &z[first..], kind),
    );
}
