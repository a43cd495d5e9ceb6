use super::{Argument, WORDS};

pub(super) fn run(arguments: &mut [Argument<'_>], words: &[u32; WORDS]) {
    let [x] = arguments else { return };
    let [offset, n] = [words[0], words[1]].map(|word| word as usize);
    x.words_mut()[offset..offset + n].fill(words[2]);
}
