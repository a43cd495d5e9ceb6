//! A learner of a few numbers, so that a peer under fuzz has something to command.

use protocol::codec::Codec;
use protocol::fixed::Weight;
use protocol::learner::{
    Evaluation, Folded, Learner, LearnerError, Measured, Progress, Replicas, State, TakenDelta, Trained, Weights,
};

/// Pulls every number towards its target.
pub(super) struct Toy {
    pub(super) state: State,
    target: f32,
}

impl Toy {
    pub(super) fn new(parameters: usize, target: f32) -> Self {
        Self { state: State::new(vec![0; parameters]), target }
    }
}

impl Learner for Toy {
    fn parameters(&self) -> usize {
        self.state.theta.len()
    }

    fn train(&mut self, steps: u32, _progress: Progress) -> Result<Trained, LearnerError> {
        for (i, theta) in self.state.theta.iter_mut().enumerate() {
            *theta += 0.1 * (self.target * (1.0 + i as f32 / 100.0) - *theta);
        }
        Ok(Trained { steps, samples: u64::from(steps), mean_loss: 0.5 })
    }

    fn take_delta(
        &mut self,
        codec: &'static dyn Codec,
        weight: Weight,
        norm_max: f32,
    ) -> Result<TakenDelta, LearnerError> {
        self.state.take(&self.state.residual(), codec, weight, norm_max)
    }

    fn measure(&mut self) -> Result<Measured, LearnerError> {
        Ok(self.state.measure())
    }

    fn apply(&mut self, codec: &'static dyn Codec, weight: Weight, payload: &[u8]) -> Result<(), LearnerError> {
        self.state.add(codec, weight, payload, 1)
    }

    fn retract(&mut self, codec: &'static dyn Codec, weight: Weight, payload: &[u8]) -> Result<(), LearnerError> {
        self.state.add(codec, weight, payload, -1)
    }

    fn base(&mut self) -> Result<Vec<i32>, LearnerError> {
        Ok(self.state.base.clone())
    }

    fn restore(&mut self, base: &[i32], carry: f32) -> Result<(), LearnerError> {
        self.state.restore(base, carry).map(drop)
    }

    fn evaluate(&mut self, weights: Weights) -> Result<Evaluation, LearnerError> {
        let loss = (self.state.value(weights, 0) - self.target).abs();
        Ok(Evaluation { loss, accuracy: 0.0, samples: 1 })
    }

    fn initial_base(&self) -> Vec<i32> {
        vec![0; self.state.theta.len()]
    }

    fn fold(&mut self) -> Result<Folded, LearnerError> {
        Ok(self.state.fold()?.0)
    }

    fn shift(&mut self, by: &[i32]) -> Result<(), LearnerError> {
        self.state.shift(by);
        Ok(())
    }

    fn replicas(&mut self) -> &mut Replicas {
        &mut self.state.replicas
    }
}
