use super::super::threads;
use super::{Argument, WORDS};

pub(super) fn run(arguments: &mut [Argument<'_>], words: &[u32; WORDS]) {
    let [theta, gradient, m] = arguments else { return };
    let [rate, momentum] = [words[1], words[2]].map(f32::from_bits);
    let (d, nesterov) = (words[0] as usize, words[3] != 0);
    let written = [&mut theta.f32_mut()[..d], &mut m.f32_mut()[..d]];
    threads::share(written, &gradient.f32()[..d], |[theta, m], gradient| {
        for ((theta, m), g) in theta.iter_mut().zip(m).zip(gradient) {
            *m = momentum * *m + g;
            *theta -= rate * if nesterov { g + momentum * *m } else { *m };
        }
    });
}
