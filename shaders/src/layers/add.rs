//! Sum of two values with an optional activation: the end of a residual connection (He et al. 2015, arXiv 1512.03385).
//!
//! ```text
//! forward     y = act(a + b)
//! backward    da = db = dy act'(a + b)
//! ```

use super::{Backward, Forward, Layer, activation};
use crate::engine::plan::Draft;
use crate::kernels::accumulate::Accumulate;
use crate::kernels::{Activation, add};

/// One layer, with two inputs.
#[derive(Clone, Copy, Debug)]
pub struct Add {
    /// Words of a sample.
    pub width: usize,
    /// What follows; only what is taken back from y.
    pub activation: Activation,
}

impl Layer for Add {
    fn width(&self) -> usize {
        self.width
    }

    fn adds(&self) -> bool {
        true
    }

    fn forward(&self, draft: &mut Draft, io: &Forward<'_>) {
        let words = [(io.samples * self.width) as u32, self.activation as u32];
        draft.push(&add::Add, &[io.x[0], io.x[1], io.y], &words);
    }

    fn backward(&self, draft: &mut Draft, io: &Backward<'_>) {
        let n = io.forward.samples * self.width;
        activation::backward(draft, self.activation, n, io.forward.y, io.dy);
        for dx in io.dx.iter().flatten() {
            draft.push(&Accumulate, &[io.dy, dx.buffer], &[n as u32, u32::from(dx.add)]);
        }
    }
}
