use super::super::groups::Groups;
use super::{Argument, WORDS};

pub(super) fn run(arguments: &mut [Argument<'_>], words: &[u32; WORDS]) {
    let [dy, x, parameters, statistics, means, dx] = arguments else { return };
    let groups = Groups::new(words);
    let (dy, x, statistics, means) = (dy.f32(), x.f32(), statistics.f32(), means.f32());
    let (gamma, _) = groups.tensors(parameters.f32());
    groups.share(
        [dx.f32_mut()],
        [groups.sample()],
        #[inline(always)]
        |first, [dx]| {
            for (sample, dx) in (first..).zip(dx.chunks_exact_mut(groups.sample())) {
                let [dy, x] = [dy, x].map(|all| &all[sample * groups.sample()..][..dx.len()]);
                for group in 0..groups.groups() {
                    let at = 2 * (sample * groups.groups() + group);
                    let (mean, inverse) = (statistics[at], statistics[at + 1]);
                    let (first, second) = (means[at], means[at + 1]);
                    let gamma = &gamma[groups.channels(group)];
                    for row in groups.rows_of(group) {
                        let read = dy[row.clone()].iter().zip(&x[row.clone()]).zip(gamma);
                        for (dx, ((dy, x), gamma)) in dx[row].iter_mut().zip(read) {
                            let h = (x - mean) * inverse;
                            *dx = inverse * (dy * gamma - first - h * second);
                        }
                    }
                }
            }
        },
    );
}
