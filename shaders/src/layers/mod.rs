//! Layers: each a file with a forward and a backward half, which append kernels to a recording.

pub mod linear;
pub mod softmax_cross_entropy;
