use super::super::activation;
use super::super::groups::Groups;
use super::{Argument, WORDS};

pub(super) fn run(arguments: &mut [Argument<'_>], words: &[u32; WORDS]) {
    let [x, parameters, statistics, y] = arguments else { return };
    let groups = Groups::new(words);
    let (x, statistics, y) = (x.f32(), statistics.f32(), y.f32_mut());
    let (gamma, beta) = groups.tensors(parameters.f32());
    groups.each(|group, rows| {
        let (mean, inverse) = (statistics[2 * group], statistics[2 * group + 1]);
        for row in rows.clone() {
            for (e, c) in row.zip(groups.channels(group)) {
                let z = gamma[c] * (x[e] - mean) * inverse + beta.map_or(0.0, |beta| beta[c]);
                y[e] = activation::value(z, words[7]);
            }
        }
    });
}
