//! [`Bridge`]: what stands in a learner's place behind a delegate's upper peer. It computes no gradient: its `theta` is where the
//! group will stand once its delegate has said all, `b + p`, and its base is `u`.
//!
//! ```text
//! heard above     u += round(w v);  p += round(w v)            p: what the group is still to be told
//! said above      v = decode(encode(b + p - u));  u += round(w v);  p -= v - round(w v)
//! said below      p -= what the group's base has moved by
//! ```
//!
//! `b + p - u` is what the group has learnt and has not said: it changes by the deltas of the members and by what is said above, and by
//! nothing else. All of it is integers.

use crate::codec::{Codec, Decoded};
use crate::fixed::{Weight, to_f32};
use crate::learner::{self, Evaluation, Folded, Learner, LearnerError, Measured, TakenDelta, Trained, Weights};
use crate::mode::pairwise::Replicas;

/// See the module.
#[derive(Debug)]
pub(super) struct Bridge {
    initial: Vec<i32>,
    /// b, as it was last read.
    group: Vec<i32>,
    /// p
    pending: Vec<i32>,
    /// u
    upper: Vec<i32>,
    decoded: Decoded,
    replicas: Replicas,
}

impl Bridge {
    /// `initial` is b0, of both logs.
    pub(super) fn new(initial: Vec<i32>) -> Self {
        let (group, upper, pending) = (initial.clone(), initial.clone(), vec![0; initial.len()]);
        Self { initial, group, pending, upper, decoded: Decoded::default(), replicas: Replicas::default() }
    }

    /// The group stands where it stands: nothing is pending. What a delegate before this one had not told the group is in
    /// `b - u` now, as if the group had unlearnt it; see the room's page.
    pub(super) fn begin(&mut self) {
        self.pending.fill(0);
    }

    /// The group's base moved by `by` on the delegate's word, and was read then.
    pub(super) fn told(&mut self, by: &[(usize, i32)], base: Vec<i32>) {
        for &(i, by) in by {
            self.pending[i] = self.pending[i].wrapping_sub(by);
        }
        self.group = base;
    }

    pub(super) fn pending(&self) -> &[i32] {
        &self.pending
    }

    pub(super) fn upper(&self) -> &[i32] {
        &self.upper
    }

    /// (||b + p - u|| + ||p||) / ||u||: how much is still to be said, above and below.
    pub(super) fn distance(&self) -> f32 {
        let unsaid = learner::norm(&self.residual()) + learner::norm(&floats(&self.pending));
        unsaid / learner::norm(&floats(&self.upper)).max(f32::MIN_POSITIVE)
    }

    fn residual(&self) -> Vec<f32> {
        let place = self.group.iter().zip(&self.pending).map(|(&b, &p)| b.wrapping_add(p));
        place.zip(&self.upper).map(|(place, &u)| to_f32(place.wrapping_sub(u))).collect()
    }

    fn add(&mut self, codec: &'static dyn Codec, weight: Weight, payload: &[u8], sign: i32) -> Result<(), LearnerError> {
        codec.decode(payload, self.upper.len(), weight, &mut self.decoded)?;
        for (i, _, add) in self.decoded.iter() {
            self.upper[i] = self.upper[i].wrapping_add(sign * add);
            self.pending[i] = self.pending[i].wrapping_add(sign * add);
        }
        Ok(())
    }
}

fn floats(values: &[i32]) -> Vec<f32> {
    values.iter().map(|&value| to_f32(value)).collect()
}

impl Learner for Bridge {
    fn parameters(&self) -> usize {
        self.upper.len()
    }

    fn train(&mut self, _steps: u32, _progress: u64) -> Result<Trained, LearnerError> {
        Ok(Trained { steps: 0, samples: 0, mean_loss: f32::NAN })
    }

    fn take_delta(&mut self, codec: &'static dyn Codec, weight: Weight) -> Result<TakenDelta, LearnerError> {
        let Measured { residual_norm, base_norm } = self.measure()?;
        let mut payload = Vec::new();
        codec.encode(&self.residual(), &mut payload);
        self.add(codec, weight, &payload, 1)?;
        let l2_norm = self.decoded.l2_norm();
        // All of v is said now, and the group keeps of it what went into u.
        codec.decode(&payload, self.upper.len(), Weight::ONE, &mut self.decoded)?;
        for (i, _, whole) in self.decoded.iter() {
            self.pending[i] = self.pending[i].wrapping_sub(whole);
        }
        Ok(TakenDelta { payload, l2_norm, residual_norm, base_norm })
    }

    fn measure(&mut self) -> Result<Measured, LearnerError> {
        Ok(Measured { residual_norm: learner::norm(&self.residual()), base_norm: learner::norm(&floats(&self.upper)) })
    }

    fn apply(&mut self, codec: &'static dyn Codec, weight: Weight, payload: &[u8]) -> Result<(), LearnerError> {
        self.add(codec, weight, payload, 1)
    }

    fn retract(&mut self, codec: &'static dyn Codec, weight: Weight, payload: &[u8]) -> Result<(), LearnerError> {
        self.add(codec, weight, payload, -1)
    }

    fn base(&mut self) -> Result<Vec<i32>, LearnerError> {
        Ok(self.upper.clone())
    }

    /// What the new `u` has and the old one lacks is heard; what the old one has and the new one lacks is replayed. `carry` is for
    /// who would lose what it said: that is in the group's base, and in `b + p - u` again.
    fn restore(&mut self, base: &[i32], _carry: f32) -> Result<(), LearnerError> {
        if base.len() != self.upper.len() {
            return Err(LearnerError::Shape { found: base.len(), expected: self.upper.len() });
        }
        for ((pending, old), &new) in self.pending.iter_mut().zip(&mut self.upper).zip(base) {
            *pending = pending.wrapping_add(new.wrapping_sub(*old));
            *old = new;
        }
        Ok(())
    }

    /// Nobody asks: the group's learner evaluates.
    fn evaluate(&mut self, _weights: Weights) -> Result<Evaluation, LearnerError> {
        Ok(Evaluation { loss: f32::NAN, accuracy: 0.0, samples: 0 })
    }

    fn initial_base(&self) -> Vec<i32> {
        self.initial.clone()
    }

    fn fold(&mut self) -> Result<Folded, LearnerError> {
        Ok(Folded { base: self.upper.clone(), norm: 0.0 })
    }

    fn shift(&mut self, by: &[i32]) -> Result<(), LearnerError> {
        self.upper.iter_mut().zip(by).for_each(|(value, by)| *value = value.wrapping_add(*by));
        Ok(())
    }

    fn replicas(&mut self) -> &mut Replicas {
        &mut self.replicas
    }
}
