//! Fixed-point numbers of the shared model.
//!
//! The base `b` is a vector of `i32` in units of 2^-24. Integer addition commutes and associates (it wraps), so any two
//! peers that added the same contributions in any order hold the same bits. Everything that turns a delta into a
//! contribution is integer arithmetic too: no float rounding of any device can make two bases differ.

use serde::{Deserialize, Serialize};

/// Fraction bits of the base: one unit is 2^-24.
pub const FRACTION_BITS: i32 = 24;
/// One unit of the base as a float, exactly 2^-24.
pub const UNIT: f32 = 1.0 / (1u32 << FRACTION_BITS) as f32;
/// Fraction bits of a [`Weight`].
pub const WEIGHT_BITS: i32 = 16;
/// Largest magnitude that one delta may add to one coordinate (2^29 units = 32.0). A delta beyond it is refused: it is a
/// function of the delta alone, hence the same decision on every peer.
pub const CONTRIBUTION_MAX: i32 = 1 << 29;
/// A base coordinate whose magnitude passes this (3/4 of the range, 96.0) raises an alarm; adds wrap and never saturate.
pub const RANGE_ALARM: i32 = 3 << 29;

/// The share of a delta that goes into the base: `w` in units of 2^-16, 0 < w <= 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Weight(u32);

impl Weight {
    /// w = 1: all of the delta. Used by a peer that is alone.
    pub const ONE: Self = Self(1 << WEIGHT_BITS);
    /// w = 1/2, the cap for a peer that has company (DESIGN section 2).
    pub const HALF: Self = Self(1 << (WEIGHT_BITS - 1));

    /// A weight from its wire form; `None` when it is 0 or over 1.
    #[must_use]
    pub const fn from_raw(raw: u32) -> Option<Self> {
        if raw == 0 || raw > Self::ONE.0 { None } else { Some(Self(raw)) }
    }

    /// Units of 2^-16.
    #[must_use]
    pub const fn raw(self) -> u32 {
        self.0
    }

    /// `min(gain / live_peers, 1/2)`; 1 for a peer that is alone, since nobody else moves its base.
    /// Never 0: a swarm so large that the quotient vanishes still adds one unit.
    #[must_use]
    pub fn for_swarm(gain: f32, live_peers: usize) -> Self {
        if live_peers <= 1 {
            return Self::ONE;
        }
        let share = f64::from(gain.max(0.0)) / live_peers as f64;
        let raw = (share * f64::from(Self::ONE.0)).round();
        Self((raw as u32).clamp(1, Self::HALF.0))
    }

    /// The weight as a float, exact.
    #[must_use]
    pub fn as_f32(self) -> f32 {
        self.0 as f32 / Self::ONE.0 as f32
    }
}

/// `round(w * level * value)` in base units, where `value` is a finite f32 and `level` a small integer multiplier.
///
/// Exact integer arithmetic, ties away from zero. `None` when `value` is not finite or the result passes
/// [`CONTRIBUTION_MAX`].
#[must_use]
pub fn contribution(weight: Weight, level: i32, value: f32) -> Option<i32> {
    let (mantissa, exponent) = dyadic(value)?;
    // |mantissa| < 2^24, w <= 2^16, |level| <= 8: the product stays under 2^44.
    let product = i64::from(mantissa) * i64::from(weight.raw()) * i64::from(level);
    let shift = exponent + FRACTION_BITS - WEIGHT_BITS;
    let rounded = if product == 0 {
        0
    } else if shift >= 0 {
        if shift > 18 {
            return None; // at least 2^18 times one: the checked multiply below could only confirm it is over the cap
        }
        product.checked_mul(1 << shift)?
    } else if shift < -46 {
        0
    } else {
        let half = 1i64 << (-shift - 1);
        let magnitude = (product.abs() + half) >> -shift;
        if product < 0 { -magnitude } else { magnitude }
    };
    let rounded = i32::try_from(rounded).ok()?;
    (rounded.abs() <= CONTRIBUTION_MAX).then_some(rounded)
}

/// `value = mantissa * 2^exponent` exactly, with |mantissa| < 2^24; `None` for NaN and infinities.
fn dyadic(value: f32) -> Option<(i32, i32)> {
    let bits = value.to_bits();
    let exponent_bits = ((bits >> 23) & 0xff) as i32;
    let fraction = (bits & 0x7f_ffff) as i32;
    let (mantissa, exponent) = match exponent_bits {
        0xff => return None,
        0 => (fraction, -149),
        e => (fraction | 0x80_0000, e - 150),
    };
    // Trailing zeros moved into the exponent, so that a small shift above means a large value and nothing else.
    let zeros = if mantissa == 0 { 0 } else { mantissa.trailing_zeros() as i32 };
    let mantissa = mantissa >> zeros;
    Some((if bits >> 31 == 1 { -mantissa } else { mantissa }, exponent + zeros))
}

/// A base coordinate as the float nearest to it.
#[must_use]
pub fn to_f32(fixed: i32) -> f32 {
    fixed as f32 * UNIT
}

/// A finite float as the base coordinate nearest to it; clamped to the range (used for initial weights alone).
#[must_use]
pub fn from_f32(value: f32) -> i32 {
    (f64::from(value) * f64::from(1u32 << FRACTION_BITS)).round() as i32
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn weights_follow_gain_and_swarm_within_the_cap() {
        assert_eq!(Weight::for_swarm(4.0, 1), Weight::ONE, "alone");
        assert_eq!(Weight::for_swarm(4.0, 4), Weight::HALF, "capped");
        assert_eq!(Weight::for_swarm(4.0, 16).raw(), 65536 / 4);
        assert_eq!(Weight::for_swarm(1.0, 4).raw(), 65536 / 4);
        assert_eq!(Weight::for_swarm(0.0, 4).raw(), 1, "never 0");
        assert_eq!(Weight::for_swarm(f32::NAN, 4).raw(), 1);
        assert_eq!(Weight::from_raw(0), None);
        assert_eq!(Weight::from_raw(65537), None);
    }

    #[test]
    fn contributions_round_ties_away_from_zero_and_know_their_range() {
        let half_unit = UNIT / 2.0;
        assert_eq!(contribution(Weight::ONE, 1, half_unit), Some(1));
        assert_eq!(contribution(Weight::ONE, -1, half_unit), Some(-1));
        assert_eq!(contribution(Weight::HALF, 1, half_unit), Some(0));
        assert_eq!(contribution(Weight::ONE, 1, 32.0), Some(CONTRIBUTION_MAX));
        assert_eq!(contribution(Weight::ONE, -1, 32.0), Some(-CONTRIBUTION_MAX));
        assert_eq!(contribution(Weight::ONE, 1, 32.1), None);
        assert_eq!(contribution(Weight::ONE, 1, f32::MAX), None);
        assert_eq!(contribution(Weight::ONE, 1, f32::INFINITY), None);
        assert_eq!(contribution(Weight::ONE, 1, f32::NAN), None);
        assert_eq!(contribution(Weight::ONE, 1, f32::MIN_POSITIVE), Some(0));
        assert_eq!(contribution(Weight::ONE, 1, f32::from_bits(1)), Some(0), "the smallest subnormal");
    }

    proptest! {
        #[test]
        fn contributions_are_the_exact_product_rounded(raw in 1u32..=65536, level in -2i32..=2, value in -20f32..20.0) {
            let weight = Weight::from_raw(raw).expect("in range");
            // 16 + 2 + 24 bits of product fit the 53 of f64: exact.
            let exact = f64::from(raw) * f64::from(level) * f64::from(value) * 256.0;
            match contribution(weight, level, value) {
                Some(found) => prop_assert_eq!(f64::from(found), exact.round()),
                None => prop_assert!(exact.abs() > f64::from(CONTRIBUTION_MAX)),
            }
        }
    }
}
