//! One step of training as kernels: forward, backward, clipping, optimizer, bookkeeping.

use crate::engine::Buffer;
use crate::engine::plan::Draft;
use crate::kernels::advance::Advance;
use crate::kernels::word;
use crate::models::network::{Inputs, Network};
use crate::optim::Optimizer;

/// What is stepped, and how.
#[derive(Clone, Copy, Debug)]
pub struct Step<'a> {
    /// The model.
    pub network: &'a Network,
    /// The optimizer.
    pub optimizer: &'a Optimizer,
    /// Longest gradient, over all parameters together; `None`: any.
    pub clip: Option<f32>,
}

/// What a step changes.
#[derive(Clone, Copy, Debug)]
pub struct StepBuffers {
    /// All parameters [d].
    pub theta: Buffer,
    /// Their gradient [d], overwritten.
    pub gradient: Buffer,
    /// See `kernels::advance`.
    pub state: Buffer,
}

impl Step<'_> {
    /// Appends a step on a batch; the number of the optimizer's last dispatch, whose words are [`Optimizer::words`].
    pub fn draft(&self, draft: &mut Draft, inputs: &Inputs, buffers: &StepBuffers) -> usize {
        let StepBuffers { theta, gradient, state } = *buffers;
        let tape = self.network.forward(draft, theta, inputs, Some(state));
        self.network.backward(draft, theta, gradient, tape);
        if let Some(limit) = self.clip {
            self.optimizer.clip(draft, gradient, limit);
        }
        self.optimizer.step(draft, theta, gradient, state);
        let position = draft.len() - 1;
        let (rows, betas) = (inputs.samples * self.network.rows(), self.optimizer.betas());
        draft.push(&Advance, &[state, inputs.results], &[rows as u32, word(betas.0), word(betas.1)]);
        position
    }
}
