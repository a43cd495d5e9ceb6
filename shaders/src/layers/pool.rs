//! Pools: the largest or the mean of every window of a picture, channel by channel.
//!
//! ```text
//! forward     y = max or mean over the window of x                 x [H, W, C], y [OH, OW, C]
//! backward    dx = dy to the chosen pixel, or to all in equal shares
//! ```
//!
//! OH = (H - KH) / stride + 1: what is left over at the edge is not looked at.

use super::{Backward, Forward, Layer, input};
use crate::engine::plan::Draft;
use crate::kernels::average_pool_backward::AveragePoolBackward;
use crate::kernels::average_pool_forward::AveragePoolForward;
use crate::kernels::max_pool_backward::MaxPoolBackward;
use crate::kernels::max_pool_forward::MaxPoolForward;

/// Which pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The largest.
    Max,
    /// The mean.
    Average,
}

/// One layer.
#[derive(Clone, Copy, Debug)]
pub struct Pool {
    /// Which.
    pub kind: Kind,
    /// H, W, C.
    pub picture: [usize; 3],
    /// KH, KW.
    pub window: [usize; 2],
    /// Pixels between two windows.
    pub stride: usize,
}

impl Pool {
    /// OH, OW, C.
    #[must_use]
    pub fn output(&self) -> [usize; 3] {
        let [height, width, channels] = self.picture;
        let out = |extent: usize, window: usize| (extent - window) / self.stride + 1;
        [out(height, self.window[0]), out(width, self.window[1]), channels]
    }

    fn words(&self, samples: usize) -> [u32; 9] {
        let ([h, w, c], [oh, ow, _], [down, right]) = (self.picture, self.output(), self.window);
        [samples, h, w, c, oh, ow, down, right, self.stride].map(|word| word as u32)
    }
}

impl Layer for Pool {
    fn width(&self) -> usize {
        self.output().iter().product()
    }

    fn forward(&self, draft: &mut Draft, io: &Forward<'_>) {
        let (x, words) = (*input(io.x), self.words(io.samples));
        match self.kind {
            Kind::Max => {
                // Evaluation writes down what was chosen too: one kernel is enough, and its place is free at once.
                let chosen = io.saved.unwrap_or_else(|| draft.buffer(io.samples * self.width()));
                draft.push(&MaxPoolForward, &[x, io.y, chosen], &words);
            }
            Kind::Average => draft.push(&AveragePoolForward, &[x, io.y], &words),
        }
    }

    fn saved(&self, samples: usize) -> usize {
        if self.kind == Kind::Max { samples * self.width() } else { 0 }
    }

    fn backward(&self, draft: &mut Draft, io: &Backward<'_>) {
        let Some(dx) = input(io.dx) else { return };
        let words = self.words(io.forward.samples);
        match (self.kind, io.forward.saved) {
            (Kind::Max, Some(chosen)) => draft.push(&MaxPoolBackward, &[io.dy, chosen, dx.buffer], &words),
            _ => draft.push(&AveragePoolBackward, &[io.dy, dx.buffer], &words),
        }
    }
}
