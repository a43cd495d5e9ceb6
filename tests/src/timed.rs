//! A learner that tells when it has taken or applied a delta. Equal payloads are one delta, so those of one run must differ.

use std::fmt;

use protocol::codec::Codec;
use protocol::fixed::Weight;
use protocol::id::Hash;
use protocol::learner::{
    Evaluation, Folded, Learner, LearnerError, Measured, Progress, Replicas, TakenDelta, Trained, Weights,
};

/// What was done with a delta.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Did {
    /// It is to be said.
    Take,
    /// It is in the base.
    Apply,
}

/// See the module.
pub struct Timed<L, F> {
    learner: L,
    told: F,
}

impl<L, F> fmt::Debug for Timed<L, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timed").finish_non_exhaustive()
    }
}

impl<L: Learner, F: FnMut(Did, &Hash) + Send> Timed<L, F> {
    /// `told` hears the hash of the payload, at once.
    pub fn new(learner: L, told: F) -> Self {
        Self { learner, told }
    }
}

fn name(payload: &[u8]) -> Hash {
    Hash(*blake3::hash(payload).as_bytes())
}

impl<L: Learner, F: FnMut(Did, &Hash) + Send> Learner for Timed<L, F> {
    fn parameters(&self) -> usize {
        self.learner.parameters()
    }

    fn train(&mut self, steps: u32, progress: Progress) -> Result<Trained, LearnerError> {
        self.learner.train(steps, progress)
    }

    fn take_delta(&mut self, codec: &'static dyn Codec, weight: Weight, most: f32) -> Result<TakenDelta, LearnerError> {
        let taken = self.learner.take_delta(codec, weight, most)?;
        (self.told)(Did::Take, &name(&taken.payload));
        Ok(taken)
    }

    fn measure(&mut self) -> Result<Measured, LearnerError> {
        self.learner.measure()
    }

    fn apply(&mut self, codec: &'static dyn Codec, weight: Weight, payload: &[u8]) -> Result<(), LearnerError> {
        self.learner.apply(codec, weight, payload)?;
        (self.told)(Did::Apply, &name(payload));
        Ok(())
    }

    fn retract(&mut self, codec: &'static dyn Codec, weight: Weight, payload: &[u8]) -> Result<(), LearnerError> {
        self.learner.retract(codec, weight, payload)
    }

    fn base(&mut self) -> Result<Vec<i32>, LearnerError> {
        self.learner.base()
    }

    fn base_hash(&mut self) -> Result<Hash, LearnerError> {
        self.learner.base_hash()
    }

    fn restore(&mut self, base: &[i32], carry: f32) -> Result<(), LearnerError> {
        self.learner.restore(base, carry)
    }

    fn evaluate(&mut self, weights: Weights) -> Result<Evaluation, LearnerError> {
        self.learner.evaluate(weights)
    }

    fn initial_base(&self) -> Vec<i32> {
        self.learner.initial_base()
    }

    fn fold(&mut self) -> Result<Folded, LearnerError> {
        self.learner.fold()
    }

    fn shift(&mut self, by: &[i32]) -> Result<(), LearnerError> {
        self.learner.shift(by)
    }

    fn replicas(&mut self) -> &mut Replicas {
        self.learner.replicas()
    }
}
