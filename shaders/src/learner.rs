//! `protocol::learner::Learner` on top of an executor: a model, an optimizer, and a shard of a data set.
//!
//! The data set lies on the device. A step is one recording (gather, forward, backward, optimizer, `advance`) that is
//! replayed; between the steps of one call the host says nothing and reads nothing.

mod footprint;
mod gossip;

use std::sync::Arc;

pub use footprint::{Footprint, Misfit};
pub(crate) use gossip::measure_parts;
use gossip::{Gossip, Lengths};
use protocol::codec::{Codec, Decoded};
use protocol::fixed::{Weight, to_f32};
use protocol::learner::{
    self, Bounds, Evaluation, Folded, Learner, LearnerError, Measured, Progress, Replicas, TakenDelta, Trained,
    Weights, norm,
};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng as _;

use crate::data::Dataset;
use crate::data::split::shuffle;
use crate::engine::plan::Draft;
use crate::engine::{Buffer, DeviceInfo, Executor, ExecutorError, Prepared, Timed};
use crate::kernels::advance::{STATE_LOSS, STATE_POWER_1, STATE_TOTAL, STATE_WORDS};
use crate::kernels::gather::Gather;
use crate::kernels::word;
use crate::models::network::{Inputs, Network};
use crate::optim::schedule::Schedule;
use crate::optim::{Optimizer, OptimizerSpec};
use crate::step::{self, StepBuffers};

/// Steps whose batches are uploaded at once.
const ORDER_STEPS_MAX: usize = 256;
/// Samples of a batch of the test split.
const EVALUATION_SAMPLES_MAX: usize = 1024;
/// Words of the widest value of such a batch: 16 MiB.
const EVALUATION_WORDS_MAX: usize = 4 << 20;
/// Multiply-adds of such a batch, where every row meets every parameter: about a second of software Vulkan.
const EVALUATION_WORK_MAX: usize = 4 << 30;

/// What to train, and on what.
#[derive(Clone, Debug)]
pub struct LearnerSpec {
    /// The model, with its loss.
    pub model: Arc<Network>,
    /// The optimizer.
    pub optimizer: OptimizerSpec,
    /// How its learning rate changes.
    pub schedule: Schedule,
    /// Longest gradient, over all parameters together; `None`: any.
    pub clip: Option<f32>,
    /// Samples a step.
    pub batch: usize,
    /// Of the initial weights: the same for every peer of a run.
    pub init_seed: [u8; 32],
    /// Of the order of samples: the peer's own.
    pub order_seed: u64,
    /// The peer's samples: indices into the training split.
    pub shard: Vec<u32>,
    /// The data set.
    pub dataset: Arc<Dataset>,
}

/// See the module.
pub struct TrainingLearner {
    executor: Box<dyn Executor>,
    model: Arc<Network>,
    optimizer: Optimizer,
    schedule: Schedule,
    /// Share of the learning rate that `step` was last given.
    share: f32,
    dataset: Arc<Dataset>,
    batches: Batches,
    buffers: DeviceState,
    batch: usize,
    step: Step,
    evaluation: EvaluationPass,
    gossip: Gossip,
    decoded: Decoded,
    init_seed: [u8; 32],
    replicas: Replicas,
    words: Vec<u32>,
}

impl std::fmt::Debug for TrainingLearner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TrainingLearner").field("device", self.executor.info()).finish_non_exhaustive()
    }
}

/// Buffers that live as long as the learner.
#[derive(Clone, Copy, Debug)]
struct DeviceState {
    theta: Buffer,
    base: Buffer,
    /// theta - b or the weights to evaluate, whichever was asked for last.
    scratch: Buffer,
    state: Buffer,
    order: Buffer,
}

/// One optimizer step.
#[derive(Clone, Copy, Debug)]
struct Step {
    pass: Prepared,
    /// Number of the optimizer's last dispatch in it: the one with the learning rate.
    optimizer: usize,
}

/// The evaluation of the weights in the scratch buffer on some rows.
#[derive(Debug)]
struct EvaluationPass {
    inputs: Inputs,
    pass: Prepared,
}

/// The shard in an order that is drawn anew each time it has been gone through.
#[derive(Debug)]
struct Batches {
    shard: Vec<u32>,
    next: usize,
    rng: ChaCha8Rng,
}

impl Batches {
    fn new(shard: Vec<u32>, seed: u64) -> Self {
        Self { next: shard.len(), shard, rng: ChaCha8Rng::seed_from_u64(seed) }
    }

    /// Appends the next `n` samples; a batch may reach into the next round.
    fn take(&mut self, n: usize, out: &mut Vec<u32>) {
        for _ in 0..n {
            if self.next == self.shard.len() {
                shuffle(&mut self.shard, &mut self.rng);
                self.next = 0;
            }
            out.push(self.shard[self.next]);
            self.next += 1;
        }
    }
}

impl From<ExecutorError> for LearnerError {
    fn from(error: ExecutorError) -> Self {
        Self::Device(error.0)
    }
}

impl TrainingLearner {
    /// A learner at the run's initial weights.
    ///
    /// # Errors
    /// [`LearnerError::Device`] when the device has no room for it or refuses a kernel.
    pub fn new(spec: LearnerSpec, mut executor: Box<dyn Executor>) -> Result<Self, LearnerError> {
        let LearnerSpec { model, optimizer, schedule, clip, batch, init_seed, order_seed, shard, dataset } = spec;
        let d = model.parameters();
        let on = executor.as_mut();
        let base = model.initial_base(init_seed);
        let theta: Vec<f32> = base.iter().map(|&fixed| to_f32(fixed)).collect();
        let buffers = DeviceState {
            theta: upload(on, bytemuck::cast_slice(&theta))?,
            base: upload(on, bytemuck::cast_slice(&base))?,
            scratch: on.allocate(d)?,
            state: on.allocate(STATE_WORDS)?,
            order: on.allocate(ORDER_STEPS_MAX * batch)?,
        };
        let optimizer = optimizer.build(on, d)?;
        let inputs = model.inputs(on, batch)?;
        let step = record_step(on, &model, (&optimizer, clip), &dataset, &buffers, &inputs)?;
        let evaluation = EvaluationPass::new(on, &model, buffers.scratch, evaluation_samples(&model, &dataset))?;
        let gossip = Gossip::new(on, buffers, d)?;
        let mut learner = Self {
            executor,
            model,
            optimizer,
            schedule,
            share: 1.0,
            dataset,
            batches: Batches::new(shard, order_seed),
            buffers,
            batch,
            step,
            evaluation,
            gossip,
            decoded: Decoded::default(),
            init_seed,
            replicas: Replicas::default(),
            words: Vec::new(),
        };
        learner.reset_optimizer()?;
        // Dropout draws by this counter: each peer begins elsewhere, or all of them would drop the same.
        let start = (order_seed ^ order_seed >> 32) as u32;
        learner.executor.write(learner.buffers.state, STATE_TOTAL, &[start])?;
        Ok(learner)
    }

    /// What it trains on.
    #[must_use]
    pub fn info(&self) -> &DeviceInfo {
        self.executor.info()
    }

    /// Moments zero, the common one too, and the powers of their decay rates at the first step.
    fn reset_optimizer(&mut self) -> Result<(), LearnerError> {
        self.optimizer.reset(self.executor.as_mut())?;
        let betas = self.optimizer.betas();
        self.executor.write(self.buffers.state, STATE_POWER_1, &[word(betas.0), word(betas.1), word(0.0)])?;
        Ok(())
    }

    /// Up to [`ORDER_STEPS_MAX`] steps; the sum of their samples' losses.
    fn train_some(&mut self, steps: usize) -> Result<f64, LearnerError> {
        self.upload_order(steps)?;
        self.executor.run(self.step.pass, steps as u32)?;
        self.executor.read(self.buffers.state, STATE_WORDS, &mut self.words)?;
        Ok(f64::from(f32::from_bits(self.words[STATE_LOSS])))
    }

    /// Trains so many steps, dispatch by dispatch, and says what each took on average.
    ///
    /// # Errors
    /// [`LearnerError::Device`] when the device fails or cannot time its work.
    pub fn profile(&mut self, steps: u32) -> Result<Vec<Timed>, LearnerError> {
        let steps = steps.clamp(1, ORDER_STEPS_MAX as u32);
        self.upload_order(steps as usize)?;
        Ok(self.executor.profile(self.step.pass, steps)?)
    }

    /// The samples of so many steps, from the first.
    fn upload_order(&mut self, steps: usize) -> Result<(), LearnerError> {
        self.words.clear();
        self.batches.take(steps * self.batch, &mut self.words);
        self.executor.write(self.buffers.order, 0, &self.words)?;
        self.executor.write(self.buffers.state, 0, &[0; STATE_POWER_1])?;
        Ok(())
    }

    /// Sets the learning rate for steps around that progress of the swarm.
    fn set_rate(&mut self, progress: Progress) -> Result<(), LearnerError> {
        let share = self.schedule.share(progress);
        if share != self.share {
            self.executor.set_words(self.step.pass, self.step.optimizer, &self.optimizer.words(share))?;
            self.share = share;
        }
        Ok(())
    }

    /// theta - b.
    fn read_residual(&mut self) -> Result<Vec<f32>, LearnerError> {
        Ok(self.gossip.residual(self.executor.as_mut(), &mut self.words)?)
    }

    /// Of theta - b and b.
    fn lengths(&mut self) -> Result<Lengths, LearnerError> {
        Ok(self.gossip.lengths(self.executor.as_mut(), &mut self.words)?)
    }

    /// Adds what is in `decoded` to the base; `theta` follows, less v when the delta is our own.
    fn add_decoded(&mut self, own: bool) -> Result<(), LearnerError> {
        self.gossip.add(self.executor.as_mut(), &self.decoded, own, &mut self.words)
    }

    fn check_length(&self, found: usize) -> Result<(), LearnerError> {
        let expected = self.model.parameters();
        if found == expected { Ok(()) } else { Err(LearnerError::Shape { found, expected }) }
    }
}

/// Samples of the test split that a device is given at once: few enough that it is heard of in time, however large the model.
fn evaluation_samples(model: &Network, dataset: &Dataset) -> usize {
    let work = model.rows().saturating_mul(model.parameters()).max(1);
    let most = (EVALUATION_WORDS_MAX / model.widest().max(1)).min(EVALUATION_WORK_MAX / work);
    dataset.test.len().min(most.clamp(1, EVALUATION_SAMPLES_MAX))
}

impl EvaluationPass {
    fn new(on: &mut dyn Executor, model: &Network, weights: Buffer, samples: usize) -> Result<Self, LearnerError> {
        let inputs = model.inputs(on, samples)?;
        let mut draft = Draft::default();
        model.forward(&mut draft, weights, &inputs, None);
        let recording = draft.place(on)?;
        let pass = on.prepare(recording)?;
        Ok(Self { inputs, pass })
    }
}

/// One optimizer step, from the choice of the batch to the bookkeeping.
fn record_step(
    on: &mut dyn Executor,
    network: &Network,
    (optimizer, clip): (&Optimizer, Option<f32>),
    dataset: &Dataset,
    buffers: &DeviceState,
    inputs: &Inputs,
) -> Result<Step, LearnerError> {
    let DeviceState { theta, state, order, .. } = *buffers;
    let features = upload(on, bytemuck::cast_slice(&dataset.train.features))?;
    let labels = upload(on, &dataset.train.labels)?;
    let gradient = on.allocate(network.parameters())?;
    let mut draft = Draft::default();
    let sources = [features, labels, order, state, inputs.x, inputs.labels];
    draft.push(&Gather, &sources, &[inputs.samples as u32, dataset.features() as u32]);
    let step = step::Step { network, optimizer, clip };
    let optimizer = step.draft(&mut draft, inputs, &StepBuffers { theta, gradient, state });
    let recording = draft.place(on)?;
    Ok(Step { pass: on.prepare(recording)?, optimizer })
}

fn upload(on: &mut dyn Executor, words: &[u32]) -> Result<Buffer, ExecutorError> {
    let buffer = on.allocate(words.len())?;
    on.write(buffer, 0, words)?;
    Ok(buffer)
}

impl Learner for TrainingLearner {
    fn parameters(&self) -> usize {
        self.model.parameters()
    }

    fn train(&mut self, steps: u32, mut progress: Progress) -> Result<Trained, LearnerError> {
        let batch = self.batch as u64;
        let mut loss = 0.0;
        let mut left = steps as usize;
        while left > 0 {
            let until_look = usize::try_from(self.schedule.next_look(progress.samples) / batch).unwrap_or(usize::MAX);
            let now = left.min(ORDER_STEPS_MAX).min(until_look.max(1));
            let samples = now as u64 * batch;
            // The middle of what is done at one rate.
            self.set_rate(Progress { samples: progress.samples.saturating_add(samples / 2), ..progress })?;
            loss += self.train_some(now)?;
            progress.samples = progress.samples.saturating_add(samples);
            left -= now;
        }
        let samples = u64::from(steps) * self.batch as u64;
        let rows = samples * self.model.rows() as u64;
        Ok(Trained { steps, samples, mean_loss: (loss / rows.max(1) as f64) as f32 })
    }

    fn take_delta(
        &mut self,
        codec: &'static dyn Codec,
        weight: Weight,
        norm_max: f32,
    ) -> Result<TakenDelta, LearnerError> {
        let Lengths { residual: residual_norm, base: base_norm, broken } = self.lengths()?;
        if broken > 0 {
            return Err(LearnerError::NonFinite { count: broken, parameters: self.model.parameters() });
        }
        // measured (benches/delta.rs): software Vulkan takes three times as long to choose as the host to read and choose.
        let density = codec.density().filter(|_| !self.executor.info().software);
        let payload = if let Some(density) = density {
            let Self { executor, gossip, decoded, words, model, .. } = self;
            let (d, bounds) = (model.parameters(), Bounds { weight, norm_max, residual_norm });
            learner::encode_bounded(codec, d, bounds, decoded, |factor, payload| {
                let kept = gossip.choose(executor.as_mut(), density, factor, words)?;
                density.encode_kept(d, &kept, payload);
                Ok(())
            })?
        } else {
            let residual = self.read_residual()?;
            learner::encode_within(codec, &residual, weight, norm_max, &mut self.decoded)?
        };
        let l2_norm = self.decoded.l2_norm();
        self.add_decoded(true)?;
        Ok(TakenDelta { payload, l2_norm, residual_norm, base_norm })
    }

    fn measure(&mut self) -> Result<Measured, LearnerError> {
        let Lengths { residual, base, broken } = self.lengths()?;
        let residual_norm = if broken > 0 { f32::NAN } else { residual };
        Ok(Measured { residual_norm, base_norm: base })
    }

    fn apply(&mut self, codec: &'static dyn Codec, weight: Weight, payload: &[u8]) -> Result<(), LearnerError> {
        codec.decode(payload, self.model.parameters(), weight, &mut self.decoded)?;
        self.add_decoded(false)
    }

    fn retract(&mut self, codec: &'static dyn Codec, weight: Weight, payload: &[u8]) -> Result<(), LearnerError> {
        codec.decode(payload, self.model.parameters(), weight, &mut self.decoded)?;
        // |add| is at most 2^29: its negative is as exact.
        self.decoded.adds.iter_mut().for_each(|add| *add = -*add);
        self.add_decoded(false)
    }

    fn base(&mut self) -> Result<Vec<i32>, LearnerError> {
        self.executor.read(self.buffers.base, self.model.parameters(), &mut self.words)?;
        Ok(bytemuck::cast_slice(&self.words).to_vec())
    }

    fn restore(&mut self, base: &[i32], carry: f32) -> Result<(), LearnerError> {
        self.check_length(base.len())?;
        let unsaid = self.read_residual()?;
        let old = if carry == 0.0 { base.to_vec() } else { self.base()? };
        let theta: Vec<f32> = base
            .iter()
            .zip(unsaid)
            .zip(old)
            .map(|((&new, unsaid), old)| to_f32(new) + unsaid + carry * to_f32(old.wrapping_sub(new)))
            .collect();
        self.executor.write(self.buffers.base, 0, bytemuck::cast_slice(base))?;
        self.executor.write(self.buffers.theta, 0, bytemuck::cast_slice(&theta))?;
        self.reset_optimizer()
    }

    fn evaluate(&mut self, weights: Weights) -> Result<Evaluation, LearnerError> {
        match weights {
            Weights::Base => self.gossip.base_to_scratch(self.executor.as_mut())?,
            Weights::Local => {
                self.executor.read(self.buffers.theta, self.model.parameters(), &mut self.words)?;
                self.executor.write(self.buffers.scratch, 0, &self.words)?;
            }
        }
        let dataset = Arc::clone(&self.dataset);
        let (most, features) = (self.evaluation.inputs.samples, dataset.features());
        let (mut loss, mut correct) = (0.0f64, 0u64);
        for (samples, labels) in dataset.test.features.chunks(most * features).zip(dataset.test.labels.chunks(most)) {
            // The last batch may be short; what the rows behind it say is not looked at.
            self.executor.write(self.evaluation.inputs.x, 0, bytemuck::cast_slice(samples))?;
            self.executor.write(self.evaluation.inputs.labels, 0, labels)?;
            self.executor.run(self.evaluation.pass, 1)?;
            let rows = labels.len() * self.model.rows();
            self.executor.read(self.evaluation.inputs.results, 2 * rows, &mut self.words)?;
            for row in self.words.as_chunks::<2>().0 {
                loss += f64::from(f32::from_bits(row[0]));
                correct += u64::from(row[1]);
            }
        }
        let samples = dataset.test.len() as u64;
        let rows = (samples * self.model.rows() as u64).max(1);
        let share = |value: f64| (value / rows as f64) as f32;
        Ok(Evaluation { loss: share(loss), accuracy: share(correct as f64), samples })
    }

    fn initial_base(&self) -> Vec<i32> {
        self.model.initial_base(self.init_seed)
    }

    fn fold(&mut self) -> Result<Folded, LearnerError> {
        let residual = self.read_residual()?;
        let adds = learner::fold(&residual)?;
        let mut base = self.base()?;
        base.iter_mut().zip(adds).for_each(|(base, add)| *base = base.wrapping_add(add));
        self.executor.write(self.buffers.base, 0, bytemuck::cast_slice(&base))?;
        Ok(Folded { base, norm: norm(&residual) })
    }

    fn shift(&mut self, by: &[i32]) -> Result<(), LearnerError> {
        self.check_length(by.len())?;
        let mut theta = self.read_residual()?;
        let mut base = self.base()?;
        for ((theta, base), by) in theta.iter_mut().zip(&mut base).zip(by) {
            *base = base.wrapping_add(*by);
            *theta += to_f32(*base);
        }
        self.executor.write(self.buffers.base, 0, bytemuck::cast_slice(&base))?;
        self.executor.write(self.buffers.theta, 0, bytemuck::cast_slice(&theta))?;
        Ok(())
    }

    fn replicas(&mut self) -> &mut Replicas {
        &mut self.replicas
    }
}

#[cfg(test)]
pub(crate) mod tests;
