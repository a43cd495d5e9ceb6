//! Linear layer with an optional activation: Y = act(X W^T + b).
//!
//! ```text
//! forward     y = act(x w^T + b)                                    x [M, K], w [N, K], b [N], y [M, N]
//! backward    dz = dy act'(z)   dw = dz^T x   db = sum_m dz   dx = dz w
//! ```
//!
//! ReLU is taken back from y. GELU and SiLU need z: while training the layer keeps it and runs the activation apart; while
//! evaluating nothing is kept and the activation is the epilogue of the product.

use super::{Backward, Forward, Layer, input};
use crate::engine::plan::Draft;
use crate::kernels::Activation;
use crate::kernels::linear_backward_input::LinearBackwardInput;
use crate::kernels::linear_backward_weight::LinearBackwardWeight;
use crate::kernels::linear_forward::LinearForward;
use crate::layers::activation;

/// One layer of given widths; its parameters lie at `offset` of the flat buffers.
#[derive(Clone, Copy, Debug)]
pub struct Linear {
    /// K.
    pub inputs: usize,
    /// N.
    pub outputs: usize,
    /// What follows.
    pub activation: Activation,
    /// Whether there is a b.
    pub bias: bool,
    /// Where w begins; b follows it.
    pub offset: usize,
    /// Rows of one sample: M is so many times the samples.
    pub rows: usize,
}

impl Linear {
    fn words(&self, samples: usize, activation: Activation) -> [u32; 6] {
        let [m, n, k, offset] = [self.rows * samples, self.outputs, self.inputs, self.offset].map(|word| word as u32);
        [m, n, k, activation as u32, offset, u32::from(!self.bias)]
    }
}

impl Layer for Linear {
    fn width(&self) -> usize {
        self.rows * self.outputs
    }

    fn saved(&self, samples: usize) -> usize {
        if self.activation.needs_input() { samples * self.width() } else { 0 }
    }

    fn forward(&self, draft: &mut Draft, io: &Forward<'_>) {
        let x = *input(io.x);
        match io.saved {
            Some(z) => {
                draft.push(&LinearForward, &[x, io.theta, z], &self.words(io.samples, Activation::None));
                activation::forward(draft, self.activation, io.samples * self.width(), z, io.y);
            }
            None => draft.push(&LinearForward, &[x, io.theta, io.y], &self.words(io.samples, self.activation)),
        }
    }

    fn backward(&self, draft: &mut Draft, io: &Backward<'_>) {
        let forward = &io.forward;
        let kept = forward.saved.unwrap_or(forward.y);
        activation::backward(draft, self.activation, forward.samples * self.width(), kept, io.dy);
        let [m, n, k, _, offset, no_bias] = self.words(forward.samples, Activation::None);
        let x = *input(forward.x);
        draft.push(&LinearBackwardWeight, &[io.dy, x, io.gradient], &[m, n, k, offset, no_bias]);
        if let Some(dx) = input(io.dx) {
            draft.push(&LinearBackwardInput, &[io.dy, forward.theta, dx.buffer], &[m, n, k, offset]);
        }
    }
}
