use super::{Argument, WORDS};

pub(super) fn run(arguments: &mut [Argument<'_>], words: &[u32; WORDS]) {
    let [tokens, _chain, dy, gradient] = arguments else { return };
    let [m, d, offset, vocabulary] = [words[0], words[1], words[2], words[3]].map(|word| word as usize);
    let table = &mut gradient.f32_mut()[offset..];
    for (dy, &token) in dy.f32()[..m * d].chunks_exact(d).zip(tokens.words()) {
        let row = (token as usize).min(vocabulary - 1) * d;
        table[row..row + d].iter_mut().zip(dy).for_each(|(sum, dy)| *sum += dy);
    }
}
