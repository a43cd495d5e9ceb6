//! What every learner computes alike.

use std::borrow::Borrow;

use super::LearnerError;
use crate::codec::{Codec, CodecError, Decoded};
use crate::fixed::{CONTRIBUTION_MAX, UNIT, Weight, from_f32, to_f32};
use crate::id::Hash;

/// Encodes a residual so that the decoded `v` is no longer than `norm_max`: a longer one is scaled down as a whole, and
/// the rest of it stays in the residual. `decoded` holds `v` and its contributions afterwards; returns the payload.
///
/// # Errors
/// [`LearnerError::NonFinite`] when a value is NaN or infinite, [`LearnerError::Diverged`] when a contribution is over the cap.
pub fn encode_within(
    codec: &'static dyn Codec,
    residual: &[f32],
    weight: Weight,
    norm_max: f32,
    decoded: &mut Decoded,
) -> Result<Vec<u8>, LearnerError> {
    all_finite(residual)?;
    let bounds = Bounds { weight, norm_max, residual_norm: norm(residual) };
    encode_bounded(codec, residual.len(), bounds, decoded, |factor, payload| {
        if factor == 1.0 {
            codec.encode(residual, payload);
        } else {
            let part: Vec<f32> = residual.iter().map(|value| factor * value).collect();
            codec.encode(&part, payload);
        }
        Ok(())
    })
}

/// What [`encode_bounded`] keeps to.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Share that goes into the base.
    pub weight: Weight,
    /// ||v|| at most.
    pub norm_max: f32,
    /// ||e||, of a residual that is finite.
    pub residual_norm: f32,
}

/// [`encode_within`] for a residual that lies elsewhere: `encode` appends the payload of `factor * e` (1, or less for a part), again with a smaller
/// factor where codes and scales of half precision, which near 1e-7 are steps of their own size, come to more than they should.
///
/// # Errors
/// [`LearnerError::Diverged`] when a contribution is over the cap, and what `encode` says.
pub fn encode_bounded(
    codec: &'static dyn Codec,
    parameters: usize,
    bounds: Bounds,
    decoded: &mut Decoded,
    mut encode: impl FnMut(f32, &mut Vec<u8>) -> Result<(), LearnerError>,
) -> Result<Vec<u8>, LearnerError> {
    /// Codes and scales round, so a scaled residual may decode to something a little longer.
    const SLACK: f32 = 0.97;
    /// So often a part is made smaller before nothing is said.
    const PARTS_MAX: u32 = 4;
    let Bounds { weight, norm_max, residual_norm } = bounds;
    let mut payload = Vec::new();
    encode(1.0, &mut payload)?;
    let length = match codec.decode(&payload, parameters, weight, decoded) {
        Ok(()) => decoded.l2_norm(),
        Err(CodecError::Contribution { .. }) if norm_max < residual_norm => residual_norm,
        Err(error) => return Err(too_far(error)),
    };
    let (mut length, mut factor) = (length, 1.0);
    for part in 0..=PARTS_MAX {
        if length <= norm_max {
            return Ok(payload);
        }
        factor = if part < PARTS_MAX { factor * SLACK * norm_max.max(0.0) / length } else { 0.0 };
        payload.clear();
        encode(factor, &mut payload)?;
        codec.decode(&payload, parameters, weight, decoded).map_err(too_far)?;
        length = decoded.l2_norm();
    }
    Ok(payload)
}

/// What a codec says of its own payload: only a contribution can be wrong with it.
fn too_far(error: CodecError) -> LearnerError {
    match error {
        CodecError::Contribution { .. } => LearnerError::Diverged,
        error => error.into(),
    }
}

/// ||values||_2.
#[must_use]
pub fn norm(values: impl IntoIterator<Item: Borrow<f32>>) -> f32 {
    values.into_iter().map(|value| f64::from(*value.borrow()).powi(2)).sum::<f64>().sqrt() as f32
}

fn all_finite(values: &[f32]) -> Result<(), LearnerError> {
    let count = values.iter().filter(|value| !value.is_finite()).count();
    if count > 0 { Err(LearnerError::NonFinite { count, parameters: values.len() }) } else { Ok(()) }
}

/// A difference of bases, as far as one payload may say it whatever its codec rounds to.
pub(crate) fn within_payload(difference: i32) -> f32 {
    let most = CONTRIBUTION_MAX as f32 * UNIT / 2.0;
    to_f32(difference).clamp(-most, most)
}

/// The integers of [`Learner::fold`](super::Learner::fold), of the residual `theta - b`.
///
/// # Errors
/// [`LearnerError::NonFinite`], or [`LearnerError::Diverged`] when one is over [`CONTRIBUTION_MAX`].
pub fn fold(residual: &[f32]) -> Result<Vec<i32>, LearnerError> {
    all_finite(residual)?;
    let adds: Vec<i32> = residual.iter().map(|&value| from_f32(value)).collect();
    let far = adds.iter().any(|add| add.unsigned_abs() > CONTRIBUTION_MAX.unsigned_abs());
    if far { Err(LearnerError::Diverged) } else { Ok(adds) }
}

/// blake3 of `b` as little-endian bytes.
#[must_use]
pub fn base_hash(base: &[i32]) -> Hash {
    let mut hasher = BaseHasher::default();
    hasher.add(base);
    hasher.finish()
}

/// [`base_hash`] of a base that comes in pieces.
#[derive(Debug)]
pub struct BaseHasher(blake3::Hasher);

impl Default for BaseHasher {
    fn default() -> Self {
        Self(blake3::Hasher::new_derive_key("starling 1 base"))
    }
}

impl BaseHasher {
    /// The next piece.
    pub fn add(&mut self, piece: &[i32]) {
        if cfg!(target_endian = "little") {
            self.0.update(bytemuck::cast_slice(piece));
        } else {
            for value in piece {
                self.0.update(&value.to_le_bytes());
            }
        }
    }

    /// The hash of all of it.
    #[must_use]
    pub fn finish(&self) -> Hash {
        Hash(*self.0.finalize().as_bytes())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use crate::codec;

    fn residual() -> Vec<f32> {
        (0..5000).map(|i| (i as f32 * 0.7).sin() * 0.01 * (1 + i % 7) as f32).collect()
    }

    #[test]
    fn what_is_too_long_is_said_in_part_and_in_its_own_direction() {
        let residual = residual();
        for codec in codec::ALL {
            let mut whole = Decoded::default();
            let unbounded = encode_within(*codec, &residual, Weight::HALF, f32::INFINITY, &mut whole).unwrap();
            let mut payload = Vec::new();
            codec.encode(&residual, &mut payload);
            assert_eq!(unbounded, payload, "{}: no bound, no change", codec.name());
            let bound = 0.3 * whole.l2_norm();
            let mut part = Decoded::default();
            encode_within(*codec, &residual, Weight::HALF, bound, &mut part).unwrap();
            let length = part.l2_norm();
            assert!(length <= bound && length > 0.9 * bound, "{}: {length} of {bound}", codec.name());
            let inner: f32 = part.iter().map(|(i, value, _)| value * residual[i]).sum();
            assert!(inner > 0.0, "{}", codec.name());
        }
    }

    #[test]
    fn however_short_it_may_be_it_is_no_longer() {
        // Scales of half precision are steps of 6e-8 below 6e-5.
        for codec in codec::ALL {
            for exponent in 0..80 {
                let bound = 0.7f32.powi(exponent);
                let mut part = Decoded::default();
                for size in [1.01, 1.5, 10.0] {
                    let residual: Vec<f32> = residual().iter().map(|value| value * size * bound).collect();
                    let bound = bound / 3.0;
                    encode_within(*codec, &residual, Weight::HALF, bound, &mut part).unwrap();
                    assert!(part.l2_norm() <= bound, "{}: {} of {bound}", codec.name(), part.l2_norm());
                }
            }
        }
    }

    #[test]
    fn what_is_not_finite_is_not_said() {
        let found = encode_within(&codec::DenseF32, &[1.0, f32::NAN], Weight::HALF, 1.0, &mut Decoded::default());
        assert!(matches!(found, Err(LearnerError::NonFinite { count: 1, parameters: 2 })));
    }

    #[test]
    fn what_no_delta_could_say_is_said_in_part_too() {
        let far = vec![100.0; 64];
        let mut decoded = Decoded::default();
        let dense = &codec::DenseF32;
        let unbounded = encode_within(dense, &far, Weight::ONE, f32::INFINITY, &mut decoded);
        assert!(matches!(unbounded, Err(LearnerError::Diverged)));
        encode_within(dense, &far, Weight::ONE, 10.0, &mut decoded).unwrap();
        assert!((decoded.l2_norm() - 9.7).abs() < 0.01, "{}", decoded.l2_norm());
    }
}
