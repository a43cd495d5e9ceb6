//! A payload of [`top_k_2bit`](super::TopK2Bit) as a device takes it: compressed, with what only a processor with 64-bit integers computes.
//!
//! ```text
//! words = table of a chunk* | bits of a chunk*, padded to a word         table = round(w s), round(2 w s)  and for an own delta s as f32
//! bits of a chunk           = those of the payload without the scale: k indices of 12 bits, k codes of 2 bits, each padded to a byte
//! ```
//!
//! What a code adds is one of the two of its chunk's table, or its negative; so a device adds the integers that
//! [`Codec::decode`](super::Codec::decode) says, to the bit.

use half::f16;

use super::CodecError;
use super::top_k_2bit::{CHUNK, Density, SCALE_BYTES};
use crate::fixed::{Weight, contribution};

/// What is to be done with a delta.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packing {
    /// Add it to the base, and to the weights.
    Heard,
    /// The same, and take v off the weights.
    Own,
    /// Take it back.
    Retracted,
}

impl Packing {
    /// Words of a chunk's table.
    #[must_use]
    pub const fn table_words(self) -> usize {
        match self {
            Self::Heard | Self::Retracted => 2,
            Self::Own => 3,
        }
    }
}

impl Density {
    /// Words that [`Density::pack`] makes.
    #[must_use]
    pub const fn packed_words(self, parameters: usize, packing: Packing) -> usize {
        let chunks = parameters.div_ceil(CHUNK);
        chunks * packing.table_words() + (self.payload_bytes(parameters) - chunks * SCALE_BYTES).div_ceil(4)
    }

    /// Packs a payload that [`Codec::decode`](super::Codec::decode) has taken for this weight, into `words` (overwritten).
    ///
    /// # Errors
    /// [`CodecError::Length`], [`CodecError::Value`] and [`CodecError::Contribution`] as `decode`, which looks at the rest, too.
    pub fn pack(
        self,
        payload: &[u8],
        parameters: usize,
        weight: Weight,
        packing: Packing,
        words: &mut Vec<u32>,
    ) -> Result<(), CodecError> {
        let expected = self.payload_bytes(parameters);
        if payload.len() != expected {
            return Err(CodecError::Length { found: payload.len(), expected });
        }
        words.clear();
        words.reserve(self.packed_words(parameters, packing));
        let full = self.chunk_bytes(CHUNK).max(1);
        for (chunk, bytes) in payload.chunks(full).enumerate() {
            let element = chunk * self.kept;
            let scale = f16::from_le_bytes([bytes[0], bytes[1]]).to_f32();
            if !scale.is_finite() || scale.is_sign_negative() {
                return Err(CodecError::Value { element });
            }
            for level in [1, 2] {
                let add = contribution(weight, level, scale).ok_or(CodecError::Contribution { element })?;
                // |add| is at most 2^29: its negative is as exact.
                words.push(if packing == Packing::Retracted { -add } else { add } as u32);
            }
            if packing == Packing::Own {
                words.push(scale.to_bits());
            }
        }
        let (mut word, mut filled) = (0u32, 0);
        for byte in payload.chunks(full).flat_map(|bytes| &bytes[SCALE_BYTES..]) {
            word |= u32::from(*byte) << filled;
            filled += 8;
            if filled == 32 {
                words.push(word);
                (word, filled) = (0, 0);
            }
        }
        if filled > 0 {
            words.push(word);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::super::{Codec as _, Decoded, TopK2Bit};
    use super::*;

    #[test]
    fn a_chunk_takes_its_table_and_its_bits() {
        let density = TopK2Bit.density().unwrap();
        assert_eq!(density.packed_words(CHUNK, Packing::Heard), 2 + 28);
        // The last chunk has 2 of 65 elements: 3 bytes of indices, one of codes.
        assert_eq!(density.packed_words(CHUNK + 65, Packing::Own), 3 + 28 + 3 + 1);
        // A language model of 1 M parameters: 29.9 kB in place of 187.5.
        assert_eq!(4 * density.packed_words(1_017_216, Packing::Heard), 29_808);
        for d in [1, 64, 4095, 4096, 4097, 10_000] {
            let residual: Vec<f32> = (0..d).map(|i| ((i * 37) % 101) as f32 * 1e-3 - 0.05).collect();
            let mut payload = Vec::new();
            TopK2Bit.encode(&residual, &mut payload);
            for packing in [Packing::Heard, Packing::Own, Packing::Retracted] {
                let mut words = Vec::new();
                density.pack(&payload, d, Weight::HALF, packing, &mut words).unwrap();
                assert_eq!(words.len(), density.packed_words(d, packing), "{d} {packing:?}");
            }
        }
    }

    #[test]
    fn what_decode_refuses_of_lengths_and_scales_is_refused() {
        let density = TopK2Bit.density().unwrap();
        let mut payload = Vec::new();
        TopK2Bit.encode(&[0.5; 100], &mut payload);
        let pack = |payload: &[u8]| density.pack(payload, 100, Weight::HALF, Packing::Heard, &mut Vec::new());
        let decode = |payload: &[u8]| TopK2Bit.decode(payload, 100, Weight::HALF, &mut Decoded::default());
        assert!(pack(&payload).is_ok());
        assert!(pack(&payload[1..]).is_err());
        for scale in [f16::NAN, f16::INFINITY, f16::from_f32(-1.0), f16::MAX] {
            payload[..SCALE_BYTES].copy_from_slice(&scale.to_le_bytes());
            assert_eq!(pack(&payload).is_err(), decode(&payload).is_err(), "{scale}");
        }
    }
}
