//! Optimizers: one to four dispatches over the flat parameter buffer, state on the device.
//!
//! Add an optimizer: one file here, a variant of [`OptimizerSpec`], one line in [`ALL`].

mod adam;
mod adam_common;
mod clip;
pub mod schedule;
mod sgd;
mod squares;

use serde::{Deserialize, Serialize};

use crate::engine::plan::Draft;
use crate::engine::{Buffer, Executor, ExecutorError};
use crate::kernels::adam::Adam;
use crate::kernels::adam_common::AdamCommon;
use crate::kernels::mean_square::MeanSquare;
use crate::kernels::sgd::Sgd;

/// Words that are zeroed at once.
const ZEROES: usize = 1 << 18;

/// Names of the optimizers, as in a job file, and one line about each.
pub const ALL: &[(&str, &str)] = &[
    ("sgd", "stochastic gradient descent with momentum, Polyak's or with nesterov = true"),
    (
        "adam",
        "adaptive moments, beta 0.9 and 0.999; fast where every peer sees the same kind of data, unsteady where not",
    ),
    ("adam_common", "adam with one second moment for all parameters: peers that see other classes do not drift apart"),
    ("adamw", "adam, and every step weights shrink by rate * weight_decay"),
];

/// An optimizer as a job describes it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum OptimizerSpec {
    /// See `kernels::adam`.
    Adam {
        /// Step size.
        learning_rate: f32,
    },
    /// See [`adam_common`].
    AdamCommon {
        /// Step size.
        learning_rate: f32,
    },
    /// See `kernels::adam`.
    #[serde(rename = "adamw")]
    AdamW {
        /// Step size.
        learning_rate: f32,
        /// Share of the weights, times the step size, that a step takes off.
        weight_decay: f32,
    },
    /// See `kernels::sgd`.
    Sgd {
        /// Step size.
        learning_rate: f32,
        /// Share of the velocity that is kept, 0 to below 1.
        momentum: f32,
        /// Whether the momentum is looked ahead.
        nesterov: bool,
    },
}

/// Decay rates of the running moments; 0 where there are none. `advance` keeps their powers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Betas(pub f32, pub f32);

/// An optimizer with its state on a device.
#[derive(Clone, Debug)]
pub struct Optimizer {
    spec: OptimizerSpec,
    parameters: usize,
    /// Moments, each [d].
    moments: Vec<Buffer>,
}

impl OptimizerSpec {
    /// Makes its state for `parameters` parameters.
    ///
    /// # Errors
    /// When the device has no room.
    pub fn build(self, executor: &mut dyn Executor, parameters: usize) -> Result<Optimizer, ExecutorError> {
        let count = match self {
            Self::Adam { .. } | Self::AdamW { .. } => adam::MOMENTS,
            Self::AdamCommon { .. } => adam_common::MOMENTS,
            Self::Sgd { .. } => sgd::MOMENTS,
        };
        let moments = (0..count).map(|_| executor.allocate(parameters)).collect::<Result<_, _>>()?;
        Ok(Optimizer { spec: self, parameters, moments })
    }
}

impl Optimizer {
    /// d.
    #[must_use]
    pub fn parameters(&self) -> usize {
        self.parameters
    }

    /// Its moments, each [d].
    #[must_use]
    pub fn moments(&self) -> &[Buffer] {
        &self.moments
    }

    /// See [`Betas`].
    #[must_use]
    pub fn betas(&self) -> Betas {
        match self.spec {
            OptimizerSpec::Adam { .. } | OptimizerSpec::AdamW { .. } | OptimizerSpec::AdamCommon { .. } => adam::BETAS,
            OptimizerSpec::Sgd { .. } => Betas(0.0, 0.0),
        }
    }

    /// Appends the shortening of a gradient that is longer than `limit`.
    pub fn clip(&self, draft: &mut Draft, gradient: Buffer, limit: f32) {
        clip::by_global_norm(draft, gradient, self.parameters, limit);
    }

    /// Appends one step. The words of its last dispatch are [`Optimizer::words`] of 1.
    pub fn step(&self, draft: &mut Draft, theta: Buffer, gradient: Buffer, state: Buffer) {
        let words = self.words(1.0);
        match self.spec {
            OptimizerSpec::Adam { .. } | OptimizerSpec::AdamW { .. } => {
                draft.push(&Adam, &[theta, gradient, self.moments[0], self.moments[1], state], &words);
            }
            OptimizerSpec::AdamCommon { .. } => {
                let (parts, count) = squares::draft(draft, gradient, self.parameters);
                draft.push(&MeanSquare, &[parts, state], &adam_common::moment_words(count, self.parameters));
                draft.push(&AdamCommon, &[theta, gradient, self.moments[0], state], &words);
            }
            OptimizerSpec::Sgd { .. } => draft.push(&Sgd, &[theta, gradient, self.moments[0]], &words),
        }
    }

    /// Words of its last dispatch at that share of the learning rate.
    #[must_use]
    pub fn words(&self, share: f32) -> Vec<u32> {
        match self.spec {
            OptimizerSpec::Adam { learning_rate } => adam::words(self.parameters, share * learning_rate, 0.0).to_vec(),
            OptimizerSpec::AdamW { learning_rate, weight_decay } => {
                adam::words(self.parameters, share * learning_rate, weight_decay).to_vec()
            }
            OptimizerSpec::AdamCommon { learning_rate } => {
                adam_common::words(self.parameters, share * learning_rate).to_vec()
            }
            OptimizerSpec::Sgd { learning_rate, momentum, nesterov } => {
                sgd::words(self.parameters, share * learning_rate, momentum, nesterov).to_vec()
            }
        }
    }

    /// Zeroes its moments.
    ///
    /// # Errors
    /// When the device fails.
    pub fn reset(&self, executor: &mut dyn Executor) -> Result<(), ExecutorError> {
        let zero = vec![0; self.parameters.min(ZEROES)];
        for moment in &self.moments {
            for first in (0..self.parameters).step_by(ZEROES) {
                executor.write(*moment, first, &zero[..ZEROES.min(self.parameters - first)])?;
            }
        }
        Ok(())
    }
}
