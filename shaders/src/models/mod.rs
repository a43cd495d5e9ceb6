//! Models: a list of layers over one flat parameter buffer.
//!
//! Add a model: one file here, a variant of [`ModelSpec`], one line in [`ALL`].

pub mod mlp;

use protocol::schema::Schema;
use serde::{Deserialize, Serialize};

use mlp::Mlp;

/// Names of the models, as in a job file, and one line about each.
pub const ALL: &[(&str, &str)] = &[("mlp", "fully connected layers with ReLU between them")];

/// A model as a job describes it; what the data decide (input width, classes) is not part of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ModelSpec {
    /// See [`mlp`].
    Mlp {
        /// Widths of the hidden layers; none for a linear model.
        hidden: Vec<u32>,
    },
}

impl ModelSpec {
    /// The model for samples of that many features and classes.
    #[must_use]
    pub fn build(&self, features: usize, classes: usize) -> Mlp {
        match self {
            Self::Mlp { hidden } => Mlp::new(features, hidden, classes),
        }
    }

    /// Names and shapes of its parameters.
    #[must_use]
    pub fn schema(&self, features: usize, classes: usize) -> Schema {
        self.build(features, classes).schema()
    }
}

#[cfg(test)]
mod tests;
