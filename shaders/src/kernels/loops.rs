//! How often the loops of an invocation go round, all of them together: software Vulkan ends them when it has been too often
//! (`engine::gpu`), without a word. A loop looks at its condition once more than it goes round, and that counts.
//!
//! What would be too often for real shapes goes over several numbers at a time: `#for j 4` writes a turn out, and a loop of one number at
//! a time does what is left.

/// A loop over n, one at a time.
pub(super) fn plain(n: u64) -> u64 {
    n.saturating_add(1)
}

/// A loop over n, four at a time, and one over what is left.
pub(super) fn by_four(n: u64) -> u64 {
    n / 4 + n % 4 + 2
}

/// The same eight at a time.
pub(super) fn by_eight(n: u64) -> u64 {
    n / 8 + n % 8 + 2
}

/// A loop in a loop.
pub(super) fn nested(outer: u32, inner: u32) -> u64 {
    u64::from(outer).saturating_mul(plain(plain(inner.into()))).saturating_add(1)
}

/// The terms of a sum of a product, and up to 8 rows of 8 results that are stored.
pub(super) fn product(terms: u64) -> u64 {
    const STORED: u64 = 96;
    plain(terms).saturating_add(STORED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_look_at_a_condition_counts() {
        assert_eq!([plain(0), by_four(0), by_eight(0), nested(0, 9)], [1, 2, 2, 1]);
        // Of 11: 4, 4, end; 1, 1, 1, end.
        assert_eq!((by_four(11), by_eight(11)), (7, 6));
        // Twice: 3 and its end, and itself; its own end.
        assert_eq!(nested(2, 3), 11);
        assert_eq!(nested(u32::MAX, u32::MAX), u64::MAX);
    }
}
