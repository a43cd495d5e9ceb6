use super::{Argument, WORDS};
use crate::kernels::matmul::{Layout, matmul};
use crate::kernels::{Activation, activation};

pub(super) fn run(arguments: &mut [Argument<'_>], words: &[u32; WORDS]) {
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
    if words[3] == Activation::Relu as u32 {
        y.iter_mut().for_each(|value| *value = value.max(0.0));
    } else if words[3] != 0 {
        y.iter_mut().for_each(|value| *value = activation::value(*value, words[3]));
    }
}
