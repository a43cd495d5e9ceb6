//! A model's weights by name, as other tools expect them.
//!
//! Here pictures are [H, W, C] and a convolution's weight is [O, K, K, C]; PyTorch and ONNX have [C, H, W] and [O, C, K, K]. So
//!
//! ```text
//! there[o, c, i, j] = here[o, i, j, c]              of a convolution
//! there[n, c, y, x] = here[n, y, x, c]              of the linear layer that reads a picture laid out in a row
//! ```
//!
//! and everything else is the same. Names are those of the schema.

use std::collections::BTreeMap;

use protocol::schema::Tensor;

use super::network::Network;
use super::{ModelSpec, cnn};

/// A tensor as others have it.
#[derive(Clone, Debug, PartialEq)]
pub struct Named {
    /// Its name.
    pub name: String,
    /// Its extents, outermost first.
    pub shape: Vec<usize>,
    /// Row by row.
    pub values: Vec<f32>,
}

/// Why weights of others are not those of a model.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum LayoutError {
    /// A tensor is missing.
    #[error("there is no tensor {0:?}")]
    Missing(String),
    /// A tensor that the model does not have.
    #[error("the model has no tensor {0:?}")]
    Unknown(String),
    /// A tensor of other extents.
    #[error("{name:?} is {found:?}, the model's is {expected:?}")]
    Shape {
        /// Its name.
        name: String,
        /// As given.
        found: Vec<usize>,
        /// As it should be.
        expected: Vec<usize>,
    },
}

/// Where a tensor's channels go.
enum Turn {
    /// Nowhere.
    None,
    /// [outer, places, channels] here, [outer, channels, places] there.
    Channels { outer: usize, places: usize, channels: usize },
}

/// Shape there, and what is turned.
fn turn(spec: &ModelSpec, shape: &[usize], tensor: &Tensor) -> (Vec<usize>, Turn) {
    let extents: Vec<usize> = tensor.shape.iter().map(|&extent| extent as usize).collect();
    match (extents.as_slice(), spec) {
        (&[outer, k, l, channels], _) => {
            (vec![outer, channels, k, l], Turn::Channels { outer, places: k * l, channels })
        }
        (&[outer, inputs], ModelSpec::Cnn(cnn)) if tensor.name == "layers.0.weight" => {
            let channels = cnn::last_picture(cnn, shape).map_or(1, |picture| picture[2]);
            (vec![outer, inputs], Turn::Channels { outer, places: inputs / channels.max(1), channels })
        }
        _ => (extents, Turn::None),
    }
}

/// For every number there its place here.
fn places(turn: &Turn, elements: usize) -> Box<dyn Iterator<Item = usize>> {
    match *turn {
        Turn::None => Box::new(0..elements),
        Turn::Channels { outer, places, channels } => Box::new((0..outer).flat_map(move |o| {
            (0..channels).flat_map(move |c| (0..places).map(move |place| (o * places + place) * channels + c))
        })),
    }
}

/// Weights in buffer order, by name. `shape` are the extents of a sample.
#[must_use]
pub fn to_named(spec: &ModelSpec, shape: &[usize], network: &Network, weights: &[f32]) -> Vec<Named> {
    let mut rest = weights;
    let tensors = network.schema().tensors.into_iter().map(|tensor| {
        let (extents, turn) = turn(spec, shape, &tensor);
        let elements: usize = extents.iter().product();
        let (here, behind) = rest.split_at(elements.min(rest.len()));
        rest = behind;
        let values = places(&turn, elements).map(|place| here.get(place).copied().unwrap_or(0.0)).collect();
        Named { name: tensor.name, shape: extents, values }
    });
    tensors.collect()
}

/// The way back.
///
/// # Errors
/// [`LayoutError`] that names the tensor.
pub fn from_named(
    spec: &ModelSpec,
    shape: &[usize],
    network: &Network,
    named: Vec<Named>,
) -> Result<Vec<f32>, LayoutError> {
    let mut given: BTreeMap<String, Named> = named.into_iter().map(|named| (named.name.clone(), named)).collect();
    let mut weights = Vec::with_capacity(network.parameters());
    for tensor in network.schema().tensors {
        let (expected, turn) = turn(spec, shape, &tensor);
        let Named { name, shape: found, values } =
            given.remove(&tensor.name).ok_or_else(|| LayoutError::Missing(tensor.name.clone()))?;
        let elements: usize = expected.iter().product();
        if found != expected || values.len() != elements {
            return Err(LayoutError::Shape { name, found, expected });
        }
        let first = weights.len();
        weights.resize(first + elements, 0.0);
        for (place, value) in places(&turn, elements).zip(values) {
            weights[first + place] = value;
        }
    }
    match given.into_keys().next() {
        Some(unknown) => Err(LayoutError::Unknown(unknown)),
        None => Ok(weights),
    }
}

/// Samples [n, H, W, C] as [n, C, H, W]; what is no picture with channels stays. For whoever asks the model elsewhere.
#[must_use]
pub fn sample_shape(spec: &ModelSpec, shape: &[usize]) -> Vec<usize> {
    match (spec, shape) {
        (ModelSpec::Cnn(_), &[height, width]) => vec![1, height, width],
        (ModelSpec::Cnn(_), &[height, width, channels]) => vec![channels, height, width],
        _ => shape.to_vec(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;
    use crate::models::CnnSpec;

    fn cnn(blocks: u32) -> ModelSpec {
        ModelSpec::Cnn(CnnSpec { channels: vec![3, 5], residual_blocks: blocks, hidden: vec![7] })
    }

    #[test]
    fn there_and_back_is_the_same_and_channels_come_first() {
        for (spec, shape) in
            [(ModelSpec::Mlp { hidden: vec![4] }, vec![2, 3]), (cnn(0), vec![9, 8, 2]), (cnn(1), vec![8, 8])]
        {
            let network = spec.build(&shape, 3).unwrap();
            let weights: Vec<f32> = (0..network.parameters()).map(|i| i as f32 / 1000.0).collect();
            let named = to_named(&spec, &shape, &network, &weights);
            assert_eq!(from_named(&spec, &shape, &network, named).unwrap(), weights);
        }
        let (spec, shape) = (cnn(0), [9, 8, 2]);
        let network = spec.build(&shape, 3).unwrap();
        let weights: Vec<f32> = (0..network.parameters()).map(|i| i as f32).collect();
        let named = to_named(&spec, &shape, &network, &weights);
        assert_eq!((named[0].name.as_str(), named[0].shape.as_slice()), ("convolutions.0.weight", &[3, 2, 3, 3][..]));
        // [o, i, j, c] = [1, 2, 0, 1] of [3, 3, 3, 2] is [1, 1, 2, 0] of [3, 2, 3, 3].
        assert_eq!(named[0].values[18 + 9 + 6] as usize, 18 + 12 + 1);
        // 9 x 8 becomes 4 x 4 and 2 x 2 with 5 channels; of output 1: y 1, x 0, channel 3.
        let head = named.iter().find(|named| named.name == "layers.0.weight").unwrap();
        let first: usize =
            named.iter().take_while(|named| named.name != "layers.0.weight").map(|n| n.values.len()).sum();
        assert_eq!(head.shape, [7, 20]);
        assert_eq!(head.values[20 + 3 * 4 + 2] as usize, first + 20 + 2 * 5 + 3);
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let (spec, shape) = (ModelSpec::Mlp { hidden: vec![4] }, [6]);
        let network = spec.build(&shape, 3).unwrap();
        let good = to_named(&spec, &shape, &network, &vec![0.5; network.parameters()]);
        let refused = |change: fn(&mut Vec<Named>)| {
            let mut named = good.clone();
            change(&mut named);
            from_named(&spec, &shape, &network, named).unwrap_err()
        };
        assert_eq!(refused(|n| drop(n.remove(1))), LayoutError::Missing("layers.0.bias".into()));
        assert!(matches!(refused(|n| n[0].shape = vec![6, 4]), LayoutError::Shape { .. }));
        let extra = |n: &mut Vec<Named>| n.push(Named { name: "more".into(), shape: vec![], values: vec![] });
        assert_eq!(refused(extra), LayoutError::Unknown("more".into()));
    }
}
