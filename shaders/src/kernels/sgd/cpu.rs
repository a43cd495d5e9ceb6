use super::{Argument, WORDS};

pub(super) fn run(arguments: &mut [Argument<'_>], words: &[u32; WORDS]) {
    let [theta, gradient, m] = arguments else { return };
    let [rate, momentum] = [words[1], words[2]].map(f32::from_bits);
    for ((theta, m), g) in theta.f32_mut().iter_mut().zip(m.f32_mut()).zip(gradient.f32()) {
        *m = momentum * *m + g;
        *theta -= rate * *m;
    }
}
