//! A learner that computes nothing and takes no memory but its two vectors: what is measured of a peer with it is the peer.
//! No two of its deltas are equal, and all are as long as those of one that learns.

use std::time::Duration;

use protocol::codec::{Codec, Decoded};
use protocol::fixed::{Weight, to_f32};
use protocol::learner::{
    Evaluation, Folded, Learner, LearnerError, Measured, Progress, Replicas, State, TakenDelta, Trained, Weights,
};

/// What every coordinate moves by in a delta, about: far from any limit, and no multiple of a unit.
const MOVE: f32 = 1e-4;

/// Elements of the piece that differs from delta to delta: a chunk of the codecs that have chunks.
const PIECE: usize = 4096;

/// See the module.
#[derive(Debug)]
pub struct Still {
    state: State,
    /// Time that a step takes.
    step: Duration,
    payload: Vec<u8>,
    /// Deltas so far, and what tells them from those of others.
    said: usize,
    phase: usize,
    l2_norm: f32,
}

impl Still {
    /// Of so many parameters; its deltas are as long as `codec` makes them.
    ///
    /// # Panics
    /// When the codec does not read what it has written, or there are fewer parameters than a chunk has.
    #[must_use]
    pub fn new(parameters: usize, step: Duration, codec: &'static dyn Codec, phase: usize) -> Self {
        assert!(parameters >= PIECE, "a chunk at least");
        let said: Vec<f32> = (0..parameters).map(|i| MOVE * (1 + i % 7) as f32).collect();
        let mut payload = Vec::new();
        codec.encode(&said, &mut payload);
        let mut decoded = Decoded::default();
        codec.decode(&payload, parameters, Weight::HALF, &mut decoded).expect("its own");
        Self { state: State::new(vec![0; parameters]), step, payload, said: 0, phase, l2_norm: decoded.l2_norm() }
    }
}

impl Learner for Still {
    fn parameters(&self) -> usize {
        self.state.theta.len()
    }

    fn train(&mut self, steps: u32, _: Progress) -> Result<Trained, LearnerError> {
        std::thread::sleep(self.step * steps);
        Ok(Trained { steps, samples: u64::from(steps), mean_loss: 1.0 })
    }

    fn take_delta(&mut self, codec: &'static dyn Codec, weight: Weight, _: f32) -> Result<TakenDelta, LearnerError> {
        self.said += 1;
        let value = |i: usize| ((i * (2 * self.said + 1) + 64 * self.phase) % PIECE) as f32 / PIECE as f32;
        let piece: Vec<f32> = (0..PIECE).map(|i| MOVE * (1.0 + value(i))).collect();
        let mut bytes = Vec::new();
        codec.encode(&piece, &mut bytes);
        self.payload[..bytes.len()].copy_from_slice(&bytes);
        self.state.add(codec, weight, &self.payload, 1)?;
        self.l2_norm = self.state.decoded.l2_norm();
        let payload = self.payload.clone();
        Ok(TakenDelta { payload, l2_norm: self.l2_norm, residual_norm: self.l2_norm, base_norm: 1.0 })
    }

    fn measure(&mut self) -> Result<Measured, LearnerError> {
        Ok(Measured { residual_norm: self.l2_norm, base_norm: 1.0 })
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

    fn restore(&mut self, base: &[i32], _: f32) -> Result<(), LearnerError> {
        let State { theta, base: own, .. } = &mut self.state;
        if base.len() != own.len() {
            return Err(LearnerError::Shape { found: base.len(), expected: own.len() });
        }
        for ((theta, own), new) in theta.iter_mut().zip(own).zip(base) {
            (*theta, *own) = (to_f32(*new), *new);
        }
        Ok(())
    }

    fn evaluate(&mut self, weights: Weights) -> Result<Evaluation, LearnerError> {
        Ok(Evaluation { loss: self.state.value(weights, 0).abs(), accuracy: 0.0, samples: 1 })
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
