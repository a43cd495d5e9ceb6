use super::super::groups::Groups;
use super::{Argument, WORDS};

pub(super) fn run(arguments: &mut [Argument<'_>], words: &[u32; WORDS]) {
    let [dy, x, parameters, statistics, means] = arguments else { return };
    let groups = Groups::new(words);
    let (dy, x, statistics, means) = (dy.f32(), x.f32(), statistics.f32(), means.f32_mut());
    let (gamma, _) = groups.tensors(parameters.f32());
    let n = groups.elements() as f32;
    groups.each(|group, rows| {
        let (mean, inverse) = (statistics[2 * group], statistics[2 * group + 1]);
        let (mut first, mut second) = (0.0f32, 0.0f32);
        for row in rows.clone() {
            for (e, c) in row.zip(groups.channels(group)) {
                let d = dy[e] * gamma[c];
                first += d;
                second += d * ((x[e] - mean) * inverse);
            }
        }
        means[2 * group] = if groups.centred { first / n } else { 0.0 };
        means[2 * group + 1] = second / n;
    });
}
