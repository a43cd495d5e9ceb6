//! `top_k_2bit:K`: as [`top_k_2bit`](super::TopK2Bit), with K in place of 64 elements kept of every chunk of 4,096.
//!
//! ```text
//! k = ceil(n K / 4096) for a chunk of n elements        bytes of a full chunk = 2 + 1.75 K
//! ```
//!
//! Few densities, each a codec of its own with its own wire id: a payload of another density is refused by its header, and
//! no number on the wire decides how much is read.
//!
//! The more is said at once, the smaller a gain is safe. Measured without the brake (docs/performance.md), largest gain that
//! learns and smallest that does not, of 1, 1.5, 2, 3, 4, 6: K = 16: 6 and none, 32: 4 and 6, 128: 2 and 3, 256: 1.5 and 2. The defaults keep a
//! step away from the limit.

use super::top_k_2bit::Density;
use super::{Codec, CodecError, Decoded};
use crate::fixed::Weight;

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct TopK2BitDensity {
    name: &'static str,
    about: &'static str,
    wire_id: u8,
    density: Density,
    gain: f32,
}

impl TopK2BitDensity {
    /// 16 of 4,096.
    pub const K16: Self = Self {
        name: "top_k_2bit:16",
        about: "the largest 16 of every 4096 elements: 546x smaller than f32",
        wire_id: 5,
        density: Density { kept: 16 },
        gain: 4.0,
    };
    /// 32 of 4,096.
    pub const K32: Self = Self {
        name: "top_k_2bit:32",
        about: "the largest 32 of every 4096 elements: 282x smaller than f32",
        wire_id: 6,
        density: Density { kept: 32 },
        gain: 3.0,
    };
    /// 128 of 4,096.
    pub const K128: Self = Self {
        name: "top_k_2bit:128",
        about: "the largest 128 of every 4096 elements: 72x smaller than f32",
        wire_id: 7,
        density: Density { kept: 128 },
        gain: 1.5,
    };
    /// 256 of 4,096.
    pub const K256: Self = Self {
        name: "top_k_2bit:256",
        about: "the largest 256 of every 4096 elements: 36x smaller than f32",
        wire_id: 8,
        density: Density { kept: 256 },
        gain: 1.0,
    };
}

impl Codec for TopK2BitDensity {
    fn name(&self) -> &'static str {
        self.name
    }

    fn about(&self) -> &'static str {
        self.about
    }

    fn wire_id(&self) -> u8 {
        self.wire_id
    }

    fn gain_default(&self) -> f32 {
        self.gain
    }

    fn payload_bytes_max(&self, parameters: usize) -> usize {
        self.density.payload_bytes(parameters)
    }

    fn density(&self) -> Option<Density> {
        Some(self.density)
    }

    fn encode(&self, residual: &[f32], payload: &mut Vec<u8>) {
        self.density.encode(residual, payload);
    }

    fn decode(&self, payload: &[u8], parameters: usize, weight: Weight, out: &mut Decoded) -> Result<(), CodecError> {
        self.density.decode(payload, parameters, weight, out)
    }
}
