use super::super::groups::Groups;
use super::super::lanes::{sum, sum_by};
use super::{Argument, WORDS};

pub(in crate::kernels) fn run(arguments: &mut [Argument<'_>], words: &[u32; WORDS]) {
    let [x, statistics] = arguments else { return };
    let groups = Groups::new(words);
    let (x, n) = (x.f32(), groups.elements() as f32);
    let width = 2 * groups.groups();
    groups.share(
        [statistics.f32_mut()],
        [width],
        #[inline(always)]
        |first, [statistics]| {
            let samples = x[first * groups.sample()..].chunks_exact(groups.sample());
            for (statistics, x) in statistics.chunks_exact_mut(width).zip(samples) {
                for (group, pair) in statistics.as_chunks_mut::<2>().0.iter_mut().enumerate() {
                    let rows = || groups.rows_of(group).map(|row| &x[row]);
                    let mean = if groups.centred { rows().map(sum).sum::<f32>() / n } else { 0.0 };
                    let squares: f32 = rows().map(|row| sum_by([row], |[x]| (x - mean) * (x - mean))).sum();
                    *pair = [mean, 1.0 / (squares / n + groups.epsilon).sqrt()];
                }
            }
        },
    );
}
