use super::super::threads;
use super::{Argument, WORDS};

pub(super) fn run(arguments: &mut [Argument<'_>], words: &[u32; WORDS]) {
    let [x, angles] = arguments else { return };
    let [m, width, heads, each, places] = [words[0], words[1], words[2], words[3], words[4]].map(|word| word as usize);
    let sign = if words[5] == 0 { 1.0 } else { -1.0 };
    let angles = angles.f32();
    threads::share_parts(
        [&mut x.f32_mut()[..m * width]],
        [width],
        (m, width),
        #[inline(always)]
        |first, [x]| {
            for (row, x) in x.chunks_exact_mut(width).enumerate() {
                let angles = &angles[(first + row) % places * each..][..each].as_chunks::<2>().0;
                for head in x[..heads * each].chunks_exact_mut(each) {
                    let (left, right) = head.split_at_mut(each / 2);
                    for ((a, b), angle) in left.iter_mut().zip(right).zip(angles.iter()) {
                        let (cosine, sine) = (angle[0], sign * angle[1]);
                        (*a, *b) = (*a * cosine - *b * sine, *b * cosine + *a * sine);
                    }
                }
            }
        },
    );
}
