use super::super::patches::Extents;
use super::{Argument, WORDS};
use crate::kernels::matmul::{Layout, matmul};

pub(in crate::kernels) fn run(arguments: &mut [Argument<'_>], words: &[u32; WORDS]) {
    let [dy, parameters, dx] = arguments else { return };
    let conv = Extents::new(words);
    let (w, dy) = (&parameters.f32()[conv.offset..], dy.f32());
    conv.share_pictures(dx.f32_mut(), conv.picture(), |rows, dx| {
        dx.fill(0.0);
        let picture = conv.picture_of(rows.start);
        conv.by_patches(rows, |rows, patches| {
            let dy = &dy[rows.start * conv.outputs..rows.end * conv.outputs];
            matmul(Layout::Normal, [rows.len(), conv.patch(), conv.outputs], dy, w, false, patches);
            conv.scatter(patches, rows, picture, dx);
        });
    });
}
