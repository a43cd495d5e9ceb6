//! `top_k_2bit`: of every chunk of 4,096 elements the 64 with the largest magnitude, each as a 12-bit index and a 2-bit
//! code, with one f16 scale a chunk (after SparseLoCo, and Covenant-72B's 146x).
//!
//! ```text
//! payload = chunk*            chunk = scale: f16 LE | k indices of 12 bits | k codes of 2 bits, both LSB first, padded to a byte
//! k       = ceil(n / 64) for a chunk of n elements (64 for a full one; `top_k_2bit:K` keeps K of a full one)
//! code    = sign (bit 0: 1 is negative) | level - 1 (bit 1):   v = +-scale or +-2*scale
//! ```
//!
//! A full chunk takes 2 + 96 + 16 = 114 bytes for 4,096 f32: 143.7x smaller. f16 scales are dyadic, so the four
//! contributions `round(w * level * scale)` of a chunk are integers that every machine computes alike.
//! Ties of magnitude are broken by the lower index. Indices ascend, so one delta has one encoding.

use half::f16;

use super::{Codec, CodecError, Decoded};
use crate::fixed::{Weight, contribution};

/// Elements a chunk.
pub const CHUNK: usize = 4096;
/// Elements kept of a full chunk.
const KEPT: usize = 64;
const INDEX_BITS: usize = 12;
const CODE_BITS: usize = 2;
pub(super) const SCALE_BYTES: usize = 2;
/// Rounds of alternating assignment and least squares for the scale; the error stops falling after two or three.
const SCALE_ROUNDS: usize = 3;

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct TopK2Bit;

impl Codec for TopK2Bit {
    fn name(&self) -> &'static str {
        "top_k_2bit"
    }

    fn about(&self) -> &'static str {
        "the largest 64 of every 4096 elements, 12-bit index and 2-bit value: 144x smaller than f32"
    }

    fn wire_id(&self) -> u8 {
        1
    }

    fn gain_default(&self) -> f32 {
        // measured (sim/scenarios/gain.toml): fastest, and best where data differ. From 8 peers on it would diverge without the
        // brake (mode/incremental/brake.rs); with it 4 and 8 end where 2 ends.
        4.0
    }

    fn payload_bytes_max(&self, parameters: usize) -> usize {
        DENSITY.payload_bytes(parameters)
    }

    fn density(&self) -> Option<Density> {
        Some(DENSITY)
    }

    fn encode(&self, residual: &[f32], payload: &mut Vec<u8>) {
        DENSITY.encode(residual, payload);
    }

    fn decode(&self, payload: &[u8], parameters: usize, weight: Weight, out: &mut Decoded) -> Result<(), CodecError> {
        DENSITY.decode(payload, parameters, weight, out)
    }
}

/// The format, for any number of elements kept of a full chunk. A device may choose them ([`Density::largest`] is what it must
/// choose) and leave the bytes to [`Density::encode_kept`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Density {
    /// K, a divisor of [`CHUNK`].
    pub kept: usize,
}

const DENSITY: Density = Density { kept: KEPT };

impl Density {
    /// Elements kept of a chunk of `n`.
    pub(super) const fn kept(self, n: usize) -> usize {
        n.div_ceil(CHUNK / self.kept)
    }

    /// Elements kept of a residual of that length.
    #[must_use]
    pub const fn kept_of(self, parameters: usize) -> usize {
        (parameters / CHUNK) * self.kept + self.kept(parameters % CHUNK)
    }

    /// Places of the elements that are kept of a chunk, ascending, into `places` (overwritten): the largest by magnitude, of equal
    /// ones the first.
    pub fn largest(self, chunk: &[f32], places: &mut Vec<u32>) {
        let k = self.kept(chunk.len());
        places.clear();
        places.extend(0..chunk.len() as u32);
        // Magnitudes as integers order like floats do, and a NaN cannot break the order.
        let rank = |&i: &u32| (std::cmp::Reverse(chunk[i as usize].abs().to_bits()), i);
        if k < chunk.len() {
            places.select_nth_unstable_by_key(k - 1, rank);
            places.truncate(k);
        }
        places.sort_unstable();
    }

    /// Appends the payload of what was kept of a residual of `parameters` elements: pairs of place and value, those of
    /// [`Density::largest`] chunk by chunk. Bytes are those of encoding the whole residual.
    pub fn encode_kept(self, parameters: usize, kept: &[(u32, f32)], payload: &mut Vec<u8>) {
        payload.reserve(self.payload_bytes(parameters));
        let (mut rest, mut start) = (kept, 0);
        while start < parameters {
            let (chunk, after) = rest.split_at(self.kept(CHUNK.min(parameters - start)).min(rest.len()));
            encode_kept(chunk, payload);
            rest = after;
            start += CHUNK;
        }
    }

    /// Bytes of a chunk of `n` elements.
    pub(super) const fn chunk_bytes(self, n: usize) -> usize {
        SCALE_BYTES + (self.kept(n) * INDEX_BITS).div_ceil(8) + (self.kept(n) * CODE_BITS).div_ceil(8)
    }

    pub(super) const fn payload_bytes(self, parameters: usize) -> usize {
        let rest = parameters % CHUNK;
        (parameters / CHUNK) * self.chunk_bytes(CHUNK) + if rest == 0 { 0 } else { self.chunk_bytes(rest) }
    }

    pub(super) fn encode(self, residual: &[f32], payload: &mut Vec<u8>) {
        payload.reserve(self.payload_bytes(residual.len()));
        let (mut places, mut kept) = (Vec::with_capacity(CHUNK), Vec::with_capacity(self.kept));
        for chunk in residual.chunks(CHUNK) {
            self.largest(chunk, &mut places);
            kept.clear();
            kept.extend(places.iter().map(|&i| (i, chunk[i as usize])));
            encode_kept(&kept, payload);
        }
    }

    pub(super) fn decode(
        self,
        payload: &[u8],
        parameters: usize,
        weight: Weight,
        out: &mut Decoded,
    ) -> Result<(), CodecError> {
        out.clear();
        let expected = self.payload_bytes(parameters);
        if payload.len() != expected {
            return Err(CodecError::Length { found: payload.len(), expected });
        }
        let mut rest = payload;
        let mut start = 0;
        let mut chunk = 0;
        while start < parameters {
            let n = CHUNK.min(parameters - start);
            let (bytes, tail) = rest.split_at(self.chunk_bytes(n));
            decode_chunk(bytes, self.kept(n), n, Place { start, chunk }, weight, out)?;
            rest = tail;
            start += n;
            chunk += 1;
        }
        Ok(())
    }
}

/// Where a chunk lies.
#[derive(Clone, Copy)]
struct Place {
    start: usize,
    chunk: usize,
}

/// A chunk of the payload. Places count from the chunk's first element or, as a chunk has 2^12, from any chunk's.
fn encode_kept(kept: &[(u32, f32)], payload: &mut Vec<u8>) {
    let scale = fit_scale(kept);
    payload.extend_from_slice(&scale.to_le_bytes());
    let mut bits = BitWriter::new(payload);
    for &(place, _) in kept {
        bits.push(place % CHUNK as u32, INDEX_BITS);
    }
    bits.finish();
    let threshold = 1.5 * scale.to_f32();
    let mut bits = BitWriter::new(payload);
    for &(_, value) in kept {
        let code = u32::from(value.is_sign_negative()) | u32::from(value.abs() > threshold) << 1;
        bits.push(code, CODE_BITS);
    }
    bits.finish();
}

/// The scale s that makes sum (|e| - level * s)^2 small, level in {1, 2}: alternating assignment and least squares,
/// begun at half of the largest magnitude. 0 when there is nothing to say.
fn fit_scale(kept: &[(u32, f32)]) -> f16 {
    let magnitudes = || kept.iter().map(|(_, value)| value.abs());
    let largest = magnitudes().fold(0.0f32, f32::max);
    let mut scale = 0.5 * largest;
    for _ in 0..SCALE_ROUNDS {
        let (mut dot, mut square) = (0.0f64, 0.0f64);
        for magnitude in magnitudes() {
            let level = if magnitude > 1.5 * scale { 2.0 } else { 1.0 };
            dot += f64::from(magnitude) * level;
            square += level * level;
        }
        scale = if square > 0.0 { (dot / square) as f32 } else { 0.0 };
    }
    f16::from_f32(scale.min(f16::MAX.to_f32()))
}

fn decode_chunk(
    bytes: &[u8],
    k: usize,
    n: usize,
    at: Place,
    weight: Weight,
    out: &mut Decoded,
) -> Result<(), CodecError> {
    let element = out.values.len();
    let scale = f16::from_le_bytes([bytes[0], bytes[1]]);
    if !scale.is_finite() || scale.is_sign_negative() {
        return Err(CodecError::Value { element });
    }
    let scale = scale.to_f32();
    let index_bytes = (k * INDEX_BITS).div_ceil(8);
    let (indices, codes) = bytes[SCALE_BYTES..].split_at(index_bytes);
    let mut adds = [0i32; 4];
    let mut values = [0f32; 4];
    for code in 0..4usize {
        let level = signed_level(code as u32);
        adds[code] = contribution(weight, level, scale).ok_or(CodecError::Contribution { element })?;
        values[code] = level as f32 * scale;
    }

    let mut index_bits = BitReader::new(indices);
    let mut code_bits = BitReader::new(codes);
    let mut previous = None;
    for _ in 0..k {
        let index = index_bits.pull(INDEX_BITS);
        if index as usize >= n || previous.is_some_and(|p| index <= p) {
            return Err(CodecError::Index { index, chunk: at.chunk });
        }
        previous = Some(index);
        let code = code_bits.pull(CODE_BITS) as usize;
        out.indices.push(at.start as u32 + index);
        out.values.push(values[code]);
        out.adds.push(adds[code]);
    }
    if index_bits.rest_is_set() || code_bits.rest_is_set() {
        return Err(CodecError::Value { element: out.values.len() });
    }
    Ok(())
}

/// +1, -1, +2, -2 for codes 0 to 3.
const fn signed_level(code: u32) -> i32 {
    let level = 1 + (code >> 1) as i32;
    if code & 1 == 1 { -level } else { level }
}

/// Packs little-endian bit fields.
struct BitWriter<'a> {
    bytes: &'a mut Vec<u8>,
    pending: u32,
    filled: usize,
}

impl<'a> BitWriter<'a> {
    fn new(bytes: &'a mut Vec<u8>) -> Self {
        Self { bytes, pending: 0, filled: 0 }
    }

    fn push(&mut self, value: u32, bits: usize) {
        self.pending |= value << self.filled;
        self.filled += bits;
        while self.filled >= 8 {
            self.bytes.push(self.pending as u8);
            self.pending >>= 8;
            self.filled -= 8;
        }
    }

    fn finish(self) {
        if self.filled > 0 {
            self.bytes.push(self.pending as u8);
        }
    }
}

/// Reads little-endian bit fields; bits past the end read as zero (lengths are checked before).
struct BitReader<'a> {
    bytes: std::slice::Iter<'a, u8>,
    pending: u32,
    filled: usize,
}

impl<'a> BitReader<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self { bytes: bytes.iter(), pending: 0, filled: 0 }
    }

    fn pull(&mut self, bits: usize) -> u32 {
        while self.filled < bits {
            self.pending |= u32::from(self.bytes.next().copied().unwrap_or(0)) << self.filled;
            self.filled += 8;
        }
        let value = self.pending & ((1 << bits) - 1);
        self.pending >>= bits;
        self.filled -= bits;
        value
    }

    fn rest_is_set(&self) -> bool {
        self.pending != 0 || self.bytes.clone().any(|&byte| byte != 0)
    }
}
