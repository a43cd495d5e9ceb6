//! A trained model that is asked: weights on a device, samples in, logits out.
//!
//! The forward pass is that of training, by the same kernels, without dropout and without a loss.

mod generate;

use std::sync::Arc;

pub use generate::Sampler;

use crate::engine::plan::Draft;
use crate::engine::{Buffer, DeviceInfo, Executor, ExecutorError, Prepared};
use crate::models::network::{Inputs, Network};
use crate::models::steps::Continuation;

/// See the module.
pub struct Predictor {
    executor: Box<dyn Executor>,
    network: Arc<Network>,
    weights: Buffer,
    logits: Buffer,
    inputs: Inputs,
    pass: Prepared,
    /// Of a language model that was asked for text.
    continuation: Option<Continuation>,
    words: Vec<u32>,
}

impl std::fmt::Debug for Predictor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Predictor").field("device", self.executor.info()).finish_non_exhaustive()
    }
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum PredictError {
    /// Weights or samples of another length.
    #[error("{found} {what}, the model takes {expected}")]
    Length {
        /// Of what.
        what: &'static str,
        /// As given.
        found: usize,
        /// As it should be, or a multiple of it.
        expected: usize,
    },
    /// Asked for text of a model that reads none.
    #[error("the model reads no text")]
    NoText,
    /// The device failed.
    #[error("device: {0}")]
    Device(#[from] ExecutorError),
}

impl Predictor {
    /// A model that takes up to `samples` samples at once; its weights come with [`Predictor::set_weights`].
    ///
    /// # Errors
    /// When the device has no room for it or refuses a kernel.
    pub fn new(network: Arc<Network>, mut executor: Box<dyn Executor>, samples: usize) -> Result<Self, PredictError> {
        let on = executor.as_mut();
        let weights = on.allocate(network.parameters())?;
        let logits = on.allocate(samples * network.rows() * network.classes())?;
        let inputs = network.inputs(on, samples)?;
        let mut draft = Draft::new(on.choices());
        network.logits(&mut draft, weights, &inputs, logits);
        let recording = draft.place(on)?;
        let pass = on.prepare(recording)?;
        Ok(Self { executor, network, weights, logits, inputs, pass, continuation: None, words: Vec::new() })
    }

    /// The device.
    #[must_use]
    pub fn info(&self) -> &DeviceInfo {
        self.executor.info()
    }

    /// The model.
    #[must_use]
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// Replaces the weights, in buffer order, length d.
    ///
    /// # Errors
    /// Another length, or a device failure.
    pub fn set_weights(&mut self, weights: &[f32]) -> Result<(), PredictError> {
        let expected = self.network.parameters();
        if weights.len() != expected {
            return Err(PredictError::Length { what: "weights", found: weights.len(), expected });
        }
        if let Some(continuation) = &mut self.continuation {
            continuation.forget();
        }
        Ok(self.executor.write(self.weights, 0, bytemuck::cast_slice(weights))?)
    }

    /// Logits of samples [n, features] as [n, rows, classes]. Of a text, a sample is a window of context + 1 tokens, the last of which is not
    /// looked at; row t is what follows token t.
    ///
    /// # Errors
    /// A length that is no multiple of a sample's, or a device failure.
    pub fn logits(&mut self, samples: &[f32]) -> Result<Vec<f32>, PredictError> {
        let features = self.network.features();
        if !samples.len().is_multiple_of(features) {
            return Err(PredictError::Length { what: "numbers", found: samples.len(), expected: features });
        }
        let row = self.network.rows() * self.network.classes();
        let mut logits = Vec::with_capacity(samples.len() / features * row);
        for samples in samples.chunks(self.inputs.samples * features) {
            // A short batch leaves in place what is behind it; its logits are not read.
            self.executor.write(self.inputs.x, 0, bytemuck::cast_slice(samples))?;
            self.executor.run(self.pass, 1)?;
            self.executor.read(self.logits, samples.len() / features * row, &mut self.words)?;
            logits.extend(self.words.iter().map(|bits| f32::from_bits(*bits)));
        }
        Ok(logits)
    }
}

/// Probabilities of a row of logits (softmax), in f64.
#[must_use]
pub fn softmax(logits: &[f32]) -> Vec<f64> {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let powers: Vec<f64> = logits.iter().map(|logit| f64::from(logit - largest).exp()).collect();
    let sum: f64 = powers.iter().sum();
    powers.into_iter().map(|power| power / sum).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use protocol::fixed::to_f32;
    use protocol::learner::{Learner as _, Progress, Weights};

    use super::*;
    use crate::engine::cpu::CpuExecutor;
    use crate::learner::TrainingLearner;
    use crate::learner::tests::kinds;
    use crate::optim::OptimizerSpec;

    fn cpu() -> Box<dyn Executor> {
        Box::new(CpuExecutor::new(None))
    }

    #[test]
    fn what_it_answers_has_the_loss_that_the_learner_measures() {
        for (name, spec) in kinds() {
            let spec = crate::LearnerSpec { optimizer: OptimizerSpec::Adam { learning_rate: 0.003 }, ..spec };
            let mut learner = TrainingLearner::new(spec.clone(), cpu()).unwrap();
            learner.train(30, Progress::START).unwrap();
            learner.fold().unwrap();
            let weights: Vec<f32> = learner.base().unwrap().into_iter().map(to_f32).collect();
            let measured = learner.evaluate(Weights::Base).unwrap();
            let (test, classes) = (&spec.dataset.test, spec.model.classes());
            // Seven at a time: the last batch is short.
            let mut predictor = Predictor::new(Arc::clone(&spec.model), cpu(), 7).unwrap();
            predictor.set_weights(&weights).unwrap();
            let features = test.features.resident().unwrap();
            let logits = predictor.logits(features).unwrap();
            let targets: Vec<usize> = match spec.model.context() {
                None => test.labels.iter().map(|&label| label as usize).collect(),
                Some(t) => {
                    features.chunks(t + 1).flat_map(|window| &window[1..]).map(|&token| token as usize).collect()
                }
            };
            assert_eq!(logits.len(), targets.len() * classes, "{name}");
            let loss: f64 = logits.chunks(classes).zip(&targets).map(|(row, &target)| -softmax(row)[target].ln()).sum();
            let loss = loss / targets.len() as f64;
            assert!((loss - f64::from(measured.loss)).abs() < 1e-4, "{name}: {loss}, measured {}", measured.loss);
        }
    }

    #[test]
    fn other_lengths_are_refused() {
        let (_, spec) = kinds().into_iter().next().unwrap();
        let mut predictor = Predictor::new(spec.model, cpu(), 4).unwrap();
        assert!(predictor.set_weights(&[0.0; 3]).unwrap_err().to_string().contains("3 weights"));
        assert!(predictor.logits(&[0.0; 65]).unwrap_err().to_string().contains("65 numbers, the model takes 64"));
        assert!(predictor.logits(&[]).unwrap().is_empty());
    }
}
