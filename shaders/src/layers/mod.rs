//! Layers: the operators of a network, each a forward pass and its backward pass as kernels appended to a draft.
//!
//! A layer knows where its parameters lie in the flat buffer and how wide its values are; it owns no memory. Shapes are row-major
//! with channels last: a picture is [H, W, C], a text [T, C]. Each file begins with the formula of both passes.
//!
//! Add a layer: one file here that implements [`Layer`], and a model that uses it.

mod activation;
pub mod add;
pub mod attention;
pub mod conv2d;
pub mod dropout;
pub mod embedding;
pub mod linear;
pub mod norm;
pub mod pool;

use std::fmt::Debug;

use crate::engine::Buffer;
use crate::engine::plan::Draft;
use crate::engine::products::Shape;

/// What a forward pass is given.
#[derive(Clone, Copy, Debug)]
pub struct Forward<'a> {
    /// Samples in the batch.
    pub samples: usize,
    /// All parameters.
    pub theta: Buffer,
    /// The state of training, see `kernels::advance`; `None` while evaluating.
    pub state: Option<Buffer>,
    /// Values that it reads.
    pub x: &'a [Buffer],
    /// The value that it writes.
    pub y: Buffer,
    /// [`Layer::saved`] words, where it asked for some.
    pub saved: Option<Buffer>,
    /// Tables of the network, see `models::network`.
    pub tables: &'a [Buffer],
}

/// Where a gradient with respect to an input goes.
#[derive(Clone, Copy, Debug)]
pub struct Gradient {
    /// As large as the input.
    pub buffer: Buffer,
    /// Whether it is added to what is there, instead of overwriting it; only where [`Layer::adds`].
    pub add: bool,
}

/// What a backward pass is given.
#[derive(Clone, Copy, Debug)]
pub struct Backward<'a> {
    /// As it was.
    pub forward: Forward<'a>,
    /// Gradient of all parameters; the layer overwrites its own.
    pub gradient: Buffer,
    /// Gradient with respect to y, all of it. The layer may spoil it.
    pub dy: Buffer,
    /// For every input where its gradient goes; `None` where nobody asks.
    pub dx: &'a [Option<Gradient>],
}

/// See the module.
pub trait Layer: Debug + Send + Sync {
    /// Words of y for one sample.
    fn width(&self) -> usize;

    /// Words that the forward pass leaves for the backward pass, beside x and y.
    fn saved(&self, _samples: usize) -> usize {
        0
    }

    /// Whether its backward pass can add to a gradient.
    fn adds(&self) -> bool {
        false
    }

    /// Whether its inputs have gradients; tokens have none.
    fn differentiable(&self) -> bool {
        true
    }

    /// Appends y from x.
    fn forward(&self, draft: &mut Draft, io: &Forward<'_>);

    /// Appends the gradients of its parameters, and of x where asked for.
    fn backward(&self, draft: &mut Draft, io: &Backward<'_>);
}

/// The one input of a layer that has one.
fn input<T>(x: &[T]) -> &T {
    &x[0]
}

/// Least rows of one part of a sum over rows.
const SLICE_ROWS: usize = 256;
/// Most words of all parts of such a sum: 4 MiB. Where the results are many, they keep a GPU busy by themselves.
const SLICE_WORDS_MAX: usize = 1 << 20;

/// Into how many parts a sum over so many rows with so many results is split.
fn slices(rows: usize, results: usize) -> usize {
    (rows / SLICE_ROWS).min(SLICE_WORDS_MAX / results).clamp(1, SLICE_ROWS)
}

/// Appends a product by what the device chooses for it.
fn product(draft: &mut Draft, shape: &Shape, arguments: &[Buffer], words: &[u32]) {
    let kernel = draft.choices().preset(shape).kernel(shape.product, shape.wide);
    draft.push(kernel, arguments, words);
}
