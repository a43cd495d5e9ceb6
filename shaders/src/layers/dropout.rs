//! Dropout: while training each number is dropped with probability p, and the others grow by 1 / (1 - p).
//!
//! ```text
//! forward     y = x * stays / (1 - p)        backward    dx = dy * stays / (1 - p)        evaluation    y = x
//! ```
//!
//! Nothing is kept for the backward pass: `kernels::dropout` draws by counter.

use super::{Backward, Forward, Layer, input};
use crate::engine::plan::Draft;
use crate::kernels::accumulate::Accumulate;
use crate::kernels::dropout::Dropout as Kernel;
use crate::kernels::word;

/// Of the draws; layers are told apart by their number.
const SEED: u32 = 0x57a2_1176;

/// One layer.
#[derive(Clone, Copy, Debug)]
pub struct Dropout {
    /// Words of a sample.
    pub width: usize,
    /// p, 0 to below 1.
    pub probability: f32,
    /// Its number in the network.
    pub layer: u32,
}

impl Dropout {
    fn words(&self, samples: usize) -> [u32; 5] {
        let least = (f64::from(self.probability) * f64::from(u32::MAX)) as u32;
        [(samples * self.width) as u32, least, word(1.0 / (1.0 - self.probability)), self.layer, SEED]
    }
}

impl Layer for Dropout {
    fn width(&self) -> usize {
        self.width
    }

    fn forward(&self, draft: &mut Draft, io: &Forward<'_>) {
        let x = *input(io.x);
        match io.state {
            Some(state) => draft.push(&Kernel, &[x, state, io.y], &self.words(io.samples)),
            None => draft.push(&Accumulate, &[x, io.y], &[(io.samples * self.width) as u32, 0]),
        }
    }

    fn backward(&self, draft: &mut Draft, io: &Backward<'_>) {
        if let (Some(dx), Some(state)) = (input(io.dx), io.forward.state) {
            draft.push(&Kernel, &[io.dy, state, dx.buffer], &self.words(io.forward.samples));
        }
    }
}
