//! Linear layer with an optional activation: Y = act(X W^T + b).
//!
//! ```text
//! forward     y = act(x w^T + b)                                    x [M, K], w [N, K], b [N], y [M, N]
//! backward    dz = dy act'(z)   dw = dz^T x   db = sum_m dz   dx = dz w
//! ```
//!
//! ReLU is taken back from y. GELU and SiLU need z: while training the layer keeps it and runs the activation apart; while
//! evaluating nothing is kept and the activation is the epilogue of the product. Which kernels multiply is the device's choice
//! (`engine::products`); some make the weight's gradient in parts, that are added.

use super::{Backward, Forward, Layer, input, product};
use crate::engine::Buffer;
use crate::engine::plan::Draft;
use crate::engine::products::{Product, Shape};
use crate::kernels::Activation;
use crate::kernels::sum_slices::SumSlices;
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

/// Rows are read this many numbers at a time where all extents allow it.
const WIDE: usize = 4;

impl Linear {
    /// Whether its rows and its weights begin at multiples of [`WIDE`].
    fn wide_inputs(&self) -> bool {
        self.inputs.is_multiple_of(WIDE) && self.offset.is_multiple_of(WIDE)
    }

    /// One of its products for so many rows. Only the forward pass reads no rows of `outputs` numbers.
    fn shape(&self, product: Product, words: &[u32]) -> Shape {
        let wide = self.wide_inputs() && (product == Product::Forward || self.outputs.is_multiple_of(WIDE));
        Shape::new(product, wide, words)
    }

    /// Appends z = x w^T + b with an activation.
    fn product(&self, draft: &mut Draft, arguments: &[Buffer], words: &[u32]) {
        product(draft, &self.shape(Product::Forward, words), arguments, words);
    }

    /// Appends dw = dz^T x and db.
    fn by_weight(&self, draft: &mut Draft, [dy, x, gradient]: [Buffer; 3], [m, n, k, offset, no_bias]: [u32; 5]) {
        let shape = self.shape(Product::BackwardWeight, &[m, n, k, offset, no_bias]);
        let parts = draft.choices().preset(&shape).parts(&shape);
        if parts == 1 {
            return product(draft, &shape, &[dy, x, gradient], &[m, n, k, offset, no_bias, 1]);
        }
        let words = n * k + if self.bias { n } else { 0 };
        let sums = draft.buffer(parts as usize * words as usize);
        product(draft, &shape, &[dy, x, sums], &[m, n, k, 0, no_bias, parts]);
        draft.push(&SumSlices, &[sums, gradient], &[parts, words, offset]);
    }

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
                self.product(draft, &[x, io.theta, z], &self.words(io.samples, Activation::None));
                activation::forward(draft, self.activation, io.samples * self.width(), z, io.y);
            }
            None => self.product(draft, &[x, io.theta, io.y], &self.words(io.samples, self.activation)),
        }
    }

    fn backward(&self, draft: &mut Draft, io: &Backward<'_>) {
        let forward = &io.forward;
        let kept = forward.saved.unwrap_or(forward.y);
        activation::backward(draft, self.activation, forward.samples * self.width(), kept, io.dy);
        let [m, n, k, _, offset, no_bias] = self.words(forward.samples, Activation::None);
        let x = *input(forward.x);
        self.by_weight(draft, [io.dy, x, io.gradient], [m, n, k, offset, no_bias]);
        if let Some(dx) = input(io.dx) {
            let shape = self.shape(Product::BackwardInput, &[m, n, k, offset]);
            product(draft, &shape, &[io.dy, forward.theta, dx.buffer], &[m, n, k, offset]);
        }
    }
}
