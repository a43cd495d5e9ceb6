use super::super::heads::Heads;
use super::{Argument, WORDS};

pub(in crate::kernels) fn run(arguments: &mut [Argument<'_>], words: &[u32; WORDS]) {
    let [qkv, dy, sums, dqkv] = arguments else { return };
    let heads = Heads::new(words);
    let (width, widths) = (heads.width(), [3 * heads.width()]);
    let (dy, sums, written) = (dy.f32(), sums.f32(), heads.written([dqkv.f32_mut()], widths));
    heads.each(qkv.f32(), written, widths, |sample, head, [dqkv]| {
        head.key_value_gradient(&dy[sample * width..][..width], &sums[sample * heads.sums()..], dqkv);
    });
}
