use protocol::fixed::to_f32;

use super::{Argument, WORDS};

pub(super) fn run(arguments: &mut [Argument<'_>], _words: &[u32; WORDS]) {
    let [theta, base, e] = arguments else { return };
    for ((e, theta), &base) in e.f32_mut().iter_mut().zip(theta.f32()).zip(base.i32()) {
        *e = theta - to_f32(base);
    }
}
