use super::{Argument, WORDS};

pub(super) fn run(arguments: &mut [Argument<'_>], words: &[u32; WORDS]) {
    let [tokens, chain] = arguments else { return };
    let m = words[0] as usize;
    let tokens = &tokens.words()[..m];
    for (i, place) in chain.words_mut().chunks_exact_mut(2).take(m).enumerate() {
        place[0] = tokens[..i].iter().rposition(|token| *token == tokens[i]).unwrap_or(m) as u32;
        place[1] = u32::from(!tokens[i + 1..].contains(&tokens[i]));
    }
}
