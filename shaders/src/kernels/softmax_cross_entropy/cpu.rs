use super::{Argument, WORDS};

pub(super) fn run(arguments: &mut [Argument<'_>], words: &[u32; WORDS]) {
    let [logits, labels, rows] = arguments else { return };
    let (m, classes) = (words[0] as usize, words[1] as usize);
    let logits = logits.f32_mut()[..m * classes].chunks_exact_mut(classes);
    let rows = rows.words_mut().chunks_exact_mut(2);
    for ((logits, &label), row) in logits.zip(labels.words()).zip(rows) {
        let label = label as usize;
        let mut best = 0;
        for (class, value) in logits.iter().enumerate() {
            if *value > logits[best] {
                best = class;
            }
        }
        let largest = logits[best];
        let at_label = logits[label] - largest;
        let mut sum = 0.0f32;
        for value in logits.iter_mut() {
            *value = (*value - largest).exp();
            sum += *value;
        }
        let scale = 1.0 / (sum * m as f32);
        logits.iter_mut().for_each(|value| *value *= scale);
        logits[label] -= 1.0 / m as f32;
        row[0] = (sum.ln() - at_label).to_bits();
        row[1] = u32::from(best == label);
    }
}
