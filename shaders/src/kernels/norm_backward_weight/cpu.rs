use super::super::groups::Groups;
use super::super::threads;
use super::{Argument, WORDS};

pub(super) fn run(arguments: &mut [Argument<'_>], words: &[u32; WORDS]) {
    let [dy, x, statistics, parts] = arguments else { return };
    let groups = Groups::new(words);
    let (dy, x, statistics) = (dy.f32(), x.f32(), statistics.f32());
    let (rows, slices, width) = (groups.rows(), words[8] as usize, groups.width);
    let stretch = rows.div_ceil(slices);
    let tensors = if groups.centred { 2 * width } else { width };
    threads::share_parts(
        [&mut parts.f32_mut()[..slices * tensors]],
        [tensors],
        (slices, stretch * width),
        #[inline(always)]
        |first, [parts]| {
            for (part, sums) in (first..).zip(parts.chunks_exact_mut(tensors)) {
                sums.fill(0.0);
                let (gamma, beta) = sums.split_at_mut(width);
                for row in (part * stretch).min(rows)..((part + 1) * stretch).min(rows) {
                    let [dy, x] = [dy, x].map(|all| &all[row * width..][..width]);
                    for group in 0..groups.groups() {
                        let at = 2 * (groups.of(row) + group);
                        let (mean, inverse) = (statistics[at], statistics[at + 1]);
                        let channels = groups.channels(group);
                        let read = dy[channels.clone()].iter().zip(&x[channels.clone()]);
                        for (gamma, (dy, x)) in gamma[channels].iter_mut().zip(read) {
                            *gamma += dy * ((x - mean) * inverse);
                        }
                    }
                    beta.iter_mut().zip(dy).for_each(|(sum, dy)| *sum += dy);
                }
            }
        },
    );
}
