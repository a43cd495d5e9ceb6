use super::{Argument, WORDS};
use crate::kernels::matmul::{Layout, matmul};

pub(in crate::kernels) fn run(arguments: &mut [Argument<'_>], words: &[u32; WORDS]) {
    let [dy, parameters, dx] = arguments else { return };
    let [m, n, k] = [words[0], words[1], words[2]].map(|extent| extent as usize);
    matmul(Layout::Normal, [m, k, n], dy.f32(), &parameters.f32()[words[3] as usize..], false, dx.f32_mut());
}
