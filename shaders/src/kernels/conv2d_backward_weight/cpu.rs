use super::super::patches::Extents;
use super::super::threads;
use super::{Argument, WORDS};
use crate::kernels::matmul::{Layout, matmul};

pub(in crate::kernels) fn run(arguments: &mut [Argument<'_>], words: &[u32; WORDS]) {
    by_stretches(arguments, words, usize::div_ceil);
}

/// The same where `stretch` says how many of so many patches a part of so many has.
pub(in crate::kernels) fn by_stretches(
    arguments: &mut [Argument<'_>],
    words: &[u32; WORDS],
    stretch: impl Fn(usize, usize) -> usize,
) {
    let [dy, x, parts] = arguments else { return };
    let conv = Extents::new(words);
    let (dy, x, slices) = (dy.f32(), x.f32(), words[12] as usize);
    let (weights, stretch) = (conv.outputs * conv.patch(), stretch(conv.rows(), slices));
    let width = weights + conv.outputs;
    let parts = [&mut parts.f32_mut()[..slices * width]];
    threads::share_parts(parts, [width], (slices, stretch * conv.patch()), |first, [parts]| {
        for (part, sums) in (first..).zip(parts.chunks_exact_mut(width)) {
            sums.fill(0.0);
            let (dw, db) = sums.split_at_mut(weights);
            let stretch = (part * stretch).min(conv.rows())..((part + 1) * stretch).min(conv.rows());
            conv.by_patches(stretch, |rows, patches| {
                conv.gather(x, rows.clone(), patches);
                let dy = &dy[rows.start * conv.outputs..rows.end * conv.outputs];
                matmul(Layout::TransposedNormal, [conv.outputs, conv.patch(), rows.len()], dy, patches, true, dw);
                for row in dy.chunks_exact(conv.outputs) {
                    db.iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
                }
            });
        }
    });
}
