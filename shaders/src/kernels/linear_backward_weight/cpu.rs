use super::{Argument, WORDS};
use crate::kernels::matmul::{Layout, matmul};

pub(super) fn run(arguments: &mut [Argument<'_>], words: &[u32; WORDS]) {
    let [dy, x, gradient] = arguments else { return };
    let [m, n, k] = [words[0], words[1], words[2]].map(|extent| extent as usize);
    let (dw, db) = gradient.f32_mut()[words[3] as usize..].split_at_mut(n * k);
    matmul(Layout::TransposedNormal, [n, k, m], dy.f32(), x.f32(), false, dw);
    if words[4] != 0 {
        return;
    }
    let db = &mut db[..n];
    db.fill(0.0);
    for row in dy.f32()[..m * n].chunks_exact(n) {
        for (sum, value) in db.iter_mut().zip(row) {
            *sum += value;
        }
    }
}
