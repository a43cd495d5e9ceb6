//! `[model]`: which keys a kind of model takes, their bounds, and how it is written.

use std::fmt::{self, Write as _};

use shaders::models::{self, ActivationKind, CnnSpec, LmSpec, ModelSpec, NormKind};

use super::checks::{invalid, list, within};
use super::raw::RawModel;
use crate::error::{Error, Kind};

/// Most hidden layers.
pub const HIDDEN_LAYERS_MAX: usize = 16;
/// Widest hidden layer.
pub const HIDDEN_WIDTH_MAX: u32 = 8192;
/// Most stages of a convolutional network.
pub const STAGES_MAX: usize = 8;
/// Most channels of a stage.
pub const CHANNELS_MAX: u32 = 2048;
/// Most residual blocks of a stage.
pub const RESIDUAL_BLOCKS_MAX: u32 = 32;
/// Stages where a job gives none: enough for digits and pictures of 28 x 28.
const CHANNELS_DEFAULT: [u32; 2] = [16, 32];

/// Longest context of a language model, tokens.
pub const CONTEXT_MAX: u32 = 8192;
/// Widest language model.
pub const WIDTH_MAX: u32 = 4096;
/// Most layers of a language model.
pub const LAYERS_MAX: u32 = 96;
/// Most heads of a language model.
pub const HEADS_MAX: u32 = 64;
/// Largest share that dropout drops.
pub const DROPOUT_MAX: f32 = 0.9;
/// A language model where a job says nothing: a million parameters less a fifth.
const LM_DEFAULT: LmSpec = LmSpec {
    context: 64,
    width: 128,
    layers: 4,
    heads: 4,
    norm: NormKind::Rms,
    activation: ActivationKind::Gelu,
    dropout: 0.0,
};

/// The keys of `[model]` but `kind`, the kinds that take them, and whether they are given.
type Keys<'a> = [(&'static str, &'static [&'static str], bool)];

/// The model that a layer describes.
pub(super) fn model(raw: RawModel) -> Result<ModelSpec, Error> {
    let kind = raw.kind.as_deref().unwrap_or("mlp");
    if !models::ALL.iter().any(|(known, _)| *known == kind) {
        let known: Vec<_> = models::ALL.iter().map(|(known, _)| format!("`{known}`")).collect();
        return Err(invalid("model.kind", &format!("{kind:?}"), "no such model").hint(known.join(", ")));
    }
    let keys: &Keys<'_> = &[
        ("model.hidden", &["mlp", "cnn"], raw.hidden.is_some()),
        ("model.channels", &["cnn"], raw.channels.is_some()),
        ("model.residual_blocks", &["cnn"], raw.residual_blocks.is_some()),
        ("model.context", &["lm"], raw.context.is_some()),
        ("model.width", &["lm"], raw.width.is_some()),
        ("model.layers", &["lm"], raw.layers.is_some()),
        ("model.heads", &["lm"], raw.heads.is_some()),
        ("model.norm", &["lm"], raw.norm.is_some()),
        ("model.activation", &["lm"], raw.activation.is_some()),
        ("model.dropout", &["lm"], raw.dropout.is_some()),
    ];
    for (key, kinds, given) in keys {
        if *given && !kinds.contains(&kind) {
            let owners: Vec<_> = kinds.iter().map(|kind| format!("kind = {kind:?}")).collect();
            return Err(Error::new(
                Kind::Input,
                format!("{key} belongs to {}, and this is {kind:?}", owners.join(" or ")),
            )
            .hint("remove it, or use another kind"));
        }
    }
    let hidden = widths("model.hidden", raw.hidden.unwrap_or_default(), HIDDEN_LAYERS_MAX, HIDDEN_WIDTH_MAX)?;
    Ok(match kind {
        "cnn" => {
            let channels = raw.channels.unwrap_or_else(|| CHANNELS_DEFAULT.to_vec());
            let channels = widths("model.channels", channels, STAGES_MAX, CHANNELS_MAX)?;
            if channels.is_empty() {
                return Err(invalid("model.channels", "[]", "a convolutional network has a stage")
                    .hint("channels = [16, 32], or kind = \"mlp\""));
            }
            let blocks = raw.residual_blocks.unwrap_or(0);
            let residual_blocks = within("model.residual_blocks", blocks, 0, RESIDUAL_BLOCKS_MAX)?;
            ModelSpec::Cnn(CnnSpec { channels, residual_blocks, hidden })
        }
        "lm" => {
            let dropout = raw.dropout.unwrap_or(LM_DEFAULT.dropout);
            if !(0.0..=DROPOUT_MAX).contains(&dropout) {
                return Err(invalid(
                    "model.dropout",
                    &dropout.to_string(),
                    &format!("must be from 0 to {DROPOUT_MAX}"),
                ));
            }
            ModelSpec::Lm(LmSpec {
                context: within("model.context", raw.context.unwrap_or(LM_DEFAULT.context), 1, CONTEXT_MAX)?,
                width: within("model.width", raw.width.unwrap_or(LM_DEFAULT.width), 4, WIDTH_MAX)?,
                layers: within("model.layers", raw.layers.unwrap_or(LM_DEFAULT.layers), 1, LAYERS_MAX)?,
                heads: within("model.heads", raw.heads.unwrap_or(LM_DEFAULT.heads), 1, HEADS_MAX)?,
                norm: raw.norm.unwrap_or_default(),
                activation: raw.activation.unwrap_or_default(),
                dropout,
            })
        }
        _ => ModelSpec::Mlp { hidden },
    })
}

fn widths(key: &str, widths: Vec<u32>, most: usize, widest: u32) -> Result<Vec<u32>, Error> {
    if widths.len() > most {
        return Err(invalid(key, &format!("{} layers", widths.len()), &format!("at most {most}")));
    }
    for &width in &widths {
        within(key, width, 1, widest)?;
    }
    Ok(widths)
}

/// Name and value of every key, in fixed order: lists as in a job file.
fn keys(model: &ModelSpec) -> Vec<(&'static str, String)> {
    match model {
        ModelSpec::Mlp { hidden } => vec![("kind", "\"mlp\"".into()), ("hidden", format!("[{}]", list(hidden)))],
        ModelSpec::Cnn(CnnSpec { channels, residual_blocks, hidden }) => vec![
            ("kind", "\"cnn\"".into()),
            ("channels", format!("[{}]", list(channels))),
            ("residual_blocks", residual_blocks.to_string()),
            ("hidden", format!("[{}]", list(hidden))),
        ],
        ModelSpec::Lm(LmSpec { context, width, layers, heads, norm, activation, dropout }) => vec![
            ("kind", "\"lm\"".into()),
            ("context", context.to_string()),
            ("width", width.to_string()),
            ("layers", layers.to_string()),
            ("heads", heads.to_string()),
            ("norm", format!("{:?}", norm.name())),
            ("activation", format!("{:?}", activation.name())),
            ("dropout", format!("{dropout:?}")),
        ],
    }
}

/// Its part of the canonical form: values without quotes and brackets.
pub(super) fn canonical(model: &ModelSpec, line: &mut impl FnMut(&str, &dyn fmt::Display)) {
    for (key, value) in keys(model) {
        line(&format!("model.{key}"), &value.trim_matches(['"', '[', ']']));
    }
}

/// Its part of a job file.
#[must_use]
pub fn to_toml(model: &ModelSpec) -> String {
    keys(model).into_iter().fold("[model]\n".into(), |mut text, (key, value)| {
        let _ = writeln!(text, "{key} = {value}");
        text
    })
}
