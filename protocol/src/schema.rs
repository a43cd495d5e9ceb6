//! The shape of the model that a swarm trains: tensor names and shapes, in the order of the flat parameter buffer.

use crate::id::{Hash, SchemaHash};

/// Version of the codecs' byte formats; part of the schema hash, so peers of another version do not meet.
pub const CODEC_VERSION: u32 = 1;

/// One tensor of the flat parameter buffer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tensor {
    /// Name as in `layers.0.weight`.
    pub name: String,
    /// Extent of every dimension, outermost first.
    pub shape: Vec<u32>,
}

impl Tensor {
    /// Number of elements.
    #[must_use]
    pub fn elements(&self) -> usize {
        self.shape.iter().map(|&n| n as usize).product()
    }
}

/// All tensors, in buffer order.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Schema {
    /// The tensors; tensor `i + 1` begins where tensor `i` ends.
    pub tensors: Vec<Tensor>,
}

impl Schema {
    /// Number of parameters d.
    #[must_use]
    pub fn parameters(&self) -> usize {
        self.tensors.iter().map(Tensor::elements).sum()
    }

    /// blake3 over codec version, names and shapes: two peers whose hashes differ cannot add each other's deltas.
    #[must_use]
    pub fn hash(&self) -> SchemaHash {
        let mut hasher = blake3::Hasher::new_derive_key("starling 1 schema");
        hasher.update(&CODEC_VERSION.to_le_bytes());
        for tensor in &self.tensors {
            hasher.update(&(tensor.name.len() as u32).to_le_bytes());
            hasher.update(tensor.name.as_bytes());
            hasher.update(&(tensor.shape.len() as u32).to_le_bytes());
            for extent in &tensor.shape {
                hasher.update(&extent.to_le_bytes());
            }
        }
        SchemaHash(Hash(*hasher.finalize().as_bytes()))
    }
}
