//! `dense_f32`: every element as a little-endian f32. 4d bytes, no loss. The oracle that other codecs are measured against.

use super::{Codec, CodecError, Decoded};
use crate::fixed::{Weight, contribution};

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct DenseF32;

impl Codec for DenseF32 {
    fn name(&self) -> &'static str {
        "dense_f32"
    }

    fn about(&self) -> &'static str {
        "every element as f32: 4 bytes a parameter, exact"
    }

    fn wire_id(&self) -> u8 {
        0
    }

    fn gain_default(&self) -> f32 {
        1.0 // measured: a dense codec with gain 4 diverges, the residual no longer damps (DESIGN, hazards)
    }

    fn payload_bytes_max(&self, parameters: usize) -> usize {
        4 * parameters
    }

    fn encode(&self, residual: &[f32], payload: &mut Vec<u8>) {
        payload.reserve(4 * residual.len());
        for value in residual {
            payload.extend_from_slice(&value.to_le_bytes());
        }
    }

    fn decode(&self, payload: &[u8], parameters: usize, weight: Weight, out: &mut Decoded) -> Result<(), CodecError> {
        out.clear();
        if payload.len() != 4 * parameters {
            return Err(CodecError::Length { found: payload.len(), expected: 4 * parameters });
        }
        out.values.reserve(parameters);
        out.adds.reserve(parameters);
        for (element, bytes) in payload.as_chunks::<4>().0.iter().enumerate() {
            let value = f32::from_le_bytes(*bytes);
            if !value.is_finite() {
                return Err(CodecError::Value { element });
            }
            let add = contribution(weight, 1, value).ok_or(CodecError::Contribution { element })?;
            out.values.push(value);
            out.adds.push(add);
        }
        Ok(())
    }
}
