use super::super::heads::Heads;
use super::{Argument, WORDS};

pub(in crate::kernels) fn run(arguments: &mut [Argument<'_>], words: &[u32; WORDS]) {
    let [qkv, y, dy, sums, dqkv] = arguments else { return };
    let heads = Heads::new(words);
    let (width, widths) = (heads.width(), [heads.sums(), 3 * heads.width()]);
    let (y, dy, written) = (y.f32(), dy.f32(), heads.written([sums.f32_mut(), dqkv.f32_mut()], widths));
    heads.each(qkv.f32(), written, widths, |sample, head, [sums, dqkv]| {
        let [y, dy] = [y, dy].map(|all| &all[sample * width..][..width]);
        for t in 0..head.t {
            let at = head.row(t) * head.e;
            let delta = y[at..at + head.e].iter().zip(&dy[at..]).map(|(y, dy)| y * dy).sum();
            sums[head.row(t) * 2 + 1] = delta;
        }
        head.query_gradient(dy, sums, dqkv);
    });
}
