use super::super::advance::STATE_BATCH;
use super::super::threads;
use super::{Argument, WORDS};

pub(super) fn run(arguments: &mut [Argument<'_>], words: &[u32; WORDS]) {
    let [features, labels, order, state, x, y] = arguments else { return };
    let (batch, width) = (words[0] as usize, words[1] as usize);
    let start = state.words()[STATE_BATCH] as usize * batch;
    let samples = &order.words()[start..start + batch];
    let features = features.f32();
    threads::share_rows(&mut x.f32_mut()[..batch * width], width, |first, rows| {
        for (row, &sample) in rows.chunks_exact_mut(width).zip(&samples[first..]) {
            row.copy_from_slice(&features[sample as usize * width..][..width]);
        }
    });
    for (y, &sample) in y.words_mut().iter_mut().zip(samples) {
        *y = labels.words()[sample as usize];
    }
}
