use protocol::fixed::to_f32;

use super::{Argument, WORDS};

pub(super) fn run(arguments: &mut [Argument<'_>], words: &[u32; WORDS]) {
    let [theta, base, parts, broken] = arguments else { return };
    let (d, s) = (words[0] as usize, words[1] as usize);
    let (parts, broken) = (&mut parts.f32_mut()[..2 * s], &mut broken.words_mut()[..s]);
    let (squares, bases) = parts.split_at_mut(s);
    squares.fill(0.0);
    bases.fill(0.0);
    broken.fill(0);
    // Row by row of S numbers, as they lie in memory.
    for (theta, base) in theta.f32()[..d].chunks(s).zip(base.i32()[..d].chunks(s)) {
        for (i, (&theta, &base)) in theta.iter().zip(base).enumerate() {
            let base = to_f32(base);
            let e = theta - base;
            squares[i] += e * e;
            bases[i] += base * base;
            broken[i] += u32::from(!theta.is_finite());
        }
    }
}
