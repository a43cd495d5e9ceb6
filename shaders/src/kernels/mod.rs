//! The kernels: what runs on the device, and the same in plain Rust.
//!
//! A kernel is a folder: `kernel.wgsl` (what the GPU runs), `cpu.rs` (its twin: oracle, and what runs where there is no
//! GPU) and `mod.rs` (formula, shapes, bindings, sizes). Both see the same arguments: slices of buffers, and a few words.
//! Numbers are f32, indices u32, the base i32; a buffer is a vector of 32-bit words.
//!
//! Add a kernel: one folder and one line in [`ALL`]. The tests loop over [`ALL`].

pub mod accumulate;
mod activation;
pub mod activation_backward;
pub mod activation_forward;
pub mod adam;
pub mod adam_common;
pub mod add;
pub mod advance;
pub mod attention_backward_key_value;
pub mod attention_backward_key_value_tiled;
pub mod attention_backward_query;
pub mod attention_backward_query_tiled;
pub mod attention_forward;
pub mod attention_forward_tiled;
pub mod attention_step;
pub mod average_pool_backward;
pub mod average_pool_forward;
pub mod base_weights;
pub mod class_weights;
pub mod clip_factor;
pub mod conv2d_backward_input;
pub mod conv2d_backward_input_tiled;
pub mod conv2d_backward_input_wide;
pub mod conv2d_backward_weight;
pub mod conv2d_backward_weight_tiled;
pub mod conv2d_backward_weight_wide;
pub mod conv2d_forward;
pub mod conv2d_forward_tiled;
pub mod conv2d_forward_wide;
mod cost;
pub mod decode_top_k_2bit;
pub mod dropout;
pub mod embedding_backward;
pub mod embedding_forward;
pub mod gather;
pub mod groups;
pub mod heads;
mod lanes;
pub mod linear_backward_input;
pub mod linear_backward_input_tiled;
pub mod linear_backward_input_wide;
pub mod linear_backward_weight;
pub mod linear_backward_weight_tiled;
pub mod linear_backward_weight_wide;
pub mod linear_forward;
pub mod linear_forward_tiled;
pub mod linear_forward_wide;
mod loops;
pub mod matmul;
pub mod max_pool_backward;
pub mod max_pool_forward;
pub mod mean_square;
pub mod mean_squared_error;
pub mod next_token;
pub mod norm_backward_input;
pub mod norm_backward_statistics;
pub mod norm_backward_statistics_shared;
pub mod norm_backward_weight;
pub mod norm_forward;
pub mod norm_statistics;
pub mod norm_statistics_shared;
mod patches;
pub mod residual;
pub mod residual_measure;
pub mod rotary;
pub mod scale;
pub mod scatter_add;
pub mod select_largest;
pub mod sgd;
mod shared;
pub mod softmax_cross_entropy;
pub mod softmax_cross_entropy_shared;
pub mod sum_slices;
pub mod sum_squares;
pub mod threads;
pub mod tiles;
pub mod token_chain;

use std::fmt::Debug;

pub use cost::Cost;

/// Every kernel.
pub static ALL: &[&dyn Kernel] = &[
    &gather::Gather,
    &linear_forward::LinearForward,
    &linear_backward_input::LinearBackwardInput,
    &linear_backward_weight::LinearBackwardWeight,
    &softmax_cross_entropy::SoftmaxCrossEntropy,
    &softmax_cross_entropy_shared::SoftmaxCrossEntropyShared,
    &adam::Adam,
    &mean_square::MeanSquare,
    &adam_common::AdamCommon,
    &sgd::Sgd,
    &advance::Advance,
    &scatter_add::ScatterAdd,
    &decode_top_k_2bit::DecodeTopK2Bit,
    &residual::Residual,
    &residual_measure::ResidualMeasure,
    &select_largest::SelectLargest,
    &base_weights::BaseWeights,
    &accumulate::Accumulate,
    &activation_forward::ActivationForward,
    &activation_backward::ActivationBackward,
    &conv2d_forward::Conv2dForward,
    &conv2d_backward_input::Conv2dBackwardInput,
    &conv2d_backward_weight::Conv2dBackwardWeight,
    &sum_slices::SumSlices,
    &max_pool_forward::MaxPoolForward,
    &max_pool_backward::MaxPoolBackward,
    &average_pool_forward::AveragePoolForward,
    &average_pool_backward::AveragePoolBackward,
    &add::Add,
    &norm_statistics::NormStatistics,
    &norm_statistics_shared::NormStatisticsShared,
    &norm_forward::NormForward,
    &norm_backward_statistics::NormBackwardStatistics,
    &norm_backward_statistics_shared::NormBackwardStatisticsShared,
    &norm_backward_input::NormBackwardInput,
    &norm_backward_weight::NormBackwardWeight,
    &sum_squares::SumSquares,
    &clip_factor::ClipFactor,
    &scale::Scale,
    &dropout::Dropout,
    &mean_squared_error::MeanSquaredError,
    &class_weights::ClassWeights,
    &next_token::NextToken,
    &embedding_forward::EmbeddingForward,
    &token_chain::TokenChain,
    &embedding_backward::EmbeddingBackward,
    &rotary::Rotary,
    &attention_forward::AttentionForward,
    &attention_forward_tiled::TILED_32,
    &attention_forward_tiled::TILED_64,
    &attention_step::AttentionStep,
    &attention_backward_query::AttentionBackwardQuery,
    &attention_backward_query_tiled::TILED_32,
    &attention_backward_query_tiled::TILED_64,
    &attention_backward_key_value::AttentionBackwardKeyValue,
    &attention_backward_key_value_tiled::TILED_32,
    &attention_backward_key_value_tiled::TILED_64,
    &linear_forward_wide::LinearForwardWide,
    &linear_backward_input_wide::LinearBackwardInputWide,
    &linear_backward_weight_wide::LinearBackwardWeightWide,
    &conv2d_forward_wide::Conv2dForwardWide,
    &conv2d_backward_input_wide::Conv2dBackwardInputWide,
    &conv2d_backward_weight_wide::Conv2dBackwardWeightWide,
    &linear_forward_tiled::TILED_32,
    &linear_forward_tiled::WIDE_32,
    &linear_forward_tiled::TILED_64,
    &linear_forward_tiled::WIDE_64,
    &linear_forward_tiled::TILED_128,
    &linear_forward_tiled::WIDE_128,
    &linear_forward_tiled::HALF_64,
    &linear_forward_tiled::HALF_WIDE_64,
    &linear_backward_input_tiled::TILED_32,
    &linear_backward_input_tiled::WIDE_32,
    &linear_backward_input_tiled::TILED_64,
    &linear_backward_input_tiled::WIDE_64,
    &linear_backward_input_tiled::TILED_128,
    &linear_backward_input_tiled::WIDE_128,
    &linear_backward_input_tiled::HALF_64,
    &linear_backward_input_tiled::HALF_WIDE_64,
    &linear_backward_weight_tiled::TILED_32,
    &linear_backward_weight_tiled::WIDE_32,
    &linear_backward_weight_tiled::TILED_64,
    &linear_backward_weight_tiled::WIDE_64,
    &linear_backward_weight_tiled::TILED_128,
    &linear_backward_weight_tiled::WIDE_128,
    &linear_backward_weight_tiled::HALF_64,
    &linear_backward_weight_tiled::HALF_WIDE_64,
    &conv2d_forward_tiled::TILED_32,
    &conv2d_forward_tiled::WIDE_32,
    &conv2d_forward_tiled::TILED_64,
    &conv2d_forward_tiled::WIDE_64,
    &conv2d_forward_tiled::TILED_128,
    &conv2d_forward_tiled::WIDE_128,
    &conv2d_forward_tiled::HALF_64,
    &conv2d_forward_tiled::HALF_WIDE_64,
    &conv2d_backward_input_tiled::TILED_32,
    &conv2d_backward_input_tiled::WIDE_32,
    &conv2d_backward_input_tiled::TILED_64,
    &conv2d_backward_input_tiled::WIDE_64,
    &conv2d_backward_input_tiled::TILED_128,
    &conv2d_backward_input_tiled::WIDE_128,
    &conv2d_backward_input_tiled::HALF_64,
    &conv2d_backward_input_tiled::HALF_WIDE_64,
    &conv2d_backward_weight_tiled::TILED_32,
    &conv2d_backward_weight_tiled::WIDE_32,
    &conv2d_backward_weight_tiled::TILED_64,
    &conv2d_backward_weight_tiled::WIDE_64,
    &conv2d_backward_weight_tiled::TILED_128,
    &conv2d_backward_weight_tiled::WIDE_128,
    &conv2d_backward_weight_tiled::HALF_64,
    &conv2d_backward_weight_tiled::HALF_WIDE_64,
];

/// Most arguments of a kernel: WebGPU grants eight storage buffers a stage, and the words take a uniform.
pub const ARGUMENTS_MAX: usize = 8;
/// Words of a dispatch: one uniform of 64 bytes.
pub const WORDS: usize = 16;
/// Workgroups along x before a grid folds into y.
pub const GROUPS_X_MAX: u32 = 32_768;
/// Workgroups along an axis that all of WebGPU grants.
pub const GROUPS_AXIS_MAX: u32 = 65_535;

/// Whether a kernel reads an argument only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Read only.
    Read,
    /// Read and written.
    Write,
}

/// See the module.
pub trait Kernel: Sync + Debug {
    /// Its folder.
    fn name(&self) -> &'static str;

    /// WGSL with the lines of [`crate::wgsl`]; entry point `main`, arguments at bindings 0.., words in a uniform behind them.
    fn wgsl(&self) -> &'static str;

    /// Constants that this WGSL is expanded with: kernels of one text differ by them.
    fn constants(&self) -> Vec<(&'static str, u32)> {
        Vec::new()
    }

    /// Whether its WGSL computes with f16, which not every device has ([`crate::engine::DeviceInfo::f16`]).
    fn needs_f16(&self) -> bool {
        false
    }

    /// Access to each argument, in order.
    fn access(&self) -> &'static [Access];

    /// Invocations along x and y that cover these words' shapes, and the workgroup's extent in the WGSL.
    fn grid(&self, words: &[u32; WORDS]) -> Grid;

    /// What these words' shapes ask for at least: a profile says how far its time is from that.
    fn cost(&self, words: &[u32; WORDS]) -> Cost;

    /// How often the loops of one invocation go round at most, all together: see `loops`.
    fn turns(&self, _words: &[u32; WORDS]) -> u64 {
        0
    }

    /// Words that its twin works in beside its arguments, on each thread: kept for the next call, and so planned (`learner::footprint`). 0
    /// where they are few.
    fn scratch(&self, _words: &[u32; WORDS]) -> usize {
        0
    }

    /// The same on the CPU.
    fn twin(&self, arguments: &mut [Argument<'_>], words: &[u32; WORDS]);
}

/// How many invocations a dispatch takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grid {
    /// Invocations.
    pub invocations: [u32; 2],
    /// Extent of a workgroup.
    pub workgroup: [u32; 2],
}

impl Grid {
    /// One invocation an element, in workgroups of 64.
    #[must_use]
    pub fn elements(n: u32) -> Self {
        Self { invocations: [n, 1], workgroup: [64, 1] }
    }

    /// Workgroups along x, y, z. A long row of invocations folds into stretches of `GROUPS_X_MAX` along y (`flat_index` in the
    /// WGSL); where y has a meaning nothing folds, and an executor refuses what it cannot dispatch.
    #[must_use]
    pub fn groups(&self) -> [u32; 3] {
        let x = self.invocations[0].div_ceil(self.workgroup[0]).max(1);
        let y = self.invocations[1].div_ceil(self.workgroup[1]).max(1);
        if x > GROUPS_X_MAX && self.workgroup[1] == 1 { [GROUPS_X_MAX, x.div_ceil(GROUPS_X_MAX), 1] } else { [x, y, 1] }
    }
}

/// One argument of a twin: the words of a buffer's slice.
#[derive(Debug)]
pub enum Argument<'a> {
    /// Of an [`Access::Read`].
    Read(&'a [u32]),
    /// Of an [`Access::Write`].
    Write(&'a mut [u32]),
}

impl Argument<'_> {
    /// The words as f32.
    #[must_use]
    pub fn f32(&self) -> &[f32] {
        bytemuck::cast_slice(self.words())
    }

    /// The words as they are.
    #[must_use]
    pub fn words(&self) -> &[u32] {
        match self {
            Self::Read(words) => words,
            Self::Write(words) => words,
        }
    }

    /// The words as i32.
    #[must_use]
    pub fn i32(&self) -> &[i32] {
        bytemuck::cast_slice(self.words())
    }

    /// The words as f32, to write.
    ///
    /// # Panics
    /// When the argument is read only: a bug of the kernel.
    pub fn f32_mut(&mut self) -> &mut [f32] {
        bytemuck::cast_slice_mut(self.words_mut())
    }

    /// The words as i32, to write.
    ///
    /// # Panics
    /// When the argument is read only: a bug of the kernel.
    pub fn i32_mut(&mut self) -> &mut [i32] {
        bytemuck::cast_slice_mut(self.words_mut())
    }

    /// The words, to write.
    ///
    /// # Panics
    /// When the argument is read only: a bug of the kernel.
    pub fn words_mut(&mut self) -> &mut [u32] {
        match self {
            Self::Write(words) => words,
            Self::Read(_) => panic!("a kernel writes to an argument that it declared read only"),
        }
    }
}

/// What follows a layer, number by number; as a word of a dispatch.
///
/// ```text
/// relu(z) = max(0, z)        silu(z) = z / (1 + exp(-z))        (Elfwing et al. 2017, arXiv 1702.03118)
/// gelu(z) = z / (1 + exp(-2 u)),  u = sqrt(2 / pi) (z + 0.044715 z^3)
/// ```
///
/// GELU in its tanh form (Hendrycks and Gimpel, arXiv 1606.08415), written by exp: tanh overflows on some GPUs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Activation {
    /// Nothing.
    #[default]
    None = 0,
    /// Rectified linear unit.
    Relu = 1,
    /// Gaussian error linear unit.
    Gelu = 2,
    /// Sigmoid linear unit.
    Silu = 3,
}

impl Activation {
    /// Whether the backward pass needs z, and not only y.
    #[must_use]
    pub fn needs_input(self) -> bool {
        matches!(self, Self::Gelu | Self::Silu)
    }
}

/// A float as a word of a dispatch.
#[must_use]
pub fn word(value: f32) -> u32 {
    value.to_bits()
}

#[cfg(test)]
pub(crate) mod tests;
