//! How good weights are: the loss and the share of right answers on what a data set is evaluated on, some samples at a time.

use std::sync::Arc;

use protocol::learner::{Evaluation, LearnerError, Weights};

use super::machine::Machine;
use super::{DeviceKind, TrainingLearner, feed};
use crate::data::Dataset;
use crate::engine::plan::Draft;
use crate::engine::{Buffer, Executor, Prepared};
use crate::models::network::{Inputs, Network};

/// Samples of a batch of what is evaluated on.
const SAMPLES_MAX: usize = 1024;
/// Words of the widest value of such a batch: 16 MiB.
const WORDS_MAX: usize = 4 << 20;
/// Multiply-adds of such a batch, where every row meets every parameter: about a second of software Vulkan, or of a core.
const WORK_MAX: usize = 4 << 30;
/// The same on a GPU, where each batch is waited for and small ones leave it idle: about a second of the slowest (0.3 Tflop/s). Drivers end what
/// takes two; a forward pass is cut between its kernels long before (`engine/gpu/pace.rs`), and one kernel alone cannot be.
const GPU_WORK_MAX: usize = 128 << 30;

/// The evaluation of the weights in the scratch buffer on some rows.
#[derive(Debug)]
pub(super) struct EvaluationPass {
    pub(super) inputs: Inputs,
    pub(super) pass: Prepared,
}

impl EvaluationPass {
    pub(super) fn new(
        on: &mut dyn Executor,
        model: &Network,
        weights: Buffer,
        samples: usize,
    ) -> Result<Self, LearnerError> {
        let inputs = model.inputs(on, samples)?;
        let mut draft = Draft::new(on.choices());
        model.forward(&mut draft, weights, &inputs, None);
        let recording = draft.place(on)?;
        let pass = on.prepare(recording)?;
        Ok(Self { inputs, pass })
    }
}

/// Samples of what is evaluated on that a device is given at once: few enough that it is heard of in time, however large the model.
pub(super) fn samples(device: DeviceKind, model: &Network, dataset: &Dataset) -> usize {
    let work_max = if device == DeviceKind::Gpu { GPU_WORK_MAX } else { WORK_MAX };
    let work = model.rows().saturating_mul(model.parameters()).max(1);
    let most = (WORDS_MAX / model.widest().max(1)).min(work_max / work);
    dataset.evaluated().len().min(most.clamp(1, SAMPLES_MAX))
}

impl TrainingLearner {
    pub(super) fn evaluate_once(&mut self, weights: Weights) -> Result<Evaluation, LearnerError> {
        self.gradient_lies = false;
        match weights {
            Weights::Base => self.machine.gossip.base_to_scratch(self.machine.executor.as_mut())?,
            Weights::Local => self.machine.theta_to_scratch()?,
        }
        let dataset = Arc::clone(&self.spec.dataset);
        let Machine { executor, evaluation, .. } = &mut self.machine;
        let (most, features) = (evaluation.inputs.samples, dataset.features());
        let (mut loss, mut correct) = (0.0f64, 0u64);
        let split = dataset.evaluated();
        let mut rows = Vec::new();
        for (i, labels) in split.labels.chunks(most).enumerate() {
            rows.clear();
            let range = i * most..i * most + labels.len();
            split.features.read_range(features, range, &mut rows).map_err(|error| feed::unreadable(&error))?;
            // The last batch may be short; what the rows behind it say is not looked at.
            executor.write(evaluation.inputs.x, 0, bytemuck::cast_slice(&rows))?;
            executor.write(evaluation.inputs.labels, 0, labels)?;
            executor.run(evaluation.pass, 1)?;
            let rows = labels.len() * self.spec.model.rows();
            executor.read(evaluation.inputs.results, 2 * rows, &mut self.words)?;
            for row in self.words.as_chunks::<2>().0 {
                loss += f64::from(f32::from_bits(row[0]));
                correct += u64::from(row[1]);
            }
        }
        let samples = split.len() as u64;
        let rows = (samples * self.spec.model.rows() as u64).max(1);
        let share = |value: f64| (value / rows as f64) as f32;
        Ok(Evaluation { loss: share(loss), accuracy: share(correct as f64), samples })
    }
}
