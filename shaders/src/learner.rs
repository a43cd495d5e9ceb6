//! `protocol::learner::Learner` on top of an executor: a model, an optimizer, and a shard of a data set.
//!
//! The data set lies on the device. A step is one recording (gather, forward, backward, optimizer, `advance`) that is
//! replayed; between the steps of one stretch the host says nothing and reads nothing.
//!
//! Here is what the host knows and decides; `machine.rs` is what lies on the device, `gossip.rs` what the device does for the swarm,
//! `feed.rs` how samples come to it, `ahead.rs` how the device goes on while the host reads, `evaluation.rs` how good the weights are, `gradient.rs` what people
//! see of a step, and `recovery.rs` how a learner goes on when the device fails.

mod ahead;
mod evaluation;
mod feed;
mod footprint;
mod gossip;
mod gradient;
mod machine;
mod recovery;
mod saved;

use std::sync::Arc;

use ahead::{Ahead, Call};
pub use feed::Room;
pub use footprint::{DeviceKind, Footprint, Holds, Life, Misfit, products};
use gossip::Lengths;
pub(crate) use gossip::measure_parts;
use machine::{Begin, Machine};
use protocol::codec::{Codec, Decoded, Packing};
use protocol::fixed::{Weight, to_f32};
use protocol::id::{Hash, PeerId};
use protocol::learner::{
    self, BaseHasher, Bounds, Evaluation, Folded, Learner, LearnerError, Measured, Progress, Replicas, Saved, Share,
    Take, TakenDelta, Trained, Weights, norm,
};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng as _;
use recovery::Kept;
pub use recovery::{Again, Recovered, Recovery, Reopen};

use crate::data::Dataset;
use crate::data::split::{rendezvous, shuffle};
use crate::engine::{DeviceInfo, Executor, ExecutorError, Timed};
use crate::kernels::advance::{STATE_POWER_1, STEPS_MAX};
use crate::models::network::Network;
use crate::optim::OptimizerSpec;
use crate::optim::schedule::Schedule;

/// Steps whose batches are uploaded at once.
const ORDER_STEPS_MAX: usize = STEPS_MAX;
/// Numbers of a vector of parameters that are looked at together, where the host need not hold all of it: 1 MiB.
const PIECE_WORDS: usize = 1 << 18;

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
    /// Where they are dealt anew as peers come and go; else they stay.
    pub dealt: Option<Dealt>,
    /// The data set.
    pub dataset: Arc<Dataset>,
}

/// Of samples that are dealt anew, see `data::split::rendezvous`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dealt {
    /// Whose learner it is.
    pub us: PeerId,
    /// The same for every peer of a run.
    pub seed: u64,
}

/// See the module.
pub struct TrainingLearner {
    spec: LearnerSpec,
    machine: Machine,
    /// What goes on elsewhere when the device fails; `None` where it cannot, or nobody asked for it.
    kept: Option<Kept>,
    batches: Batches,
    /// Share of the learning rate that the step was last given.
    share: f32,
    /// Whether the scratch buffer holds the gradient of the last step.
    gradient_lies: bool,
    /// Steps asked for in its life.
    steps: u64,
    ahead: Ahead,
    decoded: Decoded,
    replicas: Replicas,
    words: Vec<u32>,
}

impl std::fmt::Debug for TrainingLearner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TrainingLearner").field("device", self.machine.executor.info()).finish_non_exhaustive()
    }
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

    /// Goes on with these samples, ascending, in an order that is drawn anew; as it is where they are the same.
    fn deal(&mut self, shard: Vec<u32>) {
        let mut before = self.shard.clone();
        before.sort_unstable();
        if shard != before && !shard.is_empty() {
            self.next = shard.len();
            self.shard = shard;
        }
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
    /// A learner at the run's initial weights. It ends with its device.
    ///
    /// # Errors
    /// [`LearnerError::Device`] when the device has no room for it or refuses a kernel.
    pub fn new(mut spec: LearnerSpec, executor: Box<dyn Executor>) -> Result<Self, LearnerError> {
        let batches = Batches::new(std::mem::take(&mut spec.shard), spec.order_seed);
        let machine = Machine::new(&spec, executor, Begin::Initial)?;
        Ok(Self {
            spec,
            machine,
            kept: None,
            batches,
            share: 1.0,
            gradient_lies: false,
            steps: 0,
            ahead: Ahead::default(),
            decoded: Decoded::default(),
            replicas: Replicas::default(),
            words: Vec::new(),
        })
    }

    /// The same that goes on elsewhere when the device fails.
    ///
    /// # Errors
    /// As [`TrainingLearner::new`].
    pub fn recovering(
        spec: LearnerSpec,
        executor: Box<dyn Executor>,
        recovery: Recovery,
    ) -> Result<Self, LearnerError> {
        let mut learner = Self::new(spec, executor)?;
        let base = learner.spec.model.try_initial_base(learner.spec.init_seed)?;
        learner.kept = Some(Kept::new(base, !learner.info().software, recovery));
        Ok(learner)
    }

    /// What it trains on.
    #[must_use]
    pub fn info(&self) -> &DeviceInfo {
        self.machine.executor.info()
    }

    /// Trains so many steps, dispatch by dispatch, and says what each took on average.
    ///
    /// # Errors
    /// [`LearnerError::Device`] when the device fails or cannot time its work.
    pub fn profile(&mut self, steps: u32) -> Result<Vec<Timed>, LearnerError> {
        let steps = steps.clamp(1, self.machine.feed.steps_max() as u32);
        self.upload_order(steps as usize)?;
        Ok(self.machine.executor.profile(self.machine.step.pass, steps)?)
    }

    /// The samples of so many steps, from the first.
    fn upload_order(&mut self, steps: usize) -> Result<(), LearnerError> {
        self.words.clear();
        self.batches.take(steps * self.spec.batch, &mut self.words);
        let first = self.steps * self.spec.batch as u64;
        let Machine { executor, feed, .. } = &mut self.machine;
        feed.bring(executor.as_mut(), &self.spec, &mut self.words, first)?;
        self.machine.executor.write(self.machine.buffers.order, 0, &self.words)?;
        self.machine.executor.write(self.machine.buffers.state, 0, &[0; STATE_POWER_1])?;
        Ok(())
    }

    /// theta - b.
    fn read_residual(&mut self) -> Result<Vec<f32>, LearnerError> {
        let mut residual = vec![0.0; self.spec.model.parameters()];
        self.gradient_lies = false;
        self.machine.residual(&mut residual)?;
        Ok(residual)
    }

    /// b, and a look whether it is what the device was told.
    fn read_base(&mut self) -> Result<Vec<i32>, LearnerError> {
        let mut base = vec![0; self.spec.model.parameters()];
        self.machine.executor.read_at(self.machine.buffers.base, 0, bytemuck::cast_slice_mut(&mut base))?;
        if let Some(kept) = &self.kept {
            kept.check(0, &base)?;
        }
        Ok(base)
    }

    fn hash_base(&mut self) -> Result<Hash, LearnerError> {
        let d = self.spec.model.parameters();
        let (mut hasher, mut piece) = (BaseHasher::default(), vec![0; d.min(PIECE_WORDS)]);
        for first in (0..d).step_by(PIECE_WORDS) {
            piece.truncate(d - first);
            self.machine.executor.read_at(self.machine.buffers.base, first, bytemuck::cast_slice_mut(&mut piece))?;
            if let Some(kept) = &self.kept {
                kept.check(first, &piece)?;
            }
            hasher.add(&piece);
        }
        Ok(hasher.finish())
    }

    /// Of theta - b and b.
    fn lengths(&mut self) -> Result<Lengths, LearnerError> {
        let Machine { executor, gossip, .. } = &mut self.machine;
        Ok(gossip.lengths(executor.as_mut(), &mut self.words)?)
    }

    /// What is to be said of theta - b; it lies in `decoded`, too. Changes nothing.
    fn encode_delta(&mut self, take: Take) -> Result<TakenDelta, LearnerError> {
        let Take { codec, weight, norm_max } = take;
        let Lengths { residual: residual_norm, base: base_norm, broken } = self.lengths()?;
        let d = self.spec.model.parameters();
        if broken > 0 {
            return Err(LearnerError::NonFinite { count: broken, parameters: d });
        }
        // measured (benches/delta.rs): software Vulkan takes three times as long to choose as the host to read and choose.
        let here = self.machine.executor.info().software;
        let Self { machine: Machine { executor, gossip, .. }, decoded, words, gradient_lies, .. } = self;
        let payload = if let Some(density) = codec.density() {
            let bounds = Bounds { weight, norm_max, residual_norm };
            // The host reads all of theta - b.
            *gradient_lies &= !here;
            learner::encode_bounded(codec, d, bounds, decoded, |factor, payload| {
                let on = executor.as_mut();
                let kept = if here {
                    gossip.choose_here(on, density, factor, words)
                } else {
                    gossip.choose(on, density, factor, words)
                };
                density.encode_kept(d, &kept?, payload);
                Ok(())
            })?
        } else {
            // Where it is copied anyway, the copy is what is said of.
            self.keep_residual()?;
            match self.kept.as_ref().and_then(Kept::residual) {
                Some(residual) => learner::encode_within(codec, residual, weight, norm_max, &mut self.decoded)?,
                None => {
                    let residual = self.read_residual()?;
                    learner::encode_within(codec, &residual, weight, norm_max, &mut self.decoded)?
                }
            }
        };
        Ok(TakenDelta { payload, l2_norm: self.decoded.l2_norm(), residual_norm, base_norm })
    }

    /// Adds a payload to the base, which lies in `decoded`, too; `theta` follows, less v when the delta is our own.
    fn add_said(
        &mut self,
        codec: &'static dyn Codec,
        said: (Weight, &[u8]),
        packing: Packing,
    ) -> Result<(), LearnerError> {
        let own = packing == Packing::Own;
        if let Some(kept) = &mut self.kept {
            kept.add(&self.decoded, own);
        }
        let Machine { executor, gossip, .. } = &mut self.machine;
        let added = match codec.density() {
            Some(density) => gossip.decode(executor.as_mut(), density, said, packing, &mut self.words),
            None => gossip.add(executor.as_mut(), &self.decoded, own, &mut self.words),
        };
        self.settle(added)
    }

    fn check_length(&self, found: usize) -> Result<(), LearnerError> {
        let expected = self.spec.model.parameters();
        if found == expected { Ok(()) } else { Err(LearnerError::Shape { found, expected }) }
    }
}

impl Learner for TrainingLearner {
    fn parameters(&self) -> usize {
        self.spec.model.parameters()
    }

    fn train(&mut self, steps: u32, progress: Progress) -> Result<Trained, LearnerError> {
        let mut call = Call::new(steps, progress);
        while self.take_stretch(&mut call)? {}
        self.keep_in_time()?;
        Ok(self.trained(&call))
    }

    fn take_delta_then_train(
        &mut self,
        take: Take,
        steps: u32,
        progress: Progress,
        taken: &mut dyn FnMut(TakenDelta),
    ) -> Result<Trained, LearnerError> {
        let mut call = Call::new(steps, progress);
        taken(self.take_beside(take, &mut call)?);
        while self.take_stretch(&mut call)? {}
        self.keep_in_time()?;
        Ok(self.trained(&call))
    }

    fn take_delta(
        &mut self,
        codec: &'static dyn Codec,
        weight: Weight,
        norm_max: f32,
    ) -> Result<TakenDelta, LearnerError> {
        let take = Take { codec, weight, norm_max };
        let taken = self.retried(|learner| learner.encode_delta(take))?;
        self.add_said(codec, (weight, &taken.payload), Packing::Own)?;
        Ok(taken)
    }

    fn measure(&mut self) -> Result<Measured, LearnerError> {
        let Lengths { residual, base, broken } = self.retried(Self::lengths)?;
        let residual_norm = if broken > 0 { f32::NAN } else { residual };
        Ok(Measured { residual_norm, base_norm: base })
    }

    fn apply(&mut self, codec: &'static dyn Codec, weight: Weight, payload: &[u8]) -> Result<(), LearnerError> {
        codec.decode(payload, self.parameters(), weight, &mut self.decoded)?;
        self.add_said(codec, (weight, payload), Packing::Heard)
    }

    fn retract(&mut self, codec: &'static dyn Codec, weight: Weight, payload: &[u8]) -> Result<(), LearnerError> {
        codec.decode(payload, self.parameters(), weight, &mut self.decoded)?;
        // |add| is at most 2^29: its negative is as exact.
        self.decoded.adds.iter_mut().for_each(|add| *add = -*add);
        self.add_said(codec, (weight, payload), Packing::Retracted)
    }

    fn base(&mut self) -> Result<Vec<i32>, LearnerError> {
        self.retried(Self::read_base)
    }

    fn gradient(&mut self) -> Result<Option<Vec<f32>>, LearnerError> {
        self.retried(Self::read_gradient)
    }

    fn base_hash(&mut self) -> Result<Hash, LearnerError> {
        self.retried(Self::hash_base)
    }

    fn restore(&mut self, base: &[i32], carry: f32) -> Result<(), LearnerError> {
        self.check_length(base.len())?;
        let mut residual = self.retried(Self::read_residual)?;
        if carry != 0.0 {
            let old = self.base()?;
            for ((unsaid, old), new) in residual.iter_mut().zip(old).zip(base) {
                *unsaid += carry * to_f32(old.wrapping_sub(*new));
            }
        }
        self.keep(base, &residual);
        let put = self.machine.put(base, &residual).and_then(|()| self.machine.reset_optimizer());
        self.settle(put.map_err(LearnerError::from))
    }

    fn evaluate(&mut self, weights: Weights) -> Result<Evaluation, LearnerError> {
        self.finish()?;
        self.retried(|learner| learner.evaluate_once(weights))
    }

    fn initial_base(&self) -> Vec<i32> {
        self.spec.model.initial_base(self.spec.init_seed)
    }

    fn fold(&mut self) -> Result<Folded, LearnerError> {
        let mut residual = self.retried(Self::read_residual)?;
        let length = norm(&residual);
        let adds = learner::fold(&residual)?;
        let mut base = self.base()?;
        for ((base, unsaid), add) in base.iter_mut().zip(&mut residual).zip(adds) {
            *base = base.wrapping_add(add);
            *unsaid -= to_f32(add);
        }
        self.keep(&base, &residual);
        let written = self.machine.executor.write(self.machine.buffers.base, 0, bytemuck::cast_slice(&base));
        self.settle(written.map_err(LearnerError::from))?;
        Ok(Folded { base, norm: length })
    }

    fn shift(&mut self, by: &[i32]) -> Result<(), LearnerError> {
        self.check_length(by.len())?;
        let residual = self.retried(Self::read_residual)?;
        let mut base = self.base()?;
        base.iter_mut().zip(by).for_each(|(base, by)| *base = base.wrapping_add(*by));
        self.keep(&base, &residual);
        let put = self.machine.put(&base, &residual);
        self.settle(put.map_err(LearnerError::from))
    }

    fn deal(&mut self, shares: &[Share]) -> Result<Option<u64>, LearnerError> {
        let Some(Dealt { us, seed }) = self.spec.dealt else { return Ok(None) };
        self.batches.deal(rendezvous::share(us, shares, self.spec.dataset.train.len(), seed));
        Ok(Some(self.batches.shard.len() as u64))
    }

    fn save(&mut self) -> Result<Saved, LearnerError> {
        self.finish()?;
        self.retried(Self::read_all)
    }

    fn load(&mut self, saved: &Saved) -> Result<(), LearnerError> {
        self.write_all(saved)
    }

    fn replicas(&mut self) -> &mut Replicas {
        &mut self.replicas
    }
}

#[cfg(test)]
pub(crate) mod tests;
