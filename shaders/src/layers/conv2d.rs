//! Convolution with a square kernel and an optional activation: Y = act(X * W + b), by kernels `conv2d_*`.
//!
//! ```text
//! forward     y = act(b + sum over the patch of x w)     x [H, W, C], w [O, K, K, C], b [O], y [OH, OW, O]
//! backward    dz = dy act'(z)   dw = patches^T dz   db = sum dz   dx = what each pixel gave to its patches
//! ```
//!
//! OH = (H + 2 padding - K) / stride + 1. The weight's gradient is made in parts, [`slices`], and added. Which kernels multiply is the
//! device's choice (`engine::products`).

use super::{Backward, Forward, Layer, activation, input, product, slices};
use crate::engine::plan::Draft;
use crate::engine::products::{Product, Shape};
use crate::kernels::Activation;
use crate::kernels::sum_slices::SumSlices;

/// Channels are read this many at a time where all extents allow it.
const WIDE: usize = 4;

/// One layer; its parameters lie at `offset` of the flat buffers.
#[derive(Clone, Copy, Debug)]
pub struct Conv2d {
    /// H, W, C.
    pub picture: [usize; 3],
    /// O.
    pub outputs: usize,
    /// K.
    pub kernel: usize,
    /// Pixels between two patches.
    pub stride: usize,
    /// Zeros around the picture.
    pub padding: usize,
    /// What follows; only what is taken back from y.
    pub activation: Activation,
    /// Where w begins; b follows it.
    pub offset: usize,
}

impl Conv2d {
    /// OH, OW, O.
    #[must_use]
    pub fn output(&self) -> [usize; 3] {
        let [height, width, _] = self.picture;
        let out = |extent: usize| (extent + 2 * self.padding - self.kernel) / self.stride + 1;
        [out(height), out(width), self.outputs]
    }

    /// w and b.
    #[must_use]
    pub fn parameters(&self) -> usize {
        self.outputs * (self.kernel * self.kernel * self.picture[2] + 1)
    }

    /// Whether pixels and weights begin at multiples of [`WIDE`].
    fn wide_inputs(&self) -> bool {
        self.picture[2].is_multiple_of(WIDE) && self.offset.is_multiple_of(WIDE)
    }

    fn words(&self, samples: usize, activation: Activation, slices: usize) -> [u32; 13] {
        let ([h, w, c], [oh, ow, o]) = (self.picture, self.output());
        let (k, s, p) = (self.kernel, self.stride, self.padding);
        [samples, h, w, c, oh, ow, o, self.offset, k, s, p, activation as usize, slices].map(|word| word as u32)
    }
}

impl Layer for Conv2d {
    fn width(&self) -> usize {
        self.output().iter().product()
    }

    fn forward(&self, draft: &mut Draft, io: &Forward<'_>) {
        let words = self.words(io.samples, self.activation, 0);
        let shape = Shape::new(Product::ConvForward, self.wide_inputs(), &words);
        product(draft, &shape, &[*input(io.x), io.theta, io.y], &words);
    }

    fn backward(&self, draft: &mut Draft, io: &Backward<'_>) {
        let forward = &io.forward;
        debug_assert!(!self.activation.needs_input(), "a convolution keeps no z");
        activation::backward(draft, self.activation, forward.samples * self.width(), forward.y, io.dy);
        let [height, width, _] = self.output();
        let slices = slices(forward.samples * height * width, self.parameters());
        let words = self.words(forward.samples, Activation::None, slices);
        let wide = self.wide_inputs() && self.outputs.is_multiple_of(WIDE);
        let parts = draft.buffer(slices * self.parameters());
        let by_weight = Shape::new(Product::ConvBackwardWeight, wide, &words);
        product(draft, &by_weight, &[io.dy, *input(forward.x), parts], &words);
        let sums = [slices, self.parameters(), self.offset].map(|word| word as u32);
        draft.push(&SumSlices, &[parts, io.gradient], &sums);
        if let Some(dx) = input(io.dx) {
            let by_input = Shape::new(Product::ConvBackwardInput, wide, &words);
            product(draft, &by_input, &[io.dy, forward.theta, dx.buffer], &words);
        }
    }
}
