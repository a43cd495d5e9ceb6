use super::{Argument, WORDS};

pub(super) fn run(arguments: &mut [Argument<'_>], words: &[u32; WORDS]) {
    let [y, targets, rows] = arguments else { return };
    let [m, width] = [words[0], words[1]].map(|word| word as usize);
    let target = |i: usize, c: usize| match words[2] {
        0 => targets.f32()[i * width + c],
        _ => f32::from(u8::from(targets.words()[i] as usize == c)),
    };
    let y = y.f32_mut()[..m * width].chunks_exact_mut(width);
    for (i, (y, row)) in y.zip(rows.words_mut().chunks_exact_mut(2)).enumerate() {
        let (mut best, mut wanted, mut loss) = (0, 0, 0.0f32);
        for c in 0..width {
            if y[c] > y[best] {
                best = c;
            }
            if target(i, c) > target(i, wanted) {
                wanted = c;
            }
        }
        for (c, y) in y.iter_mut().enumerate() {
            let away = *y - target(i, c);
            loss += away * away;
            *y = 2.0 * away / (m * width) as f32;
        }
        row[0] = (loss / width as f32).to_bits();
        row[1] = u32::from(best == wanted);
    }
}
