use super::super::heads::Heads;
use super::{Argument, WORDS};

pub(super) fn run(arguments: &mut [Argument<'_>], words: &[u32; WORDS]) {
    let [qkv, y, sums] = arguments else { return };
    let heads = Heads::new(words);
    let (qkv, y, sums) = (qkv.f32(), y.f32_mut(), sums.f32_mut());
    heads.each(qkv, |head| {
        head.scores();
        for t in 0..head.t {
            let row = &mut head.p[t * head.t..][..head.t];
            let largest = row[..=t].iter().copied().fold(f32::MIN, f32::max);
            row[..=t].iter_mut().for_each(|s| *s = (*s - largest).exp());
            let sum: f32 = row[..=t].iter().sum();
            row[..=t].iter_mut().for_each(|p| *p /= sum);
            row[t + 1..].fill(0.0);
            sums[head.row(t) * 2] = largest + sum.ln();
            sums[head.row(t) * 2 + 1] = 0.0;
        }
        head.weigh();
        for t in 0..head.t {
            y[head.row(t) * head.e..][..head.e].copy_from_slice(&head.out[t * head.e..][..head.e]);
        }
    });
}
