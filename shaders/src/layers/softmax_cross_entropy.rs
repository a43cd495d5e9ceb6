//! Softmax with cross-entropy: the last layer of a classifier. Forward and backward are one kernel: the logits become their
//! own gradient, and every row its loss and whether it was right.

use crate::engine::{Buffer, Recording};
use crate::kernels::softmax_cross_entropy::SoftmaxCrossEntropy;

/// Appends it. `logits` [M, C], `labels` [M], `rows` [M, 2].
pub fn forward_backward(recording: &mut Recording, extents: [usize; 2], logits: Buffer, labels: Buffer, rows: Buffer) {
    recording.push(&SoftmaxCrossEntropy, &[logits, labels, rows], &extents.map(|extent| extent as u32));
}
