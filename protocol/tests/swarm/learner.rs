//! A learner whose answer is known: `theta` is pulled towards a target of the peer's own, so the swarm's optimum is the
//! mean of the targets.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use protocol::codec::{Codec, Decoded};
use protocol::fixed::{UNIT, Weight, from_f32, to_f32};
use protocol::learner::{
    Evaluation, Folded, Learner, LearnerError, Measured, Progress, Replicas, Saved, Share, State, TakenDelta, Trained,
    Weights,
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
    state: State,
    pub target: Vec<f32>,
    optimum: Vec<f32>,
    pub rate: f32,
    /// Sum of all that the optimizer did, and of all that was said of it: emitted + residual = progress.
    pub progress: Vec<f64>,
    pub emitted: Vec<f64>,
    /// How far the swarm is, as it was told with the last command to train.
    pub told_progress: Progress,
    pub lie: Lie,
    /// Mode `pairwise`: what was folded into the base, and where the base began when it was last replaced.
    pub folded: Vec<i32>,
    pub start: Vec<i32>,
    /// As the data were last dealt.
    pub dealt: Vec<Share>,
    noise: u64,
}

impl Quadratic {
    /// Peer `index` of `peers`: targets differ by peer as far as `spread` says, their mean is `optimum`.
    pub fn new(parameters: usize, index: usize, peers: usize, spread: f32) -> Self {
        let spread = spread * (index as f32 - (peers as f32 - 1.0) / 2.0);
        let optimum: Vec<f32> = (0..parameters).map(|i| ((i * 37 % 101) as f32 - 50.0) / 50.0).collect();
        let target = optimum.iter().enumerate().map(|(i, o)| o + 0.1 * spread * if i % 2 == 0 { 1.0 } else { -1.0 });
        let base = initial_base(parameters);
        Self {
            target: target.collect(),
            optimum,
            rate: 0.02,
            progress: vec![0.0; parameters],
            emitted: vec![0.0; parameters],
            told_progress: Progress::START,
            lie: Lie::None,
            folded: vec![0; parameters],
            start: base.clone(),
            dealt: Vec::new(),
            noise: index as u64 + 1,
            state: State::new(base),
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
}

/// b0, the same for every peer.
fn initial_base(parameters: usize) -> Vec<i32> {
    (0..parameters).map(|i| from_f32(Quadratic::start(i))).collect()
}

impl Deref for Quadratic {
    type Target = State;

    fn deref(&self) -> &State {
        &self.state
    }
}

impl DerefMut for Quadratic {
    fn deref_mut(&mut self) -> &mut State {
        &mut self.state
    }
}

impl Learner for Quadratic {
    fn parameters(&self) -> usize {
        self.theta.len()
    }

    fn train(&mut self, steps: u32, progress: Progress) -> Result<Trained, LearnerError> {
        self.told_progress = progress;
        for _ in 0..steps {
            for ((theta, target), progress) in self.state.theta.iter_mut().zip(&self.target).zip(&mut self.progress) {
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
        let said = self.told(self.state.residual());
        // A liar does not hold back.
        let norm_max = if self.lie == Lie::None { norm_max } else { f32::INFINITY };
        let taken = self.state.take(&said, codec, weight, norm_max)?;
        self.state.decoded.iter().for_each(|(i, value, _)| self.emitted[i] += f64::from(value));
        Ok(taken)
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
        let carried = self.state.restore(base, carry)?;
        self.progress.iter_mut().zip(carried).for_each(|(progress, carried)| *progress += f64::from(carried));
        self.start = base.to_vec();
        self.folded.fill(0);
        Ok(())
    }

    fn evaluate(&mut self, weights: Weights) -> Result<Evaluation, LearnerError> {
        let value = |i: usize| self.state.value(weights, i);
        let loss: f32 = self.optimum.iter().enumerate().map(|(i, o)| (value(i) - o) * (value(i) - o)).sum();
        Ok(Evaluation { loss: loss / self.optimum.len() as f32, accuracy: 0.0, samples: 1 })
    }

    fn initial_base(&self) -> Vec<i32> {
        initial_base(self.theta.len())
    }

    fn fold(&mut self) -> Result<Folded, LearnerError> {
        let (folded, adds) = self.state.fold()?;
        for (i, add) in adds.into_iter().enumerate() {
            self.emitted[i] += f64::from(add) * f64::from(UNIT);
            self.folded[i] = self.folded[i].wrapping_add(add);
        }
        Ok(folded)
    }

    fn shift(&mut self, by: &[i32]) -> Result<(), LearnerError> {
        self.state.shift(by);
        Ok(())
    }

    fn deal(&mut self, shares: &[Share]) -> Result<Option<u64>, LearnerError> {
        self.dealt = shares.to_vec();
        Ok(Some(shares.len() as u64))
    }

    fn save(&mut self) -> Result<Saved, LearnerError> {
        Ok(self.state.save())
    }

    fn load(&mut self, saved: &Saved) -> Result<(), LearnerError> {
        self.state.load(saved)?;
        // What it has learnt in its life before and not said.
        self.emitted.fill(0.0);
        self.progress = self.state.residual().into_iter().map(f64::from).collect();
        Ok(())
    }

    fn replicas(&mut self) -> &mut Replicas {
        &mut self.state.replicas
    }
}
