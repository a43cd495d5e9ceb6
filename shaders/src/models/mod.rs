//! Models: a list of layers over one flat parameter buffer.
//!
//! Add a model: one file here, a variant of [`ModelSpec`], one line in [`ALL`].

mod cnn;
mod mlp;
pub mod network;

use protocol::schema::Schema;
use serde::{Deserialize, Serialize};

use network::Network;

/// Names of the models, as in a job file, and one line about each.
pub const ALL: &[(&str, &str)] = &[
    ("mlp", "fully connected layers with ReLU between them"),
    ("cnn", "convolutions and pools over pictures, or with residual_blocks a small residual network"),
];

/// A model as a job describes it; what the data decide (input width, classes) is not part of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ModelSpec {
    /// See [`mlp`].
    Mlp {
        /// Widths of the hidden layers; none for a linear model.
        hidden: Vec<u32>,
    },
    /// See [`cnn`].
    Cnn(CnnSpec),
}

/// A convolutional network as a job describes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CnnSpec {
    /// Of each stage.
    pub channels: Vec<u32>,
    /// Of each stage; none for a plain network.
    pub residual_blocks: u32,
    /// Widths of the hidden layers behind the stages.
    pub hidden: Vec<u32>,
}

/// Why a model cannot be built for some data.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ModelError {
    /// Samples of the wrong extents.
    #[error("the model {model} wants {wanted}, the samples are {found:?}")]
    Shape {
        /// Name of the model.
        model: &'static str,
        /// In words.
        wanted: String,
        /// Extents of a sample.
        found: Vec<usize>,
    },
}

impl ModelSpec {
    /// The model for samples of these extents and that many classes.
    ///
    /// # Errors
    /// [`ModelError`] when it does not fit them.
    pub fn build(&self, shape: &[usize], classes: usize) -> Result<Network, ModelError> {
        match self {
            Self::Mlp { hidden } => Ok(mlp::build(shape.iter().product(), hidden, classes)),
            Self::Cnn(spec) => cnn::build(spec, shape, classes),
        }
    }

    /// Names and shapes of its parameters.
    ///
    /// # Errors
    /// As [`ModelSpec::build`].
    pub fn schema(&self, shape: &[usize], classes: usize) -> Result<Schema, ModelError> {
        Ok(self.build(shape, classes)?.schema())
    }
}

#[cfg(test)]
mod tests;
