use super::super::groups::Groups;
use super::{Argument, WORDS};

pub(super) fn run(arguments: &mut [Argument<'_>], words: &[u32; WORDS]) {
    let [dy, x, statistics, parts] = arguments else { return };
    let groups = Groups::new(words);
    let (dy, x, statistics) = (dy.f32(), x.f32(), statistics.f32());
    let (rows, slices, width) = (groups.rows(), words[8] as usize, groups.width);
    let stretch = rows.div_ceil(slices);
    let tensors = if groups.centred { 2 * width } else { width };
    for (part, sums) in parts.f32_mut()[..slices * tensors].chunks_exact_mut(tensors).enumerate() {
        sums.fill(0.0);
        let (gamma, beta) = sums.split_at_mut(width);
        for row in (part * stretch).min(rows)..((part + 1) * stretch).min(rows) {
            for c in 0..width {
                let (e, group) = (row * width + c, groups.of(row, c));
                gamma[c] += dy[e] * ((x[e] - statistics[2 * group]) * statistics[2 * group + 1]);
            }
            beta.iter_mut().zip(&dy[row * width..]).for_each(|(sum, dy)| *sum += dy);
        }
    }
}
