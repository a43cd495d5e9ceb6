use super::super::advance::STATE_BATCH;
use super::{Argument, WORDS};

pub(super) fn run(arguments: &mut [Argument<'_>], words: &[u32; WORDS]) {
    let [features, labels, order, state, x, y] = arguments else { return };
    let (batch, width) = (words[0] as usize, words[1] as usize);
    let start = state.words()[STATE_BATCH] as usize * batch;
    let rows = &order.words()[start..start + batch];
    for (i, &row) in rows.iter().enumerate() {
        let row = row as usize;
        x.f32_mut()[i * width..(i + 1) * width].copy_from_slice(&features.f32()[row * width..(row + 1) * width]);
        y.words_mut()[i] = labels.words()[row];
    }
}
