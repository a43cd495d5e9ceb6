//! Models: a list of layers over one flat parameter buffer.
//!
//! Add a model: one file here, a variant of [`ModelSpec`], one line in [`ALL`].

mod cnn;
pub mod layout;
mod lm;
mod mlp;
pub mod network;
pub mod steps;

use serde::{Deserialize, Serialize};

use crate::kernels::Activation;
use crate::layers::attention::{HEAD_WIDTH_MAX, HEAD_WIDTH_STEP};
use network::Network;

/// Most parameters of a model: 4 GiB a vector of them, of which training takes about ten. Offsets into it are words of kernels, u32.
pub const PARAMETERS_MAX: usize = 1 << 30;

/// Names of the models, as in a job file, and one line about each.
pub const ALL: &[(&str, &str)] = &[
    ("mlp", "fully connected layers with ReLU between them"),
    ("cnn", "convolutions and pools over pictures, or with residual_blocks a small residual network"),
    ("lm", "a decoder language model on the bytes of a text: attention with rotary positions, tied head"),
];

/// A model as a job describes it; what the data decide (input width, classes) is not part of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ModelSpec {
    /// See [`mlp`].
    Mlp {
        /// Widths of the hidden layers; none for a linear model.
        hidden: Vec<u32>,
    },
    /// See [`cnn`].
    Cnn(CnnSpec),
    /// See [`lm`].
    Lm(LmSpec),
}

/// A language model as a job describes it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LmSpec {
    /// Places of a window.
    pub context: u32,
    /// Numbers of a place.
    pub width: u32,
    /// Layers of attention and perceptron.
    pub layers: u32,
    /// Heads of attention.
    pub heads: u32,
    /// Which norm.
    pub norm: NormKind,
    /// Of the perceptrons.
    pub activation: ActivationKind,
    /// Share of the numbers that is dropped before each sum, 0 to below 1.
    pub dropout: f32,
}

/// Norms of a language model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NormKind {
    /// Without mean and biases.
    #[default]
    Rms,
    /// With them.
    Layer,
}

/// Activations of a language model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ActivationKind {
    /// Rectified linear unit.
    Relu,
    /// Gaussian error linear unit, tanh form.
    #[default]
    Gelu,
    /// Sigmoid linear unit.
    Silu,
}

impl NormKind {
    /// As in a job file.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Rms => "rms",
            Self::Layer => "layer",
        }
    }
}

impl ActivationKind {
    /// As in a job file.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Relu => "relu",
            Self::Gelu => "gelu",
            Self::Silu => "silu",
        }
    }

    fn kernel(self) -> Activation {
        match self {
            Self::Relu => Activation::Relu,
            Self::Gelu => Activation::Gelu,
            Self::Silu => Activation::Silu,
        }
    }
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
    /// More parameters than any device takes.
    #[error("a model of {parameters} parameters: the limit is {limit}")]
    TooLarge {
        /// Of the model.
        parameters: usize,
        /// [`PARAMETERS_MAX`].
        limit: usize,
    },
    /// Heads that no kernel takes.
    #[error(
        "width {width} in {heads} heads: a head must be a multiple of {HEAD_WIDTH_STEP} wide, at most {HEAD_WIDTH_MAX}, and all equal"
    )]
    Heads {
        /// Of the model.
        width: u32,
        /// Of the model.
        heads: u32,
    },
}

/// Groups of the group norm of so many channels.
#[must_use]
pub fn norm_groups(channels: usize) -> usize {
    cnn::groups(channels)
}

impl ModelSpec {
    /// Its name, as in a job file.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Mlp { .. } => "mlp",
            Self::Cnn(_) => "cnn",
            Self::Lm(_) => "lm",
        }
    }

    /// The model for samples of these extents and that many classes. Nothing as large as its parameters is allocated.
    ///
    /// # Errors
    /// [`ModelError`] when it does not fit them, or has more than [`PARAMETERS_MAX`] parameters.
    pub fn build(&self, shape: &[usize], classes: usize) -> Result<Network, ModelError> {
        let features = shape.iter().fold(1, |product: usize, &extent| product.saturating_mul(extent));
        if features > PARAMETERS_MAX {
            let wanted = format!("samples of at most {PARAMETERS_MAX} numbers");
            return Err(ModelError::Shape { model: self.kind(), wanted, found: shape.to_vec() });
        }
        let network = match self {
            Self::Mlp { hidden } => mlp::build(features, hidden, classes),
            Self::Cnn(spec) => cnn::build(spec, shape, classes)?,
            Self::Lm(spec) => lm::build(spec, shape, classes)?,
        };
        match network.parameters() {
            ..=PARAMETERS_MAX => Ok(network),
            parameters => Err(ModelError::TooLarge { parameters, limit: PARAMETERS_MAX }),
        }
    }
}

#[cfg(test)]
mod tests;
