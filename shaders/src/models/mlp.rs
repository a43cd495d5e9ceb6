//! Multi-layer perceptron: linear layers with an activation between them, logits at the end.
//!
//! Parameters in buffer order: `layers.0.weight` [N, K], `layers.0.bias` [N], ...

use super::network::{Init, Network, Value};
use crate::kernels::Activation;
use crate::layers::linear::Linear;

/// The perceptron on samples of that many features.
pub(super) fn build(features: usize, hidden: &[u32], classes: usize) -> Network {
    let mut network = Network::new(features, classes);
    let batch = network.batch();
    head(&mut network, batch, features, hidden, classes);
    network
}

/// Appends the perceptron on a value of that many features: what a classifier ends with.
pub(super) fn head(network: &mut Network, mut x: Value, features: usize, hidden: &[u32], classes: usize) -> Value {
    let widths: Vec<usize> =
        [features].into_iter().chain(hidden.iter().map(|&w| w as usize)).chain([classes]).collect();
    for (i, pair) in widths.windows(2).enumerate() {
        let (inputs, outputs) = (pair[0], pair[1]);
        let activation = if i + 2 < widths.len() { Activation::Relu } else { Activation::None };
        let offset = network.tensor(format!("layers.{i}.weight"), &[outputs, inputs], Init::he(inputs));
        network.tensor(format!("layers.{i}.bias"), &[outputs], Init::Constant(0.0));
        x = network.add(Linear { inputs, outputs, activation, bias: true, offset, rows: 1 }, &[x]);
    }
    x
}
