use super::super::{lanes, threads};
use super::{Argument, WORDS};

pub(in crate::kernels) fn run(arguments: &mut [Argument<'_>], words: &[u32; WORDS]) {
    let [logits, labels, rows] = arguments else { return };
    let (m, classes) = (words[0] as usize, words[1] as usize);
    let labels = labels.words();
    let written = [&mut logits.f32_mut()[..m * classes], &mut rows.f32_mut()[..2 * m]];
    threads::share_parts(
        written,
        [classes, 2],
        (m, classes),
        #[inline(always)]
        |first, [logits, rows]| {
            let rows = rows.as_chunks_mut::<2>().0.iter_mut().zip(&labels[first..]);
            for (logits, (row, &label)) in logits.chunks_exact_mut(classes).zip(rows) {
                let (loss, best) = gradient(logits, label as usize, m as f32);
                *row = [loss, f32::from_bits(u32::from(best == label as usize))];
            }
        },
    );
}

/// Turns logits into their gradient; the loss, and the first of the largest.
#[inline(always)]
fn gradient(logits: &mut [f32], label: usize, rows: f32) -> (f32, usize) {
    let mut best = 0;
    for (class, value) in logits.iter().enumerate() {
        if *value > logits[best] {
            best = class;
        }
    }
    let largest = logits[best];
    let at_label = logits[label] - largest;
    logits.iter_mut().for_each(|value| *value = lanes::exp(*value - largest));
    let sum = lanes::sum(logits);
    let scale = 1.0 / (sum * rows);
    logits.iter_mut().for_each(|value| *value *= scale);
    logits[label] -= 1.0 / rows;
    (sum.ln() - at_label, best)
}
