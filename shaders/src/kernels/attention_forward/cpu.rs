use super::super::heads::Heads;
use super::{Argument, WORDS};

pub(in crate::kernels) fn run(arguments: &mut [Argument<'_>], words: &[u32; WORDS]) {
    let [qkv, y, sums] = arguments else { return };
    let heads = Heads::new(words);
    let written = heads.written([y.f32_mut(), sums.f32_mut()], [heads.width(), heads.sums()]);
    heads.each(qkv.f32(), written, [heads.width(), heads.sums()], |_, head, [y, sums]| head.forward(y, sums));
}
