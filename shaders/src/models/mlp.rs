//! Multi-layer perceptron: linear layers with ReLU between them, logits at the end.

use protocol::fixed::from_f32;
use protocol::schema::{Schema, Tensor};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};

use crate::engine::{Buffer, Executor, ExecutorError, Recording};
use crate::layers::linear::{Activation, Linear};
use crate::layers::softmax_cross_entropy;

/// See the module.
#[derive(Clone, Debug)]
pub struct Mlp {
    layers: Vec<Linear>,
}

/// Buffers of one batch size.
#[derive(Clone, Debug)]
pub struct Workspace {
    /// M.
    pub rows: usize,
    /// The batch [M, features].
    pub x: Buffer,
    /// Its labels [M].
    pub labels: Buffer,
    /// Loss and correctness of each row [M, 2].
    pub results: Buffer,
    activations: Vec<Activation>,
}

impl Mlp {
    /// Widths: features, the hidden ones, classes.
    #[must_use]
    pub fn new(features: usize, hidden: &[u32], classes: usize) -> Self {
        let widths: Vec<usize> =
            [features].into_iter().chain(hidden.iter().map(|&w| w as usize)).chain([classes]).collect();
        let mut offset = 0;
        let layers = widths.windows(2).enumerate().map(|(i, pair)| {
            let layer = Linear { inputs: pair[0], outputs: pair[1], relu: i + 2 < widths.len(), offset };
            offset += layer.parameters();
            layer
        });
        Self { layers: layers.collect() }
    }

    /// Names and shapes, in buffer order: `layers.0.weight` [N, K], `layers.0.bias` [N], ...
    #[must_use]
    pub fn schema(&self) -> Schema {
        let tensors = self.layers.iter().enumerate().flat_map(|(i, layer)| {
            let weight = vec![layer.outputs as u32, layer.inputs as u32];
            [
                Tensor { name: format!("layers.{i}.weight"), shape: weight },
                Tensor { name: format!("layers.{i}.bias"), shape: vec![layer.outputs as u32] },
            ]
        });
        Schema { tensors: tensors.collect() }
    }

    /// d.
    #[must_use]
    pub fn parameters(&self) -> usize {
        self.layers.iter().map(Linear::parameters).sum()
    }

    /// Initial base b0 from a seed: weights uniform in +-sqrt(6 / K) (He et al. 2015, arXiv 1502.01852), biases 0. The
    /// square root is exact on every IEEE machine and nothing else rounds differently, so every peer starts from the same
    /// bits.
    #[must_use]
    pub fn initial_base(&self, seed: [u8; 32]) -> Vec<i32> {
        let mut rng = ChaCha8Rng::from_seed(seed);
        let mut base = Vec::with_capacity(self.parameters());
        for layer in &self.layers {
            let bound = (6.0 / layer.inputs as f64).sqrt();
            for _ in 0..layer.outputs * layer.inputs {
                // 53 random bits in [0, 1).
                let unit = (rng.next_u64() >> 11) as f64 / (1u64 << 53) as f64;
                base.push(from_f32(((2.0 * unit - 1.0) * bound) as f32));
            }
            base.resize(base.len() + layer.outputs, 0);
        }
        base
    }

    /// Buffers for batches of `rows`.
    ///
    /// # Errors
    /// When the device has no room.
    pub fn workspace(
        &self,
        executor: &mut dyn Executor,
        rows: usize,
        training: bool,
    ) -> Result<Workspace, ExecutorError> {
        let x = executor.allocate(rows * self.layers[0].inputs)?;
        let mut activations = vec![Activation { value: x, gradient: None }];
        for (i, layer) in self.layers.iter().enumerate() {
            let value = executor.allocate(rows * layer.outputs)?;
            let last = i + 1 == self.layers.len();
            // The logits become their own gradient.
            let gradient = match (last, training) {
                (true, _) => Some(value),
                (false, true) => Some(executor.allocate(rows * layer.outputs)?),
                (false, false) => None,
            };
            activations.push(Activation { value, gradient });
        }
        let labels = executor.allocate(rows)?;
        let results = executor.allocate(2 * rows)?;
        Ok(Workspace { rows, x, labels, results, activations })
    }

    /// Appends the forward pass with the loss of every row.
    pub fn forward(&self, recording: &mut Recording, theta: Buffer, workspace: &Workspace) {
        for (layer, pair) in self.layers.iter().zip(workspace.activations.windows(2)) {
            layer.forward(recording, workspace.rows, theta, pair[0].value, pair[1].value);
        }
        let (Some(last), Some(layer)) = (workspace.activations.last(), self.layers.last()) else { return };
        let extents = [workspace.rows, layer.outputs];
        softmax_cross_entropy::forward_backward(recording, extents, last.value, workspace.labels, workspace.results);
    }

    /// Appends the backward pass: the flat gradient of the mean loss.
    pub fn backward(&self, recording: &mut Recording, theta: Buffer, gradient: Buffer, workspace: &Workspace) {
        for (layer, pair) in self.layers.iter().zip(workspace.activations.windows(2)).rev() {
            layer.backward(recording, workspace.rows, theta, gradient, pair[0], pair[1]);
        }
    }
}
