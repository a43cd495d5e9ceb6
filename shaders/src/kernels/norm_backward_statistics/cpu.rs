use super::super::groups::Groups;
use super::super::lanes::sum_by;
use super::{Argument, WORDS};

pub(in crate::kernels) fn run(arguments: &mut [Argument<'_>], words: &[u32; WORDS]) {
    let [dy, x, parameters, statistics, means] = arguments else { return };
    let groups = Groups::new(words);
    let (dy, x, statistics, n) = (dy.f32(), x.f32(), statistics.f32(), groups.elements() as f32);
    let (gamma, _) = groups.tensors(parameters.f32());
    let width = 2 * groups.groups();
    groups.share(
        [means.f32_mut()],
        [width],
        #[inline(always)]
        |first, [means]| {
            for (sample, means) in (first..).zip(means.chunks_exact_mut(width)) {
                let [dy, x] = [dy, x].map(|all| &all[sample * groups.sample()..][..groups.sample()]);
                let statistics = &statistics[sample * width..][..width];
                for (group, pair) in means.as_chunks_mut::<2>().0.iter_mut().enumerate() {
                    let (mean, inverse) = (statistics[2 * group], statistics[2 * group + 1]);
                    let gamma = &gamma[groups.channels(group)];
                    let rows = || groups.rows_of(group).map(|row| [&dy[row.clone()], &x[row], gamma]);
                    let first: f32 = rows().map(|row| sum_by(row, |[dy, _, gamma]| dy * gamma)).sum();
                    let second: f32 =
                        rows().map(|row| sum_by(row, |[dy, x, gamma]| dy * gamma * ((x - mean) * inverse))).sum();
                    *pair = [if groups.centred { first / n } else { 0.0 }, second / n];
                }
            }
        },
    );
}
