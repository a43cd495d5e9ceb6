use super::{Argument, WORDS};

pub(super) fn run(arguments: &mut [Argument<'_>], words: &[u32; WORDS]) {
    let [x, parts] = arguments else { return };
    let [d, slices] = [words[0], words[1]].map(|word| word as usize);
    let (x, stretch) = (x.f32(), d.div_ceil(slices));
    for (s, part) in parts.f32_mut()[..slices].iter_mut().enumerate() {
        *part = x[(s * stretch).min(d)..((s + 1) * stretch).min(d)].iter().map(|x| x * x).sum();
    }
}
