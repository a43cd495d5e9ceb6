//! `dense_f16`: every element as a little-endian IEEE half. 2d bytes.
//!
//! ```text
//! payload = e: f16 LE, d times        v = e rounded to the nearest half, ties to even
//! ```
//!
//! |e - v| <= 2^-11 |e|, and 2^-25 where |e| < 2^-14: half a unit of the base. What is beyond the range of a half is said
//! as far as it goes (65,504), never as an infinity: the rest stays in the residual. Infinities and NaN are refused.

use half::f16;

use super::{Codec, CodecError, Decoded};
use crate::fixed::{Weight, contribution};

/// Bytes an element.
const ELEMENT_BYTES: usize = 2;

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct DenseF16;

impl Codec for DenseF16 {
    fn name(&self) -> &'static str {
        "dense_f16"
    }

    fn about(&self) -> &'static str {
        "every element as IEEE half: 2x smaller than f32"
    }

    fn wire_id(&self) -> u8 {
        2
    }

    fn gain_default(&self) -> f32 {
        1.0 // as dense_f32: all of the residual is said at once, and a larger gain no longer damps
    }

    fn payload_bytes_max(&self, parameters: usize) -> usize {
        ELEMENT_BYTES * parameters
    }

    fn encode(&self, residual: &[f32], payload: &mut Vec<u8>) {
        payload.reserve(self.payload_bytes_max(residual.len()));
        let (low, high) = (f16::MIN.to_f32(), f16::MAX.to_f32());
        for value in residual {
            payload.extend_from_slice(&f16::from_f32(value.clamp(low, high)).to_le_bytes());
        }
    }

    fn decode(&self, payload: &[u8], parameters: usize, weight: Weight, out: &mut Decoded) -> Result<(), CodecError> {
        out.clear();
        let expected = self.payload_bytes_max(parameters);
        if payload.len() != expected {
            return Err(CodecError::Length { found: payload.len(), expected });
        }
        out.values.reserve(parameters);
        out.adds.reserve(parameters);
        for (element, bytes) in payload.as_chunks::<ELEMENT_BYTES>().0.iter().enumerate() {
            let value = f16::from_le_bytes(*bytes);
            if !value.is_finite() {
                return Err(CodecError::Value { element });
            }
            let value = value.to_f32();
            out.values.push(value);
            out.adds.push(contribution(weight, 1, value).ok_or(CodecError::Contribution { element })?);
        }
        Ok(())
    }
}
