//! [`State`]: the vectors of a learner in memory, and all that the port asks of them. A learner that keeps them on a device does the
//! same there.

use super::{Folded, LearnerError, Measured, Replicas, Saved, TakenDelta, Weights, encode_within, fold, norm};
use crate::codec::{Codec, Decoded};
use crate::fixed::{Weight, to_f32};

/// `theta`, `b`, and what is needed to change them; d is the length of both.
#[derive(Debug)]
pub struct State {
    /// Training weights.
    pub theta: Vec<f32>,
    /// The shared base, units of 2^-24.
    pub base: Vec<i32>,
    /// The last delta that was taken, applied or retracted.
    pub decoded: Decoded,
    /// Of the mode `pairwise`.
    pub replicas: Replicas,
}

impl State {
    /// At `base`, with nothing unsaid.
    #[must_use]
    pub fn new(base: Vec<i32>) -> Self {
        let theta = base.iter().map(|&base| to_f32(base)).collect();
        Self { theta, base, decoded: Decoded::default(), replicas: Replicas::default() }
    }

    /// [`Learner::save`](super::Learner::save), of a learner that is nothing else.
    #[must_use]
    pub fn save(&self) -> Saved {
        Saved { base: self.base.clone(), theta: self.theta.clone(), ..Saved::default() }
    }

    /// [`Learner::load`](super::Learner::load), of the same.
    ///
    /// # Errors
    /// [`LearnerError::Shape`].
    pub fn load(&mut self, saved: &Saved) -> Result<(), LearnerError> {
        let expected = self.base.len();
        for found in [saved.base.len(), saved.theta.len()] {
            if found != expected {
                return Err(LearnerError::Shape { found, expected });
            }
        }
        self.base.clone_from(&saved.base);
        self.theta.clone_from(&saved.theta);
        Ok(())
    }

    /// theta - b.
    #[must_use]
    pub fn residual(&self) -> Vec<f32> {
        self.theta.iter().zip(&self.base).map(|(&theta, &base)| theta - to_f32(base)).collect()
    }

    /// Value of coordinate `i`.
    #[must_use]
    pub fn value(&self, weights: Weights, i: usize) -> f32 {
        match weights {
            Weights::Base => to_f32(self.base[i]),
            Weights::Local => self.theta[i],
        }
    }

    /// [`Learner::measure`](super::Learner::measure).
    #[must_use]
    pub fn measure(&self) -> Measured {
        let base_norm = norm(self.base.iter().map(|&base| to_f32(base)));
        Measured { residual_norm: norm(self.residual()), base_norm }
    }

    /// [`Learner::take_delta`](super::Learner::take_delta), of `said`: the residual, or what a liar says instead.
    ///
    /// # Errors
    /// As there; nothing changes then.
    pub fn take(
        &mut self,
        said: &[f32],
        codec: &'static dyn Codec,
        weight: Weight,
        norm_max: f32,
    ) -> Result<TakenDelta, LearnerError> {
        let Measured { residual_norm, base_norm } = self.measure();
        let payload = encode_within(codec, said, weight, norm_max, &mut self.decoded)?;
        for (i, value, add) in self.decoded.iter() {
            self.base[i] = self.base[i].wrapping_add(add);
            self.theta[i] -= value - to_f32(add);
        }
        Ok(TakenDelta { payload, l2_norm: self.decoded.l2_norm(), residual_norm, base_norm })
    }

    /// [`Learner::apply`](super::Learner::apply) with `sign` 1, [`Learner::retract`](super::Learner::retract) with -1.
    ///
    /// # Errors
    /// [`LearnerError::Codec`]; nothing changes then.
    pub fn add(&mut self, codec: &dyn Codec, weight: Weight, payload: &[u8], sign: i32) -> Result<(), LearnerError> {
        codec.decode(payload, self.base.len(), weight, &mut self.decoded)?;
        for (i, _, add) in self.decoded.iter() {
            self.base[i] = self.base[i].wrapping_add(sign * add);
            self.theta[i] += to_f32(sign * add);
        }
        Ok(())
    }

    /// [`Learner::restore`](super::Learner::restore); returns what was carried over into the residual.
    ///
    /// # Errors
    /// [`LearnerError::Shape`].
    pub fn restore(&mut self, base: &[i32], carry: f32) -> Result<Vec<f32>, LearnerError> {
        if base.len() != self.base.len() {
            return Err(LearnerError::Shape { found: base.len(), expected: self.base.len() });
        }
        let mut carried = Vec::with_capacity(base.len());
        for ((theta, old), &new) in self.theta.iter_mut().zip(&mut self.base).zip(base) {
            let difference = to_f32(new.wrapping_sub(*old));
            *theta += (1.0 - carry) * difference;
            carried.push(-carry * difference);
            *old = new;
        }
        Ok(carried)
    }

    /// [`Learner::fold`](super::Learner::fold); with what went into each coordinate of the base.
    ///
    /// # Errors
    /// As there; nothing changes then.
    pub fn fold(&mut self) -> Result<(Folded, Vec<i32>), LearnerError> {
        let residual = self.residual();
        let adds = fold(&residual)?;
        self.base.iter_mut().zip(&adds).for_each(|(base, add)| *base = base.wrapping_add(*add));
        Ok((Folded { base: self.base.clone(), norm: norm(&residual) }, adds))
    }

    /// [`Learner::shift`](super::Learner::shift).
    pub fn shift(&mut self, by: &[i32]) {
        let unsaid = self.residual();
        for (((base, theta), by), unsaid) in self.base.iter_mut().zip(&mut self.theta).zip(by).zip(unsaid) {
            *base = base.wrapping_add(*by);
            *theta = to_f32(*base) + unsaid;
        }
    }
}
