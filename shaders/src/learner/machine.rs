//! What of a learner lies on a device: built from what the host holds, and so built again on another one.

use protocol::fixed::to_f32;
use protocol::learner::LearnerError;

use super::evaluation::{self, EvaluationPass};
use super::feed::Feed;
use super::gossip::Gossip;
use super::{DeviceKind, LearnerSpec, ORDER_STEPS_MAX, PIECE_WORDS};
use crate::engine::plan::Draft;
use crate::engine::{Buffer, Executor, ExecutorError, Prepared, Recording};
use crate::kernels::accumulate::Accumulate;
use crate::kernels::advance::{STATE_POWER_1, STATE_TOTAL, STATE_WORDS};
use crate::kernels::gather::Gather;
use crate::kernels::word;
use crate::models::network::Inputs;
use crate::optim::Optimizer;
use crate::step::{self, StepBuffers};

/// See the module.
pub(super) struct Machine {
    pub(super) executor: Box<dyn Executor>,
    pub(super) buffers: DeviceState,
    pub(super) optimizer: Optimizer,
    pub(super) feed: Feed,
    pub(super) step: Step,
    pub(super) evaluation: EvaluationPass,
    pub(super) gossip: Gossip,
    /// What copies theta to the scratch buffer; made for the first who asks.
    weights: Option<Prepared>,
}

/// Buffers that live as long as the learner.
#[derive(Clone, Copy, Debug)]
pub(super) struct DeviceState {
    pub(super) theta: Buffer,
    pub(super) base: Buffer,
    /// In a step the gradient, all of which each step overwrites; between steps theta - b or the weights to evaluate,
    /// whichever was asked for last.
    pub(super) scratch: Buffer,
    pub(super) state: Buffer,
    pub(super) order: Buffer,
}

/// One optimizer step.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    pub(super) pass: Prepared,
    /// Number of the optimizer's last dispatch in it: the one with the learning rate.
    optimizer: usize,
}

/// Where a machine begins.
#[derive(Clone, Copy, Debug)]
pub(super) enum Begin<'a> {
    /// At b0.
    Initial,
    /// After so many steps, at a base, with what was not said of it, where that is known.
    From(&'a [i32], Option<&'a [f32]>, u64),
}

impl DeviceState {
    pub(super) fn new(
        on: &mut dyn Executor,
        parameters: usize,
        batch: usize,
        fill: impl FnOnce(&mut dyn Executor, Buffer, Buffer) -> Result<(), ExecutorError>,
    ) -> Result<Self, ExecutorError> {
        let (theta, base) = (on.allocate(parameters)?, on.allocate(parameters)?);
        // Before the rest is there: what the host holds for it goes first.
        fill(on, theta, base)?;
        Ok(Self {
            theta,
            base,
            scratch: on.allocate(parameters)?,
            state: on.allocate(STATE_WORDS)?,
            order: on.allocate(ORDER_STEPS_MAX * batch)?,
        })
    }
}

impl Machine {
    /// A machine with moments of zero.
    pub(super) fn new(
        spec: &LearnerSpec,
        mut executor: Box<dyn Executor>,
        begin: Begin<'_>,
    ) -> Result<Self, LearnerError> {
        let d = spec.model.parameters();
        let on = executor.as_mut();
        let buffers = DeviceState::new(on, d, spec.batch, |on, theta, base| match begin {
            Begin::Initial => put(on, (theta, base), &spec.model.try_initial_base(spec.init_seed)?, None),
            Begin::From(values, unsaid, _) => put(on, (theta, base), values, unsaid),
        })?;
        let optimizer = spec.optimizer.build(on, d)?;
        let inputs = spec.model.inputs(on, spec.batch)?;
        let (feed, step) = record_step(on, spec, &optimizer, &buffers, &inputs)?;
        let samples = evaluation::samples(DeviceKind::of(on.info()), &spec.model, &spec.dataset);
        let evaluation = EvaluationPass::new(on, &spec.model, buffers.scratch, samples)?;
        let gossip = Gossip::new(on, buffers, d)?;
        let mut machine = Self { executor, buffers, optimizer, feed, step, evaluation, gossip, weights: None };
        machine.begin_powers()?;
        // Dropout draws by this counter: each peer begins elsewhere, or all of them would drop the same.
        let start = (spec.order_seed ^ spec.order_seed >> 32) as u32;
        let steps = if let Begin::From(_, _, steps) = begin { steps } else { 0 };
        machine.executor.write(buffers.state, STATE_TOTAL, &[start.wrapping_add(steps as u32)])?;
        Ok(machine)
    }

    /// b, and theta from it and what was not said.
    pub(super) fn put(&mut self, base: &[i32], residual: &[f32]) -> Result<(), ExecutorError> {
        put(self.executor.as_mut(), (self.buffers.theta, self.buffers.base), base, Some(residual))
    }

    /// Moments zero, the common one too, and the powers of their decay rates at the first step.
    pub(super) fn reset_optimizer(&mut self) -> Result<(), ExecutorError> {
        self.optimizer.reset(self.executor.as_mut())?;
        self.begin_powers()
    }

    fn begin_powers(&mut self) -> Result<(), ExecutorError> {
        let betas = self.optimizer.betas();
        self.executor.write(self.buffers.state, STATE_POWER_1, &[word(betas.0), word(betas.1), word(0.0)])
    }

    /// The learning rate of the steps to come, as a share of the job's.
    pub(super) fn set_rate(&mut self, share: f32) -> Result<(), ExecutorError> {
        self.executor.set_words(self.step.pass, self.step.optimizer, &self.optimizer.words(share))
    }

    /// theta - b, into `out`.
    pub(super) fn residual(&mut self, out: &mut [f32]) -> Result<(), ExecutorError> {
        self.gossip.residual(self.executor.as_mut(), out)
    }

    /// theta as the weights to evaluate: copied on the device, it crosses no bus.
    pub(super) fn theta_to_scratch(&mut self) -> Result<(), ExecutorError> {
        let copy = match self.weights {
            Some(copy) => copy,
            None => {
                let mut recording = Recording::default();
                let (DeviceState { theta, scratch, .. }, d) = (self.buffers, self.optimizer.parameters());
                recording.push(&Accumulate, &[theta, scratch], &[d as u32, 0]);
                *self.weights.insert(self.executor.prepare(recording)?)
            }
        };
        self.executor.run(copy, 1)
    }
}

/// b, and theta from it and what was not said (nothing: theta = b), in pieces.
fn put(
    on: &mut dyn Executor,
    (theta, base): (Buffer, Buffer),
    values: &[i32],
    residual: Option<&[f32]>,
) -> Result<(), ExecutorError> {
    let mut weights = Vec::with_capacity(PIECE_WORDS.min(values.len()));
    for (i, piece) in values.chunks(PIECE_WORDS).enumerate() {
        let first = i * PIECE_WORDS;
        weights.clear();
        match residual {
            Some(unsaid) => weights.extend(piece.iter().zip(&unsaid[first..]).map(|(&b, e)| to_f32(b) + e)),
            None => weights.extend(piece.iter().map(|&b| to_f32(b))),
        }
        on.write(base, first, bytemuck::cast_slice(piece))?;
        on.write(theta, first, bytemuck::cast_slice(&weights))?;
    }
    Ok(())
}

/// One optimizer step, from the choice of the batch to the bookkeeping.
pub(super) fn record_step(
    on: &mut dyn Executor,
    spec: &LearnerSpec,
    optimizer: &Optimizer,
    buffers: &DeviceState,
    inputs: &Inputs,
) -> Result<(Feed, Step), LearnerError> {
    let (network, dataset) = (&*spec.model, &*spec.dataset);
    let DeviceState { theta, state, order, scratch: gradient, .. } = *buffers;
    let feed = Feed::new(on, spec)?;
    let mut draft = Draft::new(on.choices());
    let sources = [feed.features, feed.labels, order, state, inputs.x, inputs.labels];
    draft.push(&Gather, &sources, &[inputs.samples as u32, dataset.features() as u32]);
    let step = step::Step { network, optimizer, clip: spec.clip };
    let optimizer = step.draft(&mut draft, inputs, &StepBuffers { theta, gradient, state });
    let recording = draft.place(on)?;
    Ok((feed, Step { pass: on.prepare(recording)?, optimizer }))
}
