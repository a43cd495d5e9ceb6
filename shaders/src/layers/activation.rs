//! Activations: y = act(z), each number by itself. See `kernels::Activation` for the formulas.
//!
//! A layer that ends in one calls [`forward`] and [`backward`]; there is no layer of its own.

use crate::engine::Buffer;
use crate::engine::plan::Draft;
use crate::kernels::Activation;
use crate::kernels::activation_backward::ActivationBackward;
use crate::kernels::activation_forward::ActivationForward;

/// Appends y = act(z) of n numbers.
pub(super) fn forward(draft: &mut Draft, kind: Activation, n: usize, z: Buffer, y: Buffer) {
    draft.push(&ActivationForward, &[z, y], &[n as u32, kind as u32]);
}

/// Appends dy = dy act'(z), in place. `kept` is z; of ReLU it may be y, which is positive where z is.
pub(super) fn backward(draft: &mut Draft, kind: Activation, n: usize, kept: Buffer, dy: Buffer) {
    if kind != Activation::None {
        draft.push(&ActivationBackward, &[kept, dy], &[n as u32, kind as u32]);
    }
}
