//! A learner as plain numbers, and back: what a checkpoint holds of it.
//!
//! ```text
//! base, theta       the model
//! moments.I         of the optimizer, each [d], f32
//! state             b1^t, b2^t, the common second moment (f32), and steps since the beginning (u32)
//! order.shard       the peer's samples in the order of the present round     order.next      place of the next one
//! order.seed        of the generator that draws the orders                   order.place     words drawn from it
//! steps             asked for in its life, low word first
//! ```
//!
//! Which samples a learner has is the job's business; a checkpoint must be of the same ones, or "the next sample" would mean nothing. Where they are
//! dealt anew, they are those of the last deal.

use std::collections::BTreeMap;

use protocol::fixed::to_f32;
use protocol::learner::{LearnerError, Saved};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng as _;

use super::{Batches, TrainingLearner};
use crate::engine::{Buffer, Executor};
use crate::kernels::advance::{STATE_LOSSES, STATE_POWER_1};

fn wrong(what: impl Into<String>) -> LearnerError {
    LearnerError::Checkpoint(what.into())
}

/// A number of 64 bits as words.
fn halves(number: u64) -> Vec<u32> {
    vec![number as u32, (number >> 32) as u32]
}

fn whole(words: &[u32]) -> u64 {
    words.iter().rev().fold(0, |number, &word| number << 32 | u64::from(word))
}

/// What was saved under a name, of that length.
fn named<'a>(saved: &'a Saved, name: &str, length: usize) -> Result<&'a [u32], LearnerError> {
    let words = saved.own.get(name).ok_or_else(|| wrong(format!("it lacks {name:?}")))?;
    if words.len() == length {
        return Ok(words);
    }
    Err(wrong(format!("{name:?} has {} words, this job's has {length}", words.len())))
}

impl Batches {
    fn save(&self, own: &mut BTreeMap<String, Vec<u32>>) {
        let place = self.rng.get_word_pos();
        own.insert("order.shard".into(), self.shard.clone());
        own.insert("order.next".into(), halves(self.next as u64));
        own.insert(
            "order.seed".into(),
            self.rng.get_seed().as_chunks::<4>().0.iter().map(|b| u32::from_le_bytes(*b)).collect(),
        );
        own.insert("order.place".into(), [halves(place as u64), halves((place >> 64) as u64)].concat());
    }

    /// The order that was saved, of the same samples; of any of so many, where they are dealt.
    fn load(&self, saved: &Saved, dealt_of: Option<usize>) -> Result<Self, LearnerError> {
        let shard = saved.own.get("order.shard").ok_or_else(|| wrong("it lacks \"order.shard\""))?.clone();
        let sorted = |shard: &[u32]| {
            let mut sorted = shard.to_vec();
            sorted.sort_unstable();
            sorted
        };
        let rows = sorted(&shard);
        let fits = match dealt_of {
            None => rows == sorted(&self.shard),
            Some(all) => {
                let twice = rows.windows(2).any(|pair| pair[0] == pair[1]);
                !twice && rows.last().is_some_and(|&last| (last as usize) < all)
            }
        };
        if !fits {
            return Err(wrong("it is of other samples: another shard of the data"));
        }
        let next = whole(named(saved, "order.next", 2)?);
        let next = usize::try_from(next).ok().filter(|next| *next <= shard.len());
        let next = next.ok_or_else(|| wrong("its place in the order of the samples is beyond their end"))?;
        let mut seed = [0; 32];
        for (bytes, word) in seed.as_chunks_mut::<4>().0.iter_mut().zip(named(saved, "order.seed", 8)?) {
            *bytes = word.to_le_bytes();
        }
        let place = named(saved, "order.place", 4)?;
        let mut rng = ChaCha8Rng::from_seed(seed);
        rng.set_word_pos(u128::from(whole(&place[..2])) | u128::from(whole(&place[2..])) << 64);
        Ok(Self { shard, next, rng })
    }
}

fn read(on: &mut dyn Executor, buffer: Buffer, words: usize) -> Result<Vec<u32>, LearnerError> {
    let mut out = Vec::new();
    on.read(buffer, words, &mut out)?;
    Ok(out)
}

impl TrainingLearner {
    /// Of [`protocol::learner::Learner::save`].
    pub(super) fn read_all(&mut self) -> Result<Saved, LearnerError> {
        let d = self.spec.model.parameters();
        let base = self.read_base()?;
        let buffers = self.machine.buffers;
        let moments = self.machine.optimizer.moments().to_vec();
        let on = self.machine.executor.as_mut();
        let theta = read(on, buffers.theta, d)?.into_iter().map(f32::from_bits).collect();
        let mut own = BTreeMap::new();
        for (i, &moment) in moments.iter().enumerate() {
            own.insert(format!("moments.{i}"), read(on, moment, d)?);
        }
        // What is before it is zero whenever the host looks.
        own.insert("state".into(), read(on, buffers.state, STATE_LOSSES)?.split_off(STATE_POWER_1));
        self.batches.save(&mut own);
        own.insert("steps".into(), halves(self.steps));
        Ok(Saved { base, theta, own })
    }

    /// Of [`protocol::learner::Learner::load`]. Everything is looked at before anything is changed.
    pub(super) fn write_all(&mut self, saved: &Saved) -> Result<(), LearnerError> {
        self.check_length(saved.base.len())?;
        self.check_length(saved.theta.len())?;
        let d = self.spec.model.parameters();
        let moments = self.machine.optimizer.moments().to_vec();
        let values =
            (0..moments.len()).map(|i| named(saved, &format!("moments.{i}"), d)).collect::<Result<Vec<_>, _>>()?;
        let state = named(saved, "state", STATE_LOSSES - STATE_POWER_1)?;
        let steps = whole(named(saved, "steps", 2)?);
        let dealt_of = self.spec.dealt.map(|_| self.spec.dataset.train.len());
        self.batches = self.batches.load(saved, dealt_of)?;
        self.steps = steps;
        let residual: Vec<f32> = saved.theta.iter().zip(&saved.base).map(|(theta, &b)| theta - to_f32(b)).collect();
        self.keep(&saved.base, &residual);
        let buffers = self.machine.buffers;
        let on = self.machine.executor.as_mut();
        on.write(buffers.base, 0, bytemuck::cast_slice(&saved.base))?;
        // Itself, and not base and residual: their sum is rounded.
        on.write(buffers.theta, 0, bytemuck::cast_slice(&saved.theta))?;
        for (moment, words) in moments.into_iter().zip(values) {
            on.write(moment, 0, words)?;
        }
        on.write(buffers.state, STATE_POWER_1, state)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use protocol::codec::TopK2Bit;
    use protocol::fixed::Weight;
    use protocol::learner::{Learner as _, Progress, Weights};

    use super::super::tests::{kinds, spec};
    use super::*;
    use crate::engine::cpu::CpuExecutor;
    use crate::learner::LearnerSpec;
    use crate::optim::OptimizerSpec;
    use crate::optim::schedule::{Curve, Schedule};

    const RATE: f32 = 0.003;
    const ADAM: OptimizerSpec = OptimizerSpec::Adam { learning_rate: RATE };

    fn learner(spec: &LearnerSpec) -> TrainingLearner {
        TrainingLearner::new(spec.clone(), Box::new(CpuExecutor::new(None))).unwrap()
    }

    /// Steps in stretches of that many, with a delta after each.
    fn train(learner: &mut TrainingLearner, from: u32, steps: u32, stretch: u32) {
        let batch = learner.spec.batch as u64;
        for first in (from..from + steps).step_by(stretch as usize) {
            let progress = Progress { samples: u64::from(first) * batch, ..Progress::START };
            learner.train(stretch.min(from + steps - first), progress).unwrap();
            if (first + stretch).is_multiple_of(10) {
                learner.take_delta(&TopK2Bit, Weight::HALF, f32::INFINITY).unwrap();
            }
        }
    }

    /// Whether a learner that was saved half-way and loaded into a new one ends as the one that went on.
    fn goes_on(name: &str, spec: &LearnerSpec) {
        let mut straight = learner(spec);
        train(&mut straight, 0, 50, 5);
        let saved = straight.save().unwrap();
        train(&mut straight, 50, 60, 5);
        let mut resumed = learner(spec);
        resumed.load(&saved).unwrap();
        assert_eq!(resumed.save().unwrap(), saved, "{name}: nothing is lost on the way");
        // The same deltas, and other stretches between them.
        train(&mut resumed, 50, 60, 1);
        assert!(resumed.save().unwrap() == straight.save().unwrap(), "{name}: it went another way");
        let [a, b] = [&mut straight, &mut resumed].map(|learner| learner.evaluate(Weights::Local).unwrap());
        assert_eq!(a, b, "{name}");
    }

    #[test]
    fn a_loaded_learner_takes_the_same_steps_to_the_bit() {
        let optimizers = [
            ("sgd", OptimizerSpec::Sgd { learning_rate: 0.05, momentum: 0.9, nesterov: true }),
            ("adam", ADAM),
            ("adam_common", OptimizerSpec::AdamCommon { learning_rate: RATE }),
            ("adamw", OptimizerSpec::AdamW { learning_rate: RATE, weight_decay: 0.1 }),
        ];
        for (name, optimizer) in optimizers {
            goes_on(name, &spec(optimizer));
        }
        let curve = Curve::Cosine { total_samples: 4000, floor: 0.1 };
        let schedule = Schedule { warm_up_samples: 700, curve, ..Schedule::default() };
        goes_on("schedule", &LearnerSpec { schedule, ..spec(ADAM) });
        goes_on("clip", &LearnerSpec { clip: Some(0.1), ..spec(ADAM) });
        // More rounds of a shard than one: the order is drawn anew.
        let mut small = spec(ADAM);
        small.shard.truncate(100);
        goes_on("orders", &small);
        for (name, spec) in kinds() {
            goes_on(name, &spec);
        }
    }

    #[test]
    fn what_is_of_another_learner_is_refused_and_changes_nothing() {
        let adam = spec(ADAM);
        let mut from = learner(&adam);
        train(&mut from, 0, 10, 5);
        let saved = from.save().unwrap();
        let without = |name: &str| {
            let mut saved = saved.clone();
            saved.own.remove(name).unwrap();
            saved
        };
        let short = |name: &str| {
            let mut saved = saved.clone();
            saved.own.get_mut(name).unwrap().pop();
            saved
        };
        let mut cases: Vec<_> = saved.own.keys().flat_map(|name| [without(name), short(name)]).collect();
        cases.push(Saved { base: saved.base[1..].to_vec(), ..saved.clone() });
        cases.push(Saved { theta: Vec::new(), ..saved.clone() });
        let mut beyond = saved.clone();
        beyond.own.insert("order.next".into(), vec![5000, 0]);
        cases.push(beyond);
        let mut fresh = learner(&adam);
        let before = fresh.save().unwrap();
        for case in &cases {
            let error = fresh.load(case).unwrap_err();
            assert!(matches!(error, LearnerError::Checkpoint(_) | LearnerError::Shape { .. }), "{error}");
        }
        assert_eq!(fresh.save().unwrap(), before);
        let others = [
            LearnerSpec { shard: (0..adam.shard.len() as u32).map(|i| i / 2).collect(), ..spec(ADAM) },
            spec(OptimizerSpec::Sgd { learning_rate: 0.1, momentum: 0.0, nesterov: false }),
        ];
        // Fewer moments than were saved are no obstacle of length; other samples are.
        assert!(learner(&others[0]).load(&saved).unwrap_err().to_string().contains("other samples"));
        let mut sgd = learner(&others[1]);
        let plain = sgd.save().unwrap();
        assert!(learner(&adam).load(&plain).unwrap_err().to_string().contains("moments.1"));
    }
}
