//! A learner for tests whose answer is known: `theta` is pulled towards a target, so a swarm ends near the mean of the
//! targets. It can be slow, and it can panic.

use std::time::Duration;

use protocol::codec::Codec;
use protocol::fixed::Weight;
use protocol::learner::{
    Evaluation, Folded, Learner, LearnerError, Measured, Progress, Replicas, Saved, State, TakenDelta, Trained, Weights,
};

/// Share of the way to the target that a step goes.
const RATE: f32 = 0.05;

pub(crate) struct Fake {
    pub(crate) state: State,
    pub(crate) target: Vec<f32>,
    /// Time that a step takes.
    pub(crate) step: Duration,
    /// Whether training panics.
    pub(crate) panics: bool,
}

impl Fake {
    /// Targets differ by `index`.
    pub(crate) fn new(parameters: usize, index: usize) -> Self {
        let target = (0..parameters).map(|i| (i % 11) as f32 / 10.0 + index as f32 / 20.0);
        Self { target: target.collect(), state: State::new(vec![0; parameters]), step: Duration::ZERO, panics: false }
    }
}

impl Learner for Fake {
    fn parameters(&self) -> usize {
        self.state.theta.len()
    }

    fn train(&mut self, steps: u32, _progress: Progress) -> Result<Trained, LearnerError> {
        assert!(!self.panics, "on purpose");
        std::thread::sleep(self.step * steps);
        for _ in 0..steps {
            for (theta, target) in self.state.theta.iter_mut().zip(&self.target) {
                *theta -= RATE * (*theta - target);
            }
        }
        let evaluation = self.evaluate(Weights::Local)?;
        Ok(Trained { steps, samples: u64::from(steps), mean_loss: evaluation.loss })
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
        let value = |i: usize| self.state.value(weights, i);
        let loss: f32 = self.target.iter().enumerate().map(|(i, t)| (value(i) - t) * (value(i) - t)).sum();
        Ok(Evaluation { loss: loss / self.target.len() as f32, accuracy: 0.0, samples: 1 })
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

    fn save(&mut self) -> Result<Saved, LearnerError> {
        Ok(self.state.save())
    }

    fn load(&mut self, saved: &Saved) -> Result<(), LearnerError> {
        self.state.load(saved)
    }

    fn replicas(&mut self) -> &mut Replicas {
        &mut self.state.replicas
    }
}
