use super::{Argument, WORDS};

pub(super) fn run(arguments: &mut [Argument<'_>], words: &[u32; WORDS]) {
    let [x, tokens, targets] = arguments else { return };
    let [samples, t] = [words[0], words[1]].map(|word| word as usize);
    let windows = x.f32()[..samples * (t + 1)].chunks_exact(t + 1);
    let rows = tokens.words_mut().chunks_exact_mut(t).zip(targets.words_mut().chunks_exact_mut(t));
    for (window, (tokens, targets)) in windows.zip(rows) {
        for i in 0..t {
            tokens[i] = window[i] as u32;
            targets[i] = window[i + 1] as u32;
        }
    }
}
