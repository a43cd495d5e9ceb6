use super::super::{lanes, threads};
use super::{Argument, WORDS};

pub(super) fn run(arguments: &mut [Argument<'_>], words: &[u32; WORDS]) {
    let [qkv, place, cache, y] = arguments else { return };
    let [samples, t, heads, e] = [words[0], words[1], words[2], words[3]].map(|word| word as usize);
    let now = (place.words()[0] as usize).min(t.saturating_sub(1));
    let row = 3 * heads * e;
    let (qkv, cache, y) = (qkv.f32(), cache.f32_mut(), y.f32_mut());
    let scale = 1.0 / (e as f32).sqrt();
    let mut p = vec![0.0; now + 1];
    threads::wide(
        #[inline(always)]
        || {
            for b in 0..samples {
                let cache = &mut cache[b * t * row..][..t * row];
                let new = &qkv[b * row..][..row];
                cache[now * row..][..row].copy_from_slice(new);
                for head in 0..heads {
                    let q = &new[head * e..][..e];
                    let part = |u: usize, part: usize| u * row + (part * heads + head) * e;
                    for (u, p) in p.iter_mut().enumerate() {
                        *p = scale * lanes::sum_by([q, &cache[part(u, 1)..][..e]], |[q, k]| q * k);
                    }
                    let largest = lanes::largest(&p);
                    p.iter_mut().for_each(|p| *p = lanes::exp(*p - largest));
                    let sum = lanes::sum(&p);
                    let y = &mut y[(b * heads + head) * e..][..e];
                    y.fill(0.0);
                    for (u, p) in p.iter().enumerate() {
                        let share = p / sum;
                        y.iter_mut().zip(&cache[part(u, 2)..][..e]).for_each(|(y, v)| *y += share * v);
                    }
                }
            }
        },
    );
}
