use super::super::threads;
use super::{Argument, WORDS};

pub(super) fn run(arguments: &mut [Argument<'_>], words: &[u32; WORDS]) {
    let [x, parts] = arguments else { return };
    let [d, count] = [words[0], words[1]].map(|word| word as usize);
    let parts = &mut parts.f32_mut()[..count];
    parts.fill(0.0);
    threads::wide(
        #[inline(always)]
        || {
            for row in x.f32()[..d].chunks(count) {
                parts.iter_mut().zip(row).for_each(|(part, x)| *part += x * x);
            }
        },
    );
}
