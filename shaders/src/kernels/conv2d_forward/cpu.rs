use super::super::activation;
use super::super::patches::Extents;
use super::{Argument, WORDS};
use crate::kernels::matmul::{Layout, matmul};

pub(in crate::kernels) fn run(arguments: &mut [Argument<'_>], words: &[u32; WORDS]) {
    let [x, parameters, y] = arguments else { return };
    let conv = Extents::new(words);
    let (w, b) = parameters.f32()[conv.offset..].split_at(conv.outputs * conv.patch());
    let (x, b) = (x.f32(), &b[..conv.outputs]);
    conv.share_rows(y.f32_mut(), conv.outputs, |rows, patches, y| {
        y.chunks_exact_mut(conv.outputs).for_each(|row| row.copy_from_slice(b));
        conv.gather(x, rows.clone(), patches);
        matmul(Layout::NormalTransposed, [rows.len(), conv.outputs, conv.patch()], patches, w, true, y);
        activation::apply(y, words[11]);
    });
}
