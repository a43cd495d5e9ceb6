use super::super::activation;
use super::super::patches::Extents;
use super::{Argument, WORDS};
use crate::kernels::matmul::{Layout, matmul};

pub(in crate::kernels) fn run(arguments: &mut [Argument<'_>], words: &[u32; WORDS]) {
    let [x, parameters, y] = arguments else { return };
    let conv = Extents::new(words);
    let (w, b) = parameters.f32()[conv.offset..].split_at(conv.outputs * conv.patch());
    let y = y.f32_mut();
    for row in y[..conv.rows() * conv.outputs].chunks_exact_mut(conv.outputs) {
        row.copy_from_slice(&b[..conv.outputs]);
    }
    conv.by_patches(|rows, patches| {
        conv.gather(x.f32(), rows.clone(), patches);
        let y = &mut y[rows.start * conv.outputs..rows.end * conv.outputs];
        matmul(Layout::NormalTransposed, [rows.len(), conv.outputs, conv.patch()], patches, w, true, y);
        if words[11] != 0 {
            y.iter_mut().for_each(|value| *value = activation::value(*value, words[11]));
        }
    });
}
