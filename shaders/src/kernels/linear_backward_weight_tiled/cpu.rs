use super::super::linear_backward_weight;
use super::{Argument, WORDS};
use crate::kernels::tiles::DEPTH;

pub(super) fn run(arguments: &mut [Argument<'_>], words: &[u32; WORDS]) {
    let [dy, x, gradient] = arguments else { return };
    let [m, n, k, offset] = [words[0], words[1], words[2], words[3]].map(|word| word as usize);
    let stride = n * k + if words[4] == 0 { n } else { 0 };
    let part = (m.div_ceil(DEPTH as usize)).div_ceil(words[5] as usize) * DEPTH as usize;
    for slice in 0..words[5] as usize {
        let rows = (slice * part).min(m)..((slice + 1) * part).min(m);
        let begin = offset + slice * stride;
        let out = &mut gradient.words_mut()[begin..begin + stride];
        if rows.is_empty() {
            out.fill(0);
            continue;
        }
        let mut own = [
            Argument::Read(&dy.words()[rows.start * n..rows.end * n]),
            Argument::Read(&x.words()[rows.start * k..rows.end * k]),
            Argument::Write(out),
        ];
        let mut all = *words;
        (all[0], all[3]) = (rows.len() as u32, 0);
        linear_backward_weight::cpu::run(&mut own, &all);
    }
}
