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
use crate::fixed::{Weight, from_f32, to_f32};
use crate::learner::{
    self, Evaluation, Folded, Learner, LearnerError, Measured, Progress, TakenDelta, Trained, Weights, within_payload,
};
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

    /// The group is to come to where the others are: it has nothing to say but what it learns from now on. What a delegate
    /// before this one had not said is lost; see the room's page.
    pub(super) fn begin(&mut self) {
        for ((pending, &upper), &group) in self.pending.iter_mut().zip(&self.upper).zip(&self.group) {
            *pending = upper.wrapping_sub(group);
        }
    }

    /// Nobody has said anything above yet: all that the group has is still to be said.
    pub(super) fn begin_first(&mut self) {
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
        let unsaid = learner::norm(self.residual()) + learner::norm(floats(&self.pending));
        unsaid / learner::norm(floats(&self.upper)).max(f32::MIN_POSITIVE)
    }

    /// As far as a payload may say it; what is beyond is said next time.
    fn residual(&self) -> Vec<f32> {
        let place = self.group.iter().zip(&self.pending).map(|(&b, &p)| b.wrapping_add(p));
        place.zip(&self.upper).map(|(place, &u)| within_payload(place.wrapping_sub(u))).collect()
    }

    fn add(
        &mut self,
        codec: &'static dyn Codec,
        weight: Weight,
        payload: &[u8],
        sign: i32,
    ) -> Result<(), LearnerError> {
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

    fn train(&mut self, _steps: u32, _progress: Progress) -> Result<Trained, LearnerError> {
        Ok(Trained { steps: 0, samples: 0, mean_loss: f32::NAN })
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
        self.add(codec, weight, &payload, 1)?;
        let l2_norm = self.decoded.l2_norm();
        // All of v is said now, and the group keeps of it what went into u.
        for (i, value, _) in self.decoded.iter() {
            self.pending[i] = self.pending[i].wrapping_sub(from_f32(value));
        }
        Ok(TakenDelta { payload, l2_norm, residual_norm, base_norm })
    }

    fn measure(&mut self) -> Result<Measured, LearnerError> {
        Ok(Measured { residual_norm: learner::norm(self.residual()), base_norm: learner::norm(floats(&self.upper)) })
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use crate::codec::TopK2Bit;

    /// b + p - u
    fn unsaid(bridge: &Bridge) -> Vec<i32> {
        (0..bridge.upper.len()).map(|i| bridge.group[i] + bridge.pending[i] - bridge.upper[i]).collect()
    }

    fn payload(values: &[f32]) -> Vec<u8> {
        let mut payload = Vec::new();
        TopK2Bit.encode(values, &mut payload);
        payload
    }

    #[test]
    fn what_is_unsaid_changes_by_what_is_learnt_and_said_and_by_nothing_else() {
        let d = 200;
        let mut bridge = Bridge::new(vec![from_f32(0.5); d]);
        bridge.group = (0..d).map(|i| from_f32(0.5 + i as f32 * 1e-3)).collect();
        let before = unsaid(&bridge);

        let heard = payload(&(0..d).map(|i| (i as f32).sin()).collect::<Vec<_>>());
        bridge.apply(&TopK2Bit, Weight::HALF, &heard).unwrap();
        assert_eq!(unsaid(&bridge), before, "others' progress is not ours to say");
        assert!(bridge.pending.iter().any(|&p| p != 0), "but to be told below");

        // The group is told a part of it, and its base moves by that.
        let by: Vec<(usize, i32)> = (0..d).step_by(3).map(|i| (i, bridge.pending[i])).collect();
        let mut base = bridge.group.clone();
        by.iter().for_each(|&(i, by)| base[i] += by);
        bridge.told(&by, base);
        assert_eq!(unsaid(&bridge), before);

        let taken = bridge.take_delta(&TopK2Bit, Weight::from_raw(1 << 13).unwrap(), f32::INFINITY).unwrap();
        let mut said = Decoded::default();
        TopK2Bit.decode(&taken.payload, d, Weight::ONE, &mut said).unwrap();
        let mut expected = before.clone();
        said.iter().for_each(|(i, _, whole)| expected[i] -= whole);
        assert_eq!(unsaid(&bridge), expected, "it shrinks by exactly v");

        let (pending, upper) = (bridge.pending.clone(), bridge.upper.clone());
        let newer: Vec<i32> = upper.iter().map(|value| value + 7).collect();
        bridge.restore(&newer, 0.5).unwrap();
        assert_eq!(unsaid(&bridge), expected, "a snapshot is heard, not learnt");
        assert_eq!(bridge.pending[0], pending[0] + 7);
    }

    #[test]
    fn a_successor_finds_what_was_said_once_and_does_not_say_it_again() {
        let d = 64;
        let (mut old, b0) = (Bridge::new(vec![0; d]), vec![0; d]);
        old.group = (0..d).map(|i| from_f32(0.01 * (i as f32 - 30.0))).collect();
        let taken = old.take_delta(&TopK2Bit, Weight::HALF, f32::INFINITY).unwrap();
        // All is told below, then it dies.
        let by: Vec<(usize, i32)> = old.pending.iter().copied().enumerate().collect();
        let base: Vec<i32> = old.group.iter().zip(&old.pending).map(|(b, p)| b + p).collect();
        old.told(&by, base.clone());
        let mut next = Bridge::new(b0);
        next.apply(&TopK2Bit, Weight::HALF, &taken.payload).unwrap();
        next.group = base;
        next.begin();
        assert_eq!(next.upper, old.upper, "what was said is there, once");
        assert!(unsaid(&next).iter().all(|&unsaid| unsaid == 0), "and is not said again");
        let place = |bridge: &Bridge, i: usize| bridge.group[i] + bridge.pending[i];
        assert!((0..d).all(|i| place(&next, i) == place(&old, i) - unsaid(&old)[i]), "what was not said is gone");
    }
}
