//! `int8`: blocks of 256 elements, each element as a whole number from -127 to 127 times the block's scale (block-wise
//! absmax quantisation, Dettmers et al. 2021, arXiv 2110.02861, with a linear map).
//!
//! ```text
//! payload = block*            block = scale: bf16 LE | n codes: i8
//! scale   = max |e| / 127, rounded up      code = round(e / scale)      v = code * scale
//! ```
//!
//! |e - v| <= scale / 2 <= max |e| / 252 over its block. A full block takes 258 bytes for 256 f32: 4x smaller. The scale
//! is a bf16 for two reasons: it has the range of f32, so a block is said however small its elements are, and a product of
//! 8 and 7 bits is an exact f32, so `v` is what its contribution is computed from. -128 and a scale that is negative or not
//! finite are refused.

use half::bf16;

use super::{Codec, CodecError, Decoded};
use crate::fixed::{Weight, contribution};

/// Elements a block.
const BLOCK: usize = 256;
const SCALE_BYTES: usize = 2;
/// Largest code; the smallest is its negative.
const CODE_MAX: f32 = 127.0;

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct Int8;

impl Codec for Int8 {
    fn name(&self) -> &'static str {
        "int8"
    }

    fn about(&self) -> &'static str {
        "every element as 8-bit integer, one scale for 256 of them: 4x smaller than f32"
    }

    fn wire_id(&self) -> u8 {
        3
    }

    fn gain_default(&self) -> f32 {
        1.0 // as dense_f32: all of the residual is said at once, and a larger gain no longer damps
    }

    fn payload_bytes_max(&self, parameters: usize) -> usize {
        parameters + SCALE_BYTES * parameters.div_ceil(BLOCK)
    }

    fn encode(&self, residual: &[f32], payload: &mut Vec<u8>) {
        payload.reserve(self.payload_bytes_max(residual.len()));
        for block in residual.chunks(BLOCK) {
            let scale = rounded_up(block.iter().fold(0.0f32, |most, value| most.max(value.abs())) / CODE_MAX);
            payload.extend_from_slice(&scale.to_le_bytes());
            let scale = scale.to_f32();
            // The scale of a block of zeros, or of what is too small for a float, is 0: nothing is said.
            let code = |value: &f32| if scale > 0.0 { (value / scale).round().clamp(-CODE_MAX, CODE_MAX) } else { 0.0 };
            payload.extend(block.iter().map(|value| (code(value) as i8).cast_unsigned()));
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
        for block in payload.chunks(SCALE_BYTES + BLOCK) {
            // Every block has its scale: the length was checked.
            let Some((scale, codes)) = block.split_first_chunk() else { break };
            decode_block(bf16::from_le_bytes(*scale), codes, weight, out)?;
        }
        Ok(())
    }
}

/// The smallest bf16 that is not below a finite, positive float (of at most a hundredth of the range).
fn rounded_up(value: f32) -> bf16 {
    bf16::from_bits(((value.to_bits() + 0xffff) >> 16) as u16)
}

fn decode_block(scale: bf16, codes: &[u8], weight: Weight, out: &mut Decoded) -> Result<(), CodecError> {
    if !scale.is_finite() || scale.is_sign_negative() {
        return Err(CodecError::Value { element: out.values.len() });
    }
    let scale = scale.to_f32();
    for code in codes {
        let element = out.values.len();
        let code = code.cast_signed();
        if code == i8::MIN {
            return Err(CodecError::Value { element });
        }
        let value = f32::from(code) * scale;
        out.adds.push(contribution(weight, 1, value).ok_or(CodecError::Contribution { element })?);
        out.values.push(value);
    }
    Ok(())
}
