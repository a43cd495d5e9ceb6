use super::{Argument, WORDS};

pub(super) fn run(arguments: &mut [Argument<'_>], words: &[u32; WORDS]) {
    let [y, classes, rows] = arguments else { return };
    let [m, width] = [words[0], words[1]].map(|word| word as usize);
    let y = y.f32_mut()[..m * width].chunks_exact_mut(width);
    for ((y, row), class) in y.zip(rows.words_mut().chunks_exact_mut(2)).zip(classes.words()) {
        let (mut best, mut loss) = (0, 0.0f32);
        for c in 0..width {
            if y[c] > y[best] {
                best = c;
            }
        }
        for (c, y) in y.iter_mut().enumerate() {
            let away = *y - f32::from(u8::from(c == *class as usize));
            loss += away * away;
            *y = 2.0 * away / (m * width) as f32;
        }
        row[0] = (loss / width as f32).to_bits();
        row[1] = u32::from(best == *class as usize);
    }
}
