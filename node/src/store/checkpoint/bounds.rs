//! Whether a model that a checkpoint describes may be built: somebody else may have written it, and a layer too many costs as much as it says.

use shaders::models::{CnnSpec, LmSpec, ModelSpec};

use super::About;
use crate::config::model::{
    CHANNELS_MAX, CONTEXT_MAX, HEADS_MAX, HIDDEN_LAYERS_MAX, HIDDEN_WIDTH_MAX, LAYERS_MAX, RESIDUAL_BLOCKS_MAX,
    STAGES_MAX, WIDTH_MAX,
};

/// Most classes, or tokens of a vocabulary.
const CLASSES_MAX: usize = 1 << 20;
/// Most extents of a sample.
const EXTENTS_MAX: usize = 4;
/// The longest.
const EXTENT_MAX: usize = 1 << 24;

/// Whether it is within the bounds of a job.
pub(super) fn hold(about: &About) -> bool {
    let all = |values: &[u32], many: usize, most: u32| {
        values.len() <= many && values.iter().all(|value| (1..=most).contains(value))
    };
    let model = match &about.model {
        ModelSpec::Mlp { hidden } => all(hidden, HIDDEN_LAYERS_MAX, HIDDEN_WIDTH_MAX),
        ModelSpec::Cnn(CnnSpec { channels, residual_blocks, hidden }) => {
            !channels.is_empty()
                && all(channels, STAGES_MAX, CHANNELS_MAX)
                && *residual_blocks <= RESIDUAL_BLOCKS_MAX
                && all(hidden, HIDDEN_LAYERS_MAX, HIDDEN_WIDTH_MAX)
        }
        ModelSpec::Lm(LmSpec { context, width, layers, heads, dropout, .. }) => {
            let extents = [(*context, CONTEXT_MAX), (*width, WIDTH_MAX), (*layers, LAYERS_MAX), (*heads, HEADS_MAX)];
            extents.iter().all(|(value, most)| (1..=*most).contains(value)) && (0.0..1.0).contains(dropout)
        }
    };
    let shape =
        (1..=EXTENTS_MAX).contains(&about.shape.len()) && about.shape.iter().all(|e| (1..=EXTENT_MAX).contains(e));
    model && shape && (1..=CLASSES_MAX).contains(&about.classes)
}
