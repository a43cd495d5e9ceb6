//! A model for other tools.

use safetensors::Dtype;
use shaders::models::layout::{self, Named};

use super::onnx;
use crate::error::{Error, Kind};
use crate::store::checkpoint::{Model, safetensors_file};

/// Forms that a model can leave in, and one line about each.
pub const ALL: &[(Format, &str, &str)] = &[
    (Format::Safetensors, "safetensors", "the weights by name, shapes as PyTorch has them; what --init reads"),
    (
        Format::Onnx,
        "onnx",
        "the graph with its weights, for mlp and cnn: input [batch, ...], pictures channels first; output logits",
    ),
];

/// See [`ALL`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Weights.
    Safetensors,
    /// Weights and graph.
    Onnx,
}

/// The bytes of the file.
///
/// # Errors
/// A model that has no such form.
pub fn bytes(model: &Model, format: Format) -> Result<Vec<u8>, Error> {
    let named = layout::to_named(&model.about.model, &model.about.shape, &model.network, &model.weights);
    match format {
        Format::Safetensors => {
            let tensors = named.iter().map(|Named { name, shape, values }| {
                (name.as_str(), Dtype::F32, shape.clone(), bytemuck::cast_slice(values))
            });
            safetensors_file(tensors, ("format", "pt".to_owned())).map_err(|error| Error::new(Kind::Internal, error))
        }
        Format::Onnx => {
            let classes = model.about.class_names.join("\n");
            let metadata = [("run", model.about.run.as_str()), ("model_hash", &model.hash), ("classes", &classes)];
            onnx::bytes(&model.about, named, &metadata)
        }
    }
}
