//! What a dispatch must do at least, by its shapes: what a profile holds a kernel's time against.

use super::WORDS;
use super::patches::Extents;

/// All of these, one by the other.
pub(super) fn all<const N: usize>(extents: [u32; N]) -> u64 {
    extents.into_iter().fold(1, |product, extent| product.saturating_mul(extent.into()))
}

/// See the module. A kernel that only moves numbers has no flops.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Operations on floats: additions, products, quotients, roots, exponentials, each as one.
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

    /// Of `n` numbers, each with so many loads and stores and so many operations.
    #[must_use]
    pub fn stream(n: u32, touched: u64, flops: u64) -> Self {
        Self::of(touched * u64::from(n), flops * u64::from(n))
    }

    /// Of so many words read and written, and so many operations.
    #[must_use]
    pub fn of(words: u64, flops: u64) -> Self {
        Self { flops, bytes: words.saturating_mul(4) }
    }

    /// Of a convolution's product, whichever of its three.
    pub(super) fn convolution(words: &[u32; WORDS]) -> Self {
        let conv = Extents::new(words);
        let flops = 2 * (conv.rows() * conv.outputs * conv.patch()) as u64;
        Self { flops, bytes: 4 * (conv.pixels() + conv.rows() * conv.outputs + conv.outputs * conv.patch()) as u64 }
    }
}
