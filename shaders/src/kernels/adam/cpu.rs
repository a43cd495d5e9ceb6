use super::super::advance::{STATE_POWER_1, STATE_POWER_2};
use super::super::threads;
use super::{Argument, WORDS};

pub(super) fn run(arguments: &mut [Argument<'_>], words: &[u32; WORDS]) {
    let [theta, gradient, m, v, state] = arguments else { return };
    let [rate, b1, b2, epsilon, decay] = [words[1], words[2], words[3], words[4], words[5]].map(f32::from_bits);
    let correct_1 = 1.0 / (1.0 - f32::from_bits(state.words()[STATE_POWER_1]));
    let correct_2 = 1.0 / (1.0 - f32::from_bits(state.words()[STATE_POWER_2]));
    let keep = 1.0 - rate * decay;
    let d = words[0] as usize;
    let written = [&mut theta.f32_mut()[..d], &mut m.f32_mut()[..d], &mut v.f32_mut()[..d]];
    threads::share(written, &gradient.f32()[..d], |[theta, m, v], gradient| {
        for ((theta, &g), (m, v)) in theta.iter_mut().zip(gradient).zip(m.iter_mut().zip(v)) {
            *m = b1 * *m + (1.0 - b1) * g;
            *v = b2 * *v + (1.0 - b2) * g * g;
            *theta = keep * *theta - rate * (*m * correct_1) / ((*v * correct_2).sqrt() + epsilon);
        }
    });
}
