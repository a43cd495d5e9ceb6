use super::super::advance::{STATE_POWER_1, STATE_POWER_2, STATE_SECOND};
use super::super::threads;
use super::{Argument, WORDS};

pub(super) fn run(arguments: &mut [Argument<'_>], words: &[u32; WORDS]) {
    let [theta, gradient, m, state] = arguments else { return };
    let [rate, b1, epsilon] = [words[1], words[2], words[3]].map(f32::from_bits);
    let [power_1, power_2, second] = [STATE_POWER_1, STATE_POWER_2, STATE_SECOND].map(|at| state.f32()[at]);
    let correct = 1.0 / (1.0 - power_1);
    let scale = rate * correct / ((second / (1.0 - power_2)).sqrt() + epsilon);
    threads::share([theta.f32_mut(), m.f32_mut()], gradient.f32(), |[theta, m], gradient| {
        for ((theta, m), &g) in theta.iter_mut().zip(m).zip(gradient) {
            *m = b1 * *m + (1.0 - b1) * g;
            *theta -= scale * *m;
        }
    });
}
