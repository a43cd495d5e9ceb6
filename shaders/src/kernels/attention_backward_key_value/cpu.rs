use super::super::heads::Heads;
use super::{Argument, WORDS};

pub(super) fn run(arguments: &mut [Argument<'_>], words: &[u32; WORDS]) {
    let [qkv, dy, sums, dqkv] = arguments else { return };
    let heads = Heads::new(words);
    let (qkv, dy, sums, dqkv) = (qkv.f32(), dy.f32(), sums.f32(), dqkv.f32_mut());
    heads.each(qkv, |head| {
        head.score_gradients(dy, sums);
        head.key_value_gradient(dqkv);
    });
}
