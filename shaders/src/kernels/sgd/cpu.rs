use super::{Argument, WORDS};

pub(super) fn run(arguments: &mut [Argument<'_>], words: &[u32; WORDS]) {
    let [theta, gradient, m] = arguments else { return };
    let [rate, momentum] = [words[1], words[2]].map(f32::from_bits);
    let (d, nesterov) = (words[0] as usize, words[3] != 0);
    for ((theta, m), g) in theta.f32_mut()[..d].iter_mut().zip(m.f32_mut()).zip(gradient.f32()) {
        *m = momentum * *m + g;
        *theta -= rate * if nesterov { g + momentum * *m } else { *m };
    }
}
