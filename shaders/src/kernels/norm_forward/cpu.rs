use super::super::activation;
use super::super::groups::Groups;
use super::{Argument, WORDS};

pub(super) fn run(arguments: &mut [Argument<'_>], words: &[u32; WORDS]) {
    let [x, parameters, statistics, y] = arguments else { return };
    let groups = Groups::new(words);
    let (x, statistics, kind) = (x.f32(), statistics.f32(), words[7]);
    let (gamma, beta) = groups.tensors(parameters.f32());
    groups.share(
        [y.f32_mut()],
        [groups.sample()],
        #[inline(always)]
        |first, [y]| {
            for (sample, y) in (first..).zip(y.chunks_exact_mut(groups.sample())) {
                let x = &x[sample * groups.sample()..][..y.len()];
                for group in 0..groups.groups() {
                    let at = 2 * (sample * groups.groups() + group);
                    let (mean, inverse) = (statistics[at], statistics[at + 1]);
                    let gamma = &gamma[groups.channels(group)];
                    let beta = beta.map(|beta| &beta[groups.channels(group)]);
                    for row in groups.rows_of(group) {
                        let y = &mut y[row.clone()];
                        for ((y, x), gamma) in y.iter_mut().zip(&x[row]).zip(gamma) {
                            *y = gamma * (x - mean) * inverse;
                        }
                        if let Some(beta) = beta {
                            y.iter_mut().zip(beta).for_each(|(y, beta)| *y += beta);
                        }
                        activation::apply(y, kind);
                    }
                }
            }
        },
    );
}
