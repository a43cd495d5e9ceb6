use protocol::fixed::to_f32;

use super::{Argument, WORDS};

pub(super) fn run(arguments: &mut [Argument<'_>], words: &[u32; WORDS]) {
    let [base, x] = arguments else { return };
    let d = words[0] as usize;
    x.f32_mut()[..d].iter_mut().zip(base.i32()).for_each(|(x, &base)| *x = to_f32(base));
}
