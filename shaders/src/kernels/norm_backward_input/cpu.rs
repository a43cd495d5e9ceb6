use super::super::groups::Groups;
use super::{Argument, WORDS};

pub(super) fn run(arguments: &mut [Argument<'_>], words: &[u32; WORDS]) {
    let [dy, x, parameters, statistics, means, dx] = arguments else { return };
    let groups = Groups::new(words);
    let (dy, x, statistics, means, dx) = (dy.f32(), x.f32(), statistics.f32(), means.f32(), dx.f32_mut());
    let (gamma, _) = groups.tensors(parameters.f32());
    groups.each(|group, rows| {
        let (mean, inverse) = (statistics[2 * group], statistics[2 * group + 1]);
        let (first, second) = (means[2 * group], means[2 * group + 1]);
        for row in rows.clone() {
            for (e, c) in row.zip(groups.channels(group)) {
                let h = (x[e] - mean) * inverse;
                dx[e] = inverse * (dy[e] * gamma[c] - first - h * second);
            }
        }
    });
}
