//! A learner whose answer is known: `theta` is pulled towards a target of the peer's own, so the swarm's optimum is the
//! mean of the targets.

use std::sync::Arc;

use protocol::codec::{Codec, Decoded};
use protocol::fixed::{UNIT, Weight, from_f32, to_f32};
use protocol::learner::{
    self, Evaluation, Folded, Learner, LearnerError, Measured, Replicas, TakenDelta, Trained, Weights,
};

/// What a learner says instead of what it learned.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Lie {
    None,
    /// Its residual times this, as far as a delta may go.
    Scale(f32),
    /// Random values up to this.
    Noise(f32),
}

/// f(theta) = |theta - target|^2 / 2, plain gradient descent.
pub struct Quadratic {
    pub theta: Vec<f32>,
    pub base: Vec<i32>,
    pub target: Vec<f32>,
    optimum: Vec<f32>,
    pub rate: f32,
    /// Sum of all that the optimizer did, and of all that was said of it: emitted + residual = progress.
    pub progress: Vec<f64>,
    pub emitted: Vec<f64>,
    /// Samples of the swarm, as it was told with the last command to train.
    pub told_progress: u64,
    decoded: Decoded,
    pub lie: Lie,
    /// Mode `pairwise`: what was folded into the base, and where the base began when it was last replaced.
    pub folded: Vec<i32>,
    pub start: Vec<i32>,
    replicas: Replicas,
    noise: u64,
}

impl Quadratic {
    /// Peer `index` of `peers`: targets differ by peer as far as `spread` says, their mean is `optimum`.
    pub fn new(parameters: usize, index: usize, peers: usize, spread: f32) -> Self {
        let spread = spread * (index as f32 - (peers as f32 - 1.0) / 2.0);
        let optimum: Vec<f32> = (0..parameters).map(|i| ((i * 37 % 101) as f32 - 50.0) / 50.0).collect();
        let target = optimum.iter().enumerate().map(|(i, o)| o + 0.1 * spread * if i % 2 == 0 { 1.0 } else { -1.0 });
        let base: Vec<i32> = (0..parameters).map(|i| from_f32(Self::start(i))).collect();
        Self {
            theta: base.iter().map(|&b| to_f32(b)).collect(),
            target: target.collect(),
            optimum,
            rate: 0.02,
            progress: vec![0.0; parameters],
            emitted: vec![0.0; parameters],
            told_progress: 0,
            decoded: Decoded::default(),
            lie: Lie::None,
            folded: vec![0; parameters],
            start: base.clone(),
            replicas: Replicas::default(),
            noise: index as u64 + 1,
            base,
        }
    }

    /// Initial value of parameter `i`.
    pub fn start(i: usize) -> f32 {
        (i % 7) as f32 / 100.0
    }

    /// Mean squared distance of the base from the optimum.
    pub fn base_loss(&self) -> f32 {
        let loss: f32 = self.base.iter().zip(&self.optimum).map(|(&b, o)| (to_f32(b) - o) * (to_f32(b) - o)).sum();
        loss / self.optimum.len() as f32
    }

    /// Mode `pairwise`: the payload that it says instead of that one, in a dense codec.
    pub fn told_payload(&mut self, codec: &dyn Codec, payload: &Arc<[u8]>) -> Arc<[u8]> {
        let mut decoded = Decoded::default();
        let parameters = self.theta.len();
        if self.lie == Lie::None || codec.decode(payload, parameters, Weight::ONE, &mut decoded).is_err() {
            return Arc::clone(payload);
        }
        let mut told = Vec::new();
        codec.encode(&self.told(decoded.values), &mut told);
        told.into()
    }

    fn told(&mut self, residual: Vec<f32>) -> Vec<f32> {
        match self.lie {
            Lie::None => residual,
            Lie::Scale(by) => residual.iter().map(|value| (value * by).clamp(-30.0, 30.0)).collect(),
            Lie::Noise(size) => residual
                .iter()
                .map(|_| {
                    self.noise = self.noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    size * ((self.noise >> 40) as f32 / (1 << 23) as f32 - 1.0)
                })
                .collect(),
        }
    }

    /// Largest difference between progress and emitted + residual.
    pub fn unaccounted(&self) -> f64 {
        let residual = self
            .theta
            .iter()
            .zip(&self.base)
            .map(|(&theta, &base)| f64::from(theta) - f64::from(base) * f64::from(UNIT));
        let sums = self.progress.iter().zip(&self.emitted).zip(residual);
        sums.map(|((progress, emitted), residual)| (progress - emitted - residual).abs()).fold(0.0, f64::max)
    }

    fn residual(&self) -> Vec<f32> {
        self.theta.iter().zip(&self.base).map(|(&theta, &base)| theta - to_f32(base)).collect()
    }
}

impl Learner for Quadratic {
    fn parameters(&self) -> usize {
        self.theta.len()
    }

    fn train(&mut self, steps: u32, progress: u64) -> Result<Trained, LearnerError> {
        self.told_progress = progress;
        for _ in 0..steps {
            for ((theta, target), progress) in self.theta.iter_mut().zip(&self.target).zip(&mut self.progress) {
                let before = *theta;
                *theta -= self.rate * (*theta - target);
                *progress += f64::from(*theta) - f64::from(before);
            }
        }
        let loss: f32 = self.theta.iter().zip(&self.target).map(|(a, b)| (a - b) * (a - b)).sum();
        Ok(Trained { steps, samples: u64::from(steps), mean_loss: loss / self.theta.len() as f32 })
    }

    fn take_delta(
        &mut self,
        codec: &'static dyn Codec,
        weight: Weight,
        norm_max: f32,
    ) -> Result<TakenDelta, LearnerError> {
        let Measured { residual_norm, base_norm } = self.measure()?;
        let residual = self.residual();
        let residual = self.told(residual);
        // A liar does not hold back.
        let norm_max = if self.lie == Lie::None { norm_max } else { f32::INFINITY };
        let payload = learner::encode_within(codec, &residual, weight, norm_max, &mut self.decoded)?;
        for (i, value, add) in self.decoded.iter() {
            self.base[i] = self.base[i].wrapping_add(add);
            self.theta[i] -= value - to_f32(add);
            self.emitted[i] += f64::from(value);
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
        for (i, ((theta, old), &new)) in self.theta.iter_mut().zip(&mut self.base).zip(base).enumerate() {
            let difference = to_f32(new.wrapping_sub(*old));
            *theta += (1.0 - carry) * difference;
            self.progress[i] -= f64::from(carry * difference);
            *old = new;
        }
        self.start = base.to_vec();
        self.folded.fill(0);
        Ok(())
    }

    fn evaluate(&mut self, weights: Weights) -> Result<Evaluation, LearnerError> {
        let value = |i: usize| match weights {
            Weights::Base => to_f32(self.base[i]),
            Weights::Local => self.theta[i],
        };
        let loss: f32 = self.optimum.iter().enumerate().map(|(i, o)| (value(i) - o) * (value(i) - o)).sum();
        Ok(Evaluation { loss: loss / self.optimum.len() as f32, accuracy: 0.0, samples: 1 })
    }

    fn initial_base(&self) -> Vec<i32> {
        (0..self.theta.len()).map(|i| from_f32((i % 7) as f32 / 100.0)).collect()
    }

    fn fold(&mut self) -> Result<Folded, LearnerError> {
        let residual = self.residual();
        let adds = learner::fold(&residual)?;
        for (i, add) in adds.into_iter().enumerate() {
            self.base[i] = self.base[i].wrapping_add(add);
            self.emitted[i] += f64::from(add) * f64::from(UNIT);
            self.folded[i] = self.folded[i].wrapping_add(add);
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
