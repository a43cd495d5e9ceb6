use super::{Argument, WORDS};

pub(super) fn run(arguments: &mut [Argument<'_>], words: &[u32; WORDS]) {
    let [gradient, classes, weights] = arguments else { return };
    let [m, width] = [words[0], words[1]].map(|word| word as usize);
    let rows = gradient.f32_mut()[..m * width].chunks_exact_mut(width.max(1));
    for (row, class) in rows.zip(classes.words()) {
        let weight = weights.f32()[*class as usize];
        row.iter_mut().for_each(|value| *value *= weight);
    }
}
