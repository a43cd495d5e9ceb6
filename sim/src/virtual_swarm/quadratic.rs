//! A learner whose answer is known: noisy gradient descent towards a target of the peer's own, so the swarm's optimum is the
//! mean of the targets. It costs microseconds, and it keeps an account of its progress: what it said and what it did not
//! say yet must add up to what its optimizer did.
//!
//! ```text
//! f_i(theta) = |theta - t_i|^2 / 2       t_i = o + spread * s_i * (+1, -1, +1, ...)      s_i symmetric about 0
//! theta -= rate * (theta - t_i + noise)
//! evaluation: loss = |b - o|^2 / d       accuracy = 1 / (1 + 100 loss), so that "higher is better" has a number too
//! ```

use protocol::codec::Codec;
use protocol::fixed::{UNIT, Weight, from_f32};
use protocol::learner::{
    Evaluation, Folded, Learner, LearnerError, Measured, Progress, Replicas, State, TakenDelta, Trained, Weights,
};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng as _;

use super::network::normal;
use super::scenario::QuadraticSpec;

/// See the module.
#[derive(Debug)]
pub(super) struct Quadratic {
    state: State,
    pull: f32,
    rate: f32,
    noise: f32,
    rng: ChaCha8Rng,
    /// Sum of all that the optimizer did, less all that was said of it.
    unsaid: Vec<f64>,
}

impl Quadratic {
    /// Peer `index` of `peers`.
    pub(super) fn new(spec: &QuadraticSpec, index: u32, peers: u32, seed: u64) -> Self {
        // Peers in pairs of opposite pull; the last of an odd number pulls nowhere.
        let place = f64::from(index / 2 + 1) / f64::from(peers.div_ceil(2));
        let alone = index + 1 == peers && peers % 2 == 1;
        let pull = if alone { 0.0 } else { place * if index.is_multiple_of(2) { 1.0 } else { -1.0 } };
        Self {
            state: State::new(initial_base(spec.parameters)),
            pull: spec.spread * pull as f32,
            rate: spec.learning_rate,
            noise: spec.noise,
            rng: ChaCha8Rng::seed_from_u64(seed),
            unsaid: vec![0.0; spec.parameters],
        }
    }
}

fn optimum(i: usize) -> f32 {
    ((i * 37 % 101) as f32 - 50.0) / 50.0
}

/// b0, the same for every peer.
pub(super) fn initial_base(parameters: usize) -> Vec<i32> {
    (0..parameters).map(|i| from_f32((i % 7) as f32 / 100.0)).collect()
}

fn sign(i: usize) -> f32 {
    if i.is_multiple_of(2) { 1.0 } else { -1.0 }
}

impl Learner for Quadratic {
    fn parameters(&self) -> usize {
        self.state.theta.len()
    }

    fn train(&mut self, steps: u32, _progress: Progress) -> Result<Trained, LearnerError> {
        let mut loss = 0.0f64;
        for _ in 0..steps {
            // One draw a step, spread over the coordinates by their sign pattern: cheap, and its mean is zero.
            let noise = if self.noise > 0.0 { self.noise * normal(&mut self.rng) as f32 } else { 0.0 };
            for (i, (theta, unsaid)) in self.state.theta.iter_mut().zip(&mut self.unsaid).enumerate() {
                let before = *theta;
                let error = before - (optimum(i) + self.pull * sign(i));
                loss += f64::from(error) * f64::from(error);
                let wiggle = if i % 3 == 0 { noise } else { -0.5 * noise };
                *theta = before - self.rate * (error + wiggle);
                *unsaid += f64::from(*theta) - f64::from(before);
            }
        }
        let mean = loss / (self.state.theta.len() as f64 * f64::from(steps.max(1)));
        Ok(Trained { steps, samples: u64::from(steps), mean_loss: mean as f32 })
    }

    fn take_delta(
        &mut self,
        codec: &'static dyn Codec,
        weight: Weight,
        norm_max: f32,
    ) -> Result<TakenDelta, LearnerError> {
        let taken = self.state.take(&self.state.residual(), codec, weight, norm_max)?;
        self.state.decoded.iter().for_each(|(i, value, _)| self.unsaid[i] -= f64::from(value));
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
        // What is carried over is to be said again.
        let carried = self.state.restore(base, carry)?;
        self.unsaid.iter_mut().zip(carried).for_each(|(unsaid, carried)| *unsaid += f64::from(carried));
        Ok(())
    }

    fn evaluate(&mut self, weights: Weights) -> Result<Evaluation, LearnerError> {
        let value = |i: usize| self.state.value(weights, i);
        let sum: f64 = (0..self.state.base.len()).map(|i| f64::from(value(i) - optimum(i)).powi(2)).sum();
        let loss = sum / self.state.base.len() as f64;
        Ok(Evaluation { loss: loss as f32, accuracy: (1.0 / (1.0 + 100.0 * loss)) as f32, samples: 1 })
    }

    fn initial_base(&self) -> Vec<i32> {
        initial_base(self.state.base.len())
    }

    fn fold(&mut self) -> Result<Folded, LearnerError> {
        let (folded, adds) = self.state.fold()?;
        let said = adds.into_iter().map(|add| f64::from(add) * f64::from(UNIT));
        self.unsaid.iter_mut().zip(said).for_each(|(unsaid, said)| *unsaid -= said);
        Ok(folded)
    }

    fn shift(&mut self, by: &[i32]) -> Result<(), LearnerError> {
        self.state.shift(by);
        Ok(())
    }

    fn replicas(&mut self) -> &mut Replicas {
        &mut self.state.replicas
    }
}

impl Quadratic {
    /// Largest difference between what the optimizer did and what was said and what is still to be said.
    pub(super) fn unaccounted(&self) -> f64 {
        let residual =
            self.state.theta.iter().zip(&self.state.base).map(|(&t, &b)| f64::from(t) - f64::from(b) * f64::from(UNIT));
        self.unsaid.iter().zip(residual).map(|(unsaid, residual)| (unsaid - residual).abs()).fold(0.0, f64::max)
    }

    /// Whether every weight is finite.
    pub(super) fn finite(&self) -> bool {
        self.state.theta.iter().all(|value| value.is_finite())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use protocol::codec::TopK2Bit;

    use super::*;

    #[test]
    fn pulls_cancel_and_the_account_is_exact() {
        let spec = QuadraticSpec::default();
        for peers in [1, 2, 5, 8] {
            let sum: f32 = (0..peers).map(|i| Quadratic::new(&spec, i, peers, 1).pull).sum();
            assert!(sum.abs() < 1e-6, "{peers}: {sum}");
        }
        let mut learner = Quadratic::new(&spec, 0, 2, 1);
        for _ in 0..20 {
            learner.train(10, Progress::START).unwrap();
            learner.take_delta(&TopK2Bit, Weight::HALF, f32::INFINITY).unwrap();
        }
        assert!(learner.unaccounted() < 1e-4, "{}", learner.unaccounted());
        learner.state.theta[3] += 0.01;
        assert!(learner.unaccounted() > 5e-3, "and it notices what is lost");
    }

    #[test]
    fn alone_it_finds_its_optimum() {
        let spec = QuadraticSpec { noise: 0.0, ..QuadraticSpec::default() };
        let mut learner = Quadratic::new(&spec, 0, 1, 1);
        let before = learner.evaluate(Weights::Local).unwrap();
        learner.train(400, Progress::START).unwrap();
        let after = learner.evaluate(Weights::Local).unwrap();
        assert!(after.loss < before.loss / 1e4 && after.accuracy > 0.99, "{before:?} {after:?}");
    }
}
