//! `sign`: one bit an element, and one scale for a chunk of 4,096: the mean of |e| (EF-signSGD, Karimireddy et al. 2019,
//! arXiv 1901.09847).
//!
//! ```text
//! payload = chunk*            chunk = scale: f16 LE | n sign bits, LSB first (1 is negative), padded to a byte
//! scale   = mean |e|          v     = +scale or -scale
//! ```
//!
//! A full chunk takes 2 + 512 bytes for 4,096 f32: 31.9x smaller. Of all multiples of the signs, v is the nearest to e:
//! ||e - v||^2 = ||e||^2 - n scale^2, but for the rounding of the scale to a half (2^-11 of it; below 2^-25 it is 0). One
//! element may well be further from its v than from 0; error feedback makes up for that.

use half::f16;

use super::{Codec, CodecError, Decoded};
use crate::fixed::{Weight, contribution};

/// Elements a chunk.
const CHUNK: usize = 4096;
const SCALE_BYTES: usize = 2;

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct Sign;

/// Bytes of a chunk of `n` elements.
const fn chunk_bytes(n: usize) -> usize {
    SCALE_BYTES + n.div_ceil(8)
}

impl Codec for Sign {
    fn name(&self) -> &'static str {
        "sign"
    }

    fn about(&self) -> &'static str {
        "the sign of every element, one scale for 4096 of them: 32x smaller than f32"
    }

    fn wire_id(&self) -> u8 {
        4
    }

    fn gain_default(&self) -> f32 {
        1.0 // as dense_f32: every element is said at once
    }

    fn payload_bytes_max(&self, parameters: usize) -> usize {
        let rest = parameters % CHUNK;
        (parameters / CHUNK) * chunk_bytes(CHUNK) + if rest == 0 { 0 } else { chunk_bytes(rest) }
    }

    fn encode(&self, residual: &[f32], payload: &mut Vec<u8>) {
        payload.reserve(self.payload_bytes_max(residual.len()));
        for chunk in residual.chunks(CHUNK) {
            let mean = chunk.iter().map(|value| f64::from(value.abs())).sum::<f64>() / chunk.len() as f64;
            let scale = f16::from_f32((mean as f32).min(f16::MAX.to_f32()));
            payload.extend_from_slice(&scale.to_le_bytes());
            for eight in chunk.chunks(8) {
                let bit = |(i, value): (usize, &f32)| u8::from(value.is_sign_negative()) << i;
                payload.push(eight.iter().enumerate().map(bit).sum());
            }
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
        for bytes in payload.chunks(chunk_bytes(CHUNK)) {
            let n = CHUNK.min(parameters - out.values.len());
            // Every chunk has its scale: the length was checked.
            let Some((scale, signs)) = bytes.split_first_chunk() else { break };
            decode_chunk(f16::from_le_bytes(*scale), signs, n, weight, out)?;
        }
        Ok(())
    }
}

fn decode_chunk(scale: f16, signs: &[u8], n: usize, weight: Weight, out: &mut Decoded) -> Result<(), CodecError> {
    let element = out.values.len();
    if !scale.is_finite() || scale.is_sign_negative() {
        return Err(CodecError::Value { element });
    }
    let scale = scale.to_f32();
    let add = contribution(weight, 1, scale).ok_or(CodecError::Contribution { element })?;
    // Rounding is symmetric, so the contribution of -scale is -add.
    for i in 0..n {
        let negative = signs[i / 8] >> (i % 8) & 1 == 1;
        out.values.push(if negative { -scale } else { scale });
        out.adds.push(if negative { -add } else { add });
    }
    if !n.is_multiple_of(8) && signs[n / 8] >> (n % 8) != 0 {
        return Err(CodecError::Value { element: out.values.len() });
    }
    Ok(())
}
