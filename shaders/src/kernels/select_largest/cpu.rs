use protocol::codec::{CHUNK, Density};
use protocol::fixed::to_f32;

use super::{Argument, WORDS};

pub(super) fn run(arguments: &mut [Argument<'_>], words: &[u32; WORDS]) {
    let [theta, base, kept] = arguments else { return };
    let (d, density, factor) = (words[0] as usize, Density { kept: words[1] as usize }, f32::from_bits(words[2]));
    let mut pairs = kept.words_mut().as_chunks_mut::<2>().0.iter_mut();
    let (mut e, mut order) = (Vec::with_capacity(CHUNK), Vec::with_capacity(CHUNK));
    for (chunk, (theta, base)) in theta.f32()[..d].chunks(CHUNK).zip(base.i32()[..d].chunks(CHUNK)).enumerate() {
        e.clear();
        e.extend(theta.iter().zip(base).map(|(theta, &base)| factor * (theta - to_f32(base))));
        density.largest(&e, &mut order);
        for (&i, pair) in order.iter().zip(&mut pairs) {
            *pair = [(chunk * CHUNK) as u32 + i, e[i as usize].to_bits()];
        }
    }
}
