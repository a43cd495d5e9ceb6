//! The course of a run over all processes that went on with it: which of them wrote a checkpoint, and how the losses went until then.

use serde::{Deserialize, Serialize};

/// What a checkpoint knows of the course of its run.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Course {
    /// The process that wrote it; 0 in checkpoints that do not say.
    pub branch: u64,
    /// Until then.
    pub trend: Trend,
}

/// A checkpoint that a process began with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fork {
    /// Who wrote it.
    pub branch: u64,
    /// Of so many steps.
    pub steps: u64,
    /// And so many deltas of its own.
    pub said: u64,
}

/// How the loss on what is evaluated on went, epoch by epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Trend {
    /// The lowest one so far.
    pub best: Option<f32>,
    /// Epochs since.
    pub since: u32,
}

impl Trend {
    /// Hears of an epoch; whether its loss is the lowest so far.
    pub fn hear(&mut self, loss: f32) -> bool {
        let lower = loss.is_finite() && self.best.is_none_or(|best| loss < best);
        if lower {
            (self.best, self.since) = (Some(loss), 0);
        } else {
            self.since = self.since.saturating_add(1);
        }
        lower
    }
}
