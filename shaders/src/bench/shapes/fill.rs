//! What arguments hold before they are measured.

use crate::kernels::word;

/// What an argument holds before.
#[derive(Clone, Debug)]
pub(in crate::bench) enum Fill {
    /// Numbers in -1..1.
    Floats(usize),
    /// So many of the same.
    Constant(usize, f32),
    /// So many whole numbers below a bound.
    Below(usize, usize),
    /// These.
    Given(Vec<u32>),
}

/// The first so many of a sequence without a pattern.
pub(super) fn scattered(n: usize) -> impl Iterator<Item = usize> {
    (0..n as u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 8) as usize)
}

impl Fill {
    /// How many words.
    pub(in crate::bench) fn len(&self) -> usize {
        match self {
            Self::Floats(n) | Self::Constant(n, _) | Self::Below(n, _) => *n,
            Self::Given(words) => words.len(),
        }
    }

    pub(in crate::bench) fn words(&self) -> Vec<u32> {
        match self {
            Self::Floats(n) => scattered(*n).map(|i| word(i as f32 / (1 << 23) as f32 - 1.0)).collect(),
            Self::Constant(n, value) => vec![word(*value); *n],
            Self::Below(n, bound) => scattered(*n).map(|i| (i % bound) as u32).collect(),
            Self::Given(words) => words.clone(),
        }
    }
}
