use super::super::groups::Groups;
use super::{Argument, WORDS};

pub(super) fn run(arguments: &mut [Argument<'_>], words: &[u32; WORDS]) {
    let [x, statistics] = arguments else { return };
    let groups = Groups::new(words);
    let (x, statistics) = (x.f32(), statistics.f32_mut());
    let n = groups.elements() as f32;
    groups.each(|group, rows| {
        let rows = rows.clone().map(|row| &x[row]);
        let mean = if groups.centred { rows.clone().flatten().sum::<f32>() / n } else { 0.0 };
        let squares: f32 = rows.flatten().map(|x| (x - mean) * (x - mean)).sum();
        statistics[2 * group] = mean;
        statistics[2 * group + 1] = 1.0 / (squares / n + groups.epsilon).sqrt();
    });
}
