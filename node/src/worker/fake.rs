//! A learner for tests whose answer is known: `theta` is pulled towards a target, so a swarm ends near the mean of the
//! targets. It can be slow, and it can panic.

use std::time::Duration;

use protocol::codec::{Codec, Decoded};
use protocol::fixed::{Weight, to_f32};
use protocol::learner::{
    self, Evaluation, Folded, Learner, LearnerError, Measured, Replicas, TakenDelta, Trained, Weights,
};

/// Share of the way to the target that a step goes.
const RATE: f32 = 0.05;

pub(crate) struct Fake {
    pub(crate) theta: Vec<f32>,
    pub(crate) base: Vec<i32>,
    pub(crate) target: Vec<f32>,
    pub(crate) decoded: Decoded,
    pub(crate) replicas: Replicas,
    /// Time that a step takes.
    pub(crate) step: Duration,
    /// Whether training panics.
    pub(crate) panics: bool,
}

impl Fake {
    /// Targets differ by `index`.
    pub(crate) fn new(parameters: usize, index: usize) -> Self {
        let target = (0..parameters).map(|i| (i % 11) as f32 / 10.0 + index as f32 / 20.0);
        Self {
            target: target.collect(),
            theta: vec![0.0; parameters],
            base: vec![0; parameters],
            decoded: Decoded::default(),
            replicas: Replicas::default(),
            step: Duration::ZERO,
            panics: false,
        }
    }

    fn residual(&self) -> Vec<f32> {
        self.theta.iter().zip(&self.base).map(|(&theta, &base)| theta - to_f32(base)).collect()
    }
}

impl Learner for Fake {
    fn parameters(&self) -> usize {
        self.theta.len()
    }

    fn train(&mut self, steps: u32, _progress: u64) -> Result<Trained, LearnerError> {
        assert!(!self.panics, "on purpose");
        std::thread::sleep(self.step * steps);
        for _ in 0..steps {
            for (theta, target) in self.theta.iter_mut().zip(&self.target) {
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
        let Measured { residual_norm, base_norm } = self.measure()?;
        let residual = self.residual();
        let payload = learner::encode_within(codec, &residual, weight, norm_max, &mut self.decoded)?;
        for (i, value, add) in self.decoded.iter() {
            self.base[i] = self.base[i].wrapping_add(add);
            self.theta[i] -= value - to_f32(add);
        }
        Ok(TakenDelta { payload, l2_norm: self.decoded.l2_norm(), residual_norm, base_norm })
    }

    fn measure(&mut self) -> Result<Measured, LearnerError> {
        let norm = |values: &mut dyn Iterator<Item = f32>| values.map(|v| v * v).sum::<f32>().sqrt();
        let residual_norm = norm(&mut self.residual().into_iter());
        Ok(Measured { residual_norm, base_norm: norm(&mut self.base.iter().map(|&b| to_f32(b))) })
    }

    fn apply(&mut self, codec: &'static dyn Codec, weight: Weight, payload: &[u8]) -> Result<(), LearnerError> {
        codec.decode(payload, self.base.len(), weight, &mut self.decoded)?;
        for (i, _, add) in self.decoded.iter() {
            self.base[i] = self.base[i].wrapping_add(add);
            self.theta[i] += to_f32(add);
        }
        Ok(())
    }

    fn retract(&mut self, codec: &'static dyn Codec, weight: Weight, payload: &[u8]) -> Result<(), LearnerError> {
        codec.decode(payload, self.base.len(), weight, &mut self.decoded)?;
        for (i, _, add) in self.decoded.iter() {
            self.base[i] = self.base[i].wrapping_sub(add);
            self.theta[i] -= to_f32(add);
        }
        Ok(())
    }

    fn base(&mut self) -> Result<Vec<i32>, LearnerError> {
        Ok(self.base.clone())
    }

    fn restore(&mut self, base: &[i32], carry: f32) -> Result<(), LearnerError> {
        for ((theta, old), &new) in self.theta.iter_mut().zip(&mut self.base).zip(base) {
            *theta += (1.0 - carry) * to_f32(new.wrapping_sub(*old));
            *old = new;
        }
        Ok(())
    }

    fn evaluate(&mut self, weights: Weights) -> Result<Evaluation, LearnerError> {
        let value = |i: usize| match weights {
            Weights::Base => to_f32(self.base[i]),
            Weights::Local => self.theta[i],
        };
        let loss: f32 = self.target.iter().enumerate().map(|(i, t)| (value(i) - t) * (value(i) - t)).sum();
        Ok(Evaluation { loss: loss / self.target.len() as f32, accuracy: 0.0, samples: 1 })
    }

    fn initial_base(&self) -> Vec<i32> {
        vec![0; self.theta.len()]
    }

    fn fold(&mut self) -> Result<Folded, LearnerError> {
        let residual = self.residual();
        let adds = learner::fold(&residual)?;
        for (i, add) in adds.into_iter().enumerate() {
            self.base[i] = self.base[i].wrapping_add(add);
        }
        Ok(Folded { base: self.base.clone(), norm: learner::norm(&residual) })
    }

    fn shift(&mut self, by: &[i32]) -> Result<(), LearnerError> {
        let unsaid = self.residual();
        for (i, by) in by.iter().enumerate() {
            self.base[i] = self.base[i].wrapping_add(*by);
            self.theta[i] = to_f32(self.base[i]) + unsaid[i];
        }
        Ok(())
    }

    fn replicas(&mut self) -> &mut Replicas {
        &mut self.replicas
    }
}
