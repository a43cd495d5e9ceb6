use super::{Argument, WORDS};
use crate::kernels::activation;
use crate::kernels::matmul::{Layout, matmul};

pub(in crate::kernels) fn run(arguments: &mut [Argument<'_>], words: &[u32; WORDS]) {
    let [x, parameters, y] = arguments else { return };
    let [m, n, k] = [words[0], words[1], words[2]].map(|extent| extent as usize);
    let (w, b) = parameters.f32()[words[4] as usize..].split_at(n * k);
    let y = &mut y.f32_mut()[..m * n];
    let bias = words[5] == 0;
    if bias {
        for row in y.chunks_exact_mut(n) {
            row.copy_from_slice(&b[..n]);
        }
    }
    matmul(Layout::NormalTransposed, [m, n, k], x.f32(), w, bias, y);
    activation::apply_shared(y, words[3]);
}
