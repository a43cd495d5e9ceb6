use super::{Argument, WORDS};

pub(super) fn run(arguments: &mut [Argument<'_>], words: &[u32; WORDS]) {
    let [x, angles] = arguments else { return };
    let [m, width, heads, each, places] = [words[0], words[1], words[2], words[3], words[4]].map(|word| word as usize);
    let sign = if words[5] == 0 { 1.0 } else { -1.0 };
    for (row, x) in x.f32_mut()[..m * width].chunks_exact_mut(width).enumerate() {
        let angles = &angles.f32()[row % places * each..];
        for head in x[..heads * each].chunks_exact_mut(each) {
            let (first, second) = head.split_at_mut(each / 2);
            for ((a, b), angle) in first.iter_mut().zip(second).zip(angles.chunks_exact(2)) {
                let (cosine, sine) = (angle[0], sign * angle[1]);
                (*a, *b) = (*a * cosine - *b * sine, *b * cosine + *a * sine);
            }
        }
    }
}
