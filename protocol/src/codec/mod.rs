//! What to say: how the residual `e = theta - b` becomes bytes, and how those bytes become integer contributions.
//!
//! A codec is lossy on purpose. What `encode` leaves out stays in `theta - b` and is said later: that is the error
//! feedback, and it needs no memory of its own. Only the *bytes* are shared: every peer, the origin included, decodes
//! them to the same `v` and adds the same integers `round(w * v)` to its base.
//!
//! Add a codec: one file here and one line in [`ALL`]. The conformance test below loops over [`ALL`].

mod dense_f16;
mod dense_f32;
mod int8;
mod packed;
mod sign;
mod top_k_2bit;
mod top_k_2bit_density;

pub use dense_f16::DenseF16;
pub use dense_f32::DenseF32;
pub use int8::Int8;
pub use packed::Packing;
pub use sign::Sign;
pub use top_k_2bit::{CHUNK, Density, TopK2Bit};
pub use top_k_2bit_density::TopK2BitDensity;

use std::fmt::Debug;

use crate::fixed::Weight;

/// Every codec, in the order of their wire ids.
pub const ALL: &[&dyn Codec] = &[
    &DenseF32,
    &TopK2Bit,
    &DenseF16,
    &Int8,
    &Sign,
    &TopK2BitDensity::K16,
    &TopK2BitDensity::K32,
    &TopK2BitDensity::K128,
    &TopK2BitDensity::K256,
];

/// Turns a residual into a payload and a payload into contributions.
pub trait Codec: Sync + Debug {
    /// Name in job files and on the command line.
    fn name(&self) -> &'static str;

    /// One line for `--help` and the docs.
    fn about(&self) -> &'static str;

    /// Number in the delta header; never reused.
    fn wire_id(&self) -> u8;

    /// Gain that is safe and fast with this codec (gain = w * live peers; see the note where it is set).
    fn gain_default(&self) -> f32;

    /// Largest payload for `parameters` elements, bytes.
    fn payload_bytes_max(&self, parameters: usize) -> usize;

    /// How a codec chooses that says a few elements of every chunk, so that a device can choose for it; `None`: it reads all.
    fn density(&self) -> Option<Density> {
        None
    }

    /// Appends the payload for `residual` (length d, finite) to `payload`.
    fn encode(&self, residual: &[f32], payload: &mut Vec<u8>);

    /// Checks `payload` whole and decodes it into `out` (cleared first).
    ///
    /// # Errors
    /// [`CodecError`] for a wrong length, an index out of place, a non-finite value or a contribution over the cap.
    fn decode(&self, payload: &[u8], parameters: usize, weight: Weight, out: &mut Decoded) -> Result<(), CodecError>;
}

/// The codec of that name.
#[must_use]
pub fn by_name(name: &str) -> Option<&'static dyn Codec> {
    ALL.iter().copied().find(|codec| codec.name() == name)
}

/// The codec of that wire id.
#[must_use]
pub fn by_wire_id(id: u8) -> Option<&'static dyn Codec> {
    ALL.iter().copied().find(|codec| codec.wire_id() == id)
}

/// A decoded delta. Element `i` of `values` and `adds` belongs to coordinate `indices[i]`, or to coordinate `i` when the
/// delta is dense (`indices` empty and `values` as long as the model).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Decoded {
    /// Coordinates, strictly ascending; empty when dense.
    pub indices: Vec<u32>,
    /// v: what the origin takes out of its residual.
    pub values: Vec<f32>,
    /// round(w * v) in base units: what everybody adds to the base.
    pub adds: Vec<i32>,
}

impl Decoded {
    /// Empties the vectors and keeps their memory.
    pub fn clear(&mut self) {
        self.indices.clear();
        self.values.clear();
        self.adds.clear();
    }

    /// Whether every coordinate is present.
    #[must_use]
    pub fn is_dense(&self) -> bool {
        self.indices.is_empty() && !self.values.is_empty()
    }

    /// (coordinate, v, round(w * v)) in ascending order of coordinate.
    pub fn iter(&self) -> impl Iterator<Item = (usize, f32, i32)> + '_ {
        let dense = self.indices.is_empty();
        self.values
            .iter()
            .zip(&self.adds)
            .enumerate()
            .map(move |(i, (&value, &add))| (if dense { i } else { self.indices[i] as usize }, value, add))
    }

    /// ||v||_2, summed in f64 in coordinate order.
    #[must_use]
    pub fn l2_norm(&self) -> f32 {
        self.values.iter().map(|&v| f64::from(v) * f64::from(v)).sum::<f64>().sqrt() as f32
    }
}

/// Why a payload was refused.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum CodecError {
    /// The payload is not as long as the codec makes it.
    #[error("payload of {found} bytes, expected {expected}")]
    Length {
        /// Bytes received.
        found: usize,
        /// Bytes for this model, or the least that what precedes asks for.
        expected: usize,
    },
    /// An index is outside its chunk or not above the one before it.
    #[error("index {index} in chunk {chunk} is out of range or out of order")]
    Index {
        /// Offending index within the chunk.
        index: u32,
        /// Chunk number.
        chunk: usize,
    },
    /// NaN, an infinity, a negative scale, or set padding bits.
    #[error("value at element {element} is not canonical")]
    Value {
        /// Element number in payload order.
        element: usize,
    },
    /// w * v passes [`crate::fixed::CONTRIBUTION_MAX`].
    #[error("contribution of element {element} is over the cap of 32.0")]
    Contribution {
        /// Element number in payload order.
        element: usize,
    },
}

#[cfg(test)]
mod tests;
