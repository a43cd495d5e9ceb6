//! Group, layer and RMS norm with an optional activation, by kernels `norm_*`.
//!
//! ```text
//! forward     h = (x - mean) / sqrt(variance + epsilon)     y = act(gamma h + beta)     mean and variance of a group of channels
//! backward    dz = dy act'(z)   dgamma = sum dz h   dbeta = sum dz   dx = (dz gamma - mean(dz gamma) - h mean(dz gamma h)) / sqrt(..)
//! ```
//!
//! x is [places, C]. Group norm takes its statistics over all places of a sample and C / G channels, layer and RMS norm over the
//! channels of one place. RMS norm has neither mean nor beta. No norm here mixes the samples of a batch (batch norm would): what
//! a peer computes must not hang on whom it computes it with.

use super::{Backward, Forward, Layer, activation, input, slices};
use crate::engine::plan::Draft;
use crate::kernels::norm_backward_input::NormBackwardInput;
use crate::kernels::norm_backward_statistics::NormBackwardStatistics;
use crate::kernels::norm_backward_statistics_shared::NormBackwardStatisticsShared;
use crate::kernels::norm_backward_weight::NormBackwardWeight;
use crate::kernels::norm_forward::NormForward;
use crate::kernels::norm_statistics::NormStatistics;
use crate::kernels::norm_statistics_shared::NormStatisticsShared;
use crate::kernels::sum_slices::SumSlices;
use crate::kernels::{Activation, Kernel, groups, word};

/// As in PyTorch.
const EPSILON: f32 = 1e-5;

/// Over what the statistics are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// All places of a sample, in so many groups of channels.
    Group(usize),
    /// The channels of a place.
    Layer,
    /// As `Layer`, without mean and beta.
    Rms,
}

/// One layer; its parameters lie at `offset` of the flat buffers.
#[derive(Clone, Copy, Debug)]
pub struct Norm {
    /// Which.
    pub kind: Kind,
    /// P.
    pub places: usize,
    /// C.
    pub channels: usize,
    /// What follows; only what is taken back from y.
    pub activation: Activation,
    /// Where gamma begins; beta follows it.
    pub offset: usize,
}

impl Norm {
    /// gamma and beta.
    #[must_use]
    pub fn parameters(&self) -> usize {
        if self.kind == Kind::Rms { self.channels } else { 2 * self.channels }
    }

    /// N, P and G of the kernels.
    fn extents(&self, samples: usize) -> [usize; 3] {
        match self.kind {
            Kind::Group(groups) => [samples, self.places, groups],
            Kind::Layer | Kind::Rms => [samples * self.places, 1, 1],
        }
    }

    /// What takes the statistics of the groups, forward and backward: a workgroup for each where that pays.
    fn statistics(&self, draft: &Draft) -> [&'static dyn Kernel; 2] {
        let [_, places, groups] = self.extents(1);
        if draft.choices().shares_memory() && groups::shared_pays(places * self.channels / groups) {
            [&NormStatisticsShared, &NormBackwardStatisticsShared]
        } else {
            [&NormStatistics, &NormBackwardStatistics]
        }
    }

    fn words(&self, samples: usize, activation: Activation, slices: usize) -> [u32; 9] {
        let [n, places, groups] = self.extents(samples).map(|word| word as u32);
        let rms = u32::from(self.kind == Kind::Rms);
        let [channels, offset, slices] = [self.channels, self.offset, slices].map(|word| word as u32);
        [n, places, channels, groups, offset, rms, word(EPSILON), activation as u32, slices]
    }
}

impl Layer for Norm {
    fn width(&self) -> usize {
        self.places * self.channels
    }

    fn saved(&self, samples: usize) -> usize {
        let [n, _, groups] = self.extents(samples);
        2 * n * groups
    }

    fn forward(&self, draft: &mut Draft, io: &Forward<'_>) {
        let (x, words) = (*input(io.x), self.words(io.samples, self.activation, 0));
        let statistics = io.saved.unwrap_or_else(|| draft.buffer(self.saved(io.samples)));
        draft.push(self.statistics(draft)[0], &[x, statistics], &words);
        draft.push(&NormForward, &[x, io.theta, statistics, io.y], &words);
    }

    fn backward(&self, draft: &mut Draft, io: &Backward<'_>) {
        let forward = &io.forward;
        let (x, Some(statistics)) = (*input(forward.x), forward.saved) else { return };
        debug_assert!(!self.activation.needs_input(), "a norm keeps no z");
        activation::backward(draft, self.activation, forward.samples * self.width(), forward.y, io.dy);
        let slices = slices(forward.samples * self.places, self.parameters());
        let words = self.words(forward.samples, Activation::None, slices);
        let parts = draft.buffer(slices * self.parameters());
        draft.push(&NormBackwardWeight, &[io.dy, x, statistics, parts], &words);
        let sums = [slices, self.parameters(), self.offset].map(|word| word as u32);
        draft.push(&SumSlices, &[parts, io.gradient], &sums);
        if let Some(dx) = input(io.dx) {
            let means = draft.buffer(self.saved(forward.samples));
            draft.push(self.statistics(draft)[1], &[io.dy, x, forward.theta, statistics, means], &words);
            draft.push(&NormBackwardInput, &[io.dy, x, forward.theta, statistics, means, dx.buffer], &words);
        }
    }
}
