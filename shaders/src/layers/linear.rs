//! Linear layer with optional ReLU: Y = act(X W^T + b).
//!
//! ```text
//! forward     y = act(x w^T + b)                                    x [M, K], w [N, K], b [N], y [M, N]
//! backward    dy = dy * [y > 0]   dw = dy^T x   db = sum_m dy   dx = dy w
//! ```

use crate::engine::{Buffer, Recording};
use crate::kernels::linear_backward_input::LinearBackwardInput;
use crate::kernels::linear_backward_weight::LinearBackwardWeight;
use crate::kernels::linear_forward::LinearForward;
use crate::kernels::relu_backward::ReluBackward;

/// One layer of given widths; its parameters lie at `offset` of the flat buffers.
#[derive(Clone, Copy, Debug)]
pub struct Linear {
    /// K.
    pub inputs: usize,
    /// N.
    pub outputs: usize,
    /// Whether a ReLU follows.
    pub relu: bool,
    /// Where w begins; b follows it.
    pub offset: usize,
}

/// Buffers of activations: values, and the gradient of the loss with respect to them.
#[derive(Clone, Copy, Debug)]
pub struct Activation {
    /// [M, width].
    pub value: Buffer,
    /// [M, width]; of a batch of data nobody asks.
    pub gradient: Option<Buffer>,
}

impl Linear {
    /// w and b.
    #[must_use]
    pub fn parameters(&self) -> usize {
        self.outputs * self.inputs + self.outputs
    }

    /// y from x.
    pub fn forward(&self, recording: &mut Recording, rows: usize, theta: Buffer, x: Buffer, y: Buffer) {
        let words = [rows, self.outputs, self.inputs, usize::from(self.relu), self.offset].map(|word| word as u32);
        recording.push(&LinearForward, &[x, theta, y], &words);
    }

    /// Gradients of the parameters and, where asked for, of x; `y.gradient` is overwritten when there is a ReLU.
    pub fn backward(
        &self,
        recording: &mut Recording,
        rows: usize,
        theta: Buffer,
        gradient: Buffer,
        x: Activation,
        y: Activation,
    ) {
        let Some(dy) = y.gradient else { return };
        if self.relu {
            recording.push(&ReluBackward, &[y.value, dy], &[(rows * self.outputs) as u32]);
        }
        let words = [rows, self.outputs, self.inputs, self.offset].map(|word| word as u32);
        recording.push(&LinearBackwardWeight, &[dy, x.value, gradient], &words);
        if let Some(dx) = x.gradient {
            recording.push(&LinearBackwardInput, &[dy, theta, dx], &words);
        }
    }
}
