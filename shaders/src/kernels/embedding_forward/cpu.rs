use super::{Argument, WORDS};

pub(super) fn run(arguments: &mut [Argument<'_>], words: &[u32; WORDS]) {
    let [tokens, parameters, y] = arguments else { return };
    let [m, d, offset, vocabulary] = [words[0], words[1], words[2], words[3]].map(|word| word as usize);
    let table = &parameters.f32()[offset..];
    for (y, &token) in y.f32_mut()[..m * d].chunks_exact_mut(d).zip(tokens.words()) {
        let row = (token as usize).min(vocabulary - 1) * d;
        y.copy_from_slice(&table[row..row + d]);
    }
}
