//! What a dispatch must do at least, by its shapes: what a profile holds a kernel's time against.

use super::WORDS;
use super::patches::Extents;

/// See the module. Zero: not told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Multiplications and additions.
    pub flops: u64,
    /// Read and written, each number once.
    pub bytes: u64,
}

impl Cost {
    /// Of a product of [m, k] and [k, n].
    #[must_use]
    pub fn product(m: u32, n: u32, k: u32) -> Self {
        let [m, n, k] = [m, n, k].map(u64::from);
        Self { flops: 2 * m * n * k, bytes: 4 * (m * k + k * n + m * n) }
    }

    /// Of `n` numbers, each with so many loads and stores.
    #[must_use]
    pub fn stream(n: u32, touched: u64) -> Self {
        Self { flops: 0, bytes: 4 * touched * u64::from(n) }
    }

    /// Of a convolution's product, whichever of its three.
    pub(super) fn convolution(words: &[u32; WORDS]) -> Self {
        let conv = Extents::new(words);
        let flops = 2 * (conv.rows() * conv.outputs * conv.patch()) as u64;
        Self { flops, bytes: 4 * (conv.pixels() + conv.rows() * conv.outputs + conv.outputs * conv.patch()) as u64 }
    }
}
