use super::{Argument, WORDS};

pub(super) fn run(arguments: &mut [Argument<'_>], words: &[u32; WORDS]) {
    let [parts, y] = arguments else { return };
    let [slices, n, offset] = [words[0], words[1], words[2]].map(|word| word as usize);
    let y = &mut y.f32_mut()[offset..offset + n];
    y.fill(0.0);
    for part in parts.f32()[..slices * n].chunks_exact(n) {
        y.iter_mut().zip(part).for_each(|(sum, value)| *sum += value);
    }
}
