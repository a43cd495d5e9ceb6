//! What gossip costs training: stretches with and without a delta a second, in pairs; of the pairs the median counts, which a stretch that
//! something else fell into does not decide.
//!
//! With gossip a learner says a delta and hears one every second, as a peer of `run` does: what it hears is added before the next steps, and
//! what it says is chosen before steps that go off while it comes to the host. What a delta takes by itself, with no steps beside it, is
//! measured apart. The copies of `theta - b` that outlive a device (`learner/recovery.rs`) come every ten seconds at most, with gossip and
//! without: here one is made before the first stretch, and none in any.

use std::time::Instant;

use protocol::codec::TopK2Bit;
use protocol::fixed::Weight;
use protocol::learner::{Learner as _, LearnerError, Progress, Take};
use serde::Serialize;

use super::clock::seconds;
use crate::TrainingLearner;

/// Seconds between two deltas that are said, and between two that are heard.
pub const DELTA_EVERY_S: f64 = 1.0;
/// Deltas that are measured by themselves.
const ALONE: u32 = 3;
/// What is said, as `run` says it.
const TAKE: Take = Take { codec: &TopK2Bit, weight: Weight::HALF, norm_max: f32::INFINITY };
/// Longest call for steps, seconds: a delta is late by no more.
const CALL_S: f64 = 0.1;

/// How many pairs of stretches, and how long each stretch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stretches {
    /// Pairs.
    pub(crate) pairs: usize,
    /// A whole number: as many deltas are said and heard in each.
    pub(crate) seconds: f64,
}

/// Twenty deltas of each kind in 40 s.
pub(super) const STRETCHES: Stretches = Stretches { pairs: 5, seconds: 4.0 };
/// Of a quick look.
pub(super) const QUICK_STRETCHES: Stretches = Stretches { pairs: 3, seconds: 1.0 };

/// See the module.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Gossip {
    /// As in `models`.
    pub model: String,
    /// d.
    pub parameters: usize,
    /// Samples a step.
    pub batch: usize,
    /// Without: the median of the stretches.
    pub steps_per_s_off: f64,
    /// With a delta said and one heard every second: the median of the stretches.
    pub steps_per_s_on: f64,
    /// Steps a second of each pair of stretches: without, and with.
    pub pairs: Vec<[f64; 2]>,
    /// Share of the step rate that is lost: the median of 1 - on / off over the pairs; noise may make it negative.
    pub cost: f64,
    /// Deltas that were said while it was on, and as many that were heard.
    pub deltas: u32,
    /// Bytes of one.
    pub delta_bytes: usize,
    /// Seconds to say one with nothing beside it: from the wish to the payload.
    pub say_s: f64,
    /// Seconds to hear one with nothing beside it: until the model has it.
    pub hear_s: f64,
}

/// The number in the middle; of two, what lies between them.
fn median(numbers: impl Iterator<Item = f64>) -> f64 {
    let mut all: Vec<f64> = numbers.collect();
    all.sort_by(f64::total_cmp);
    match all.len() {
        0 => f64::NAN,
        n => (all[(n - 1) / 2] + all[n / 2]) / 2.0,
    }
}

/// Steps a second of a stretch, with a delta said and heard a second where one is given; `deltas` counts them.
fn stretch(
    learner: &mut TrainingLearner,
    steps: u32,
    stretch_s: f64,
    heard: Option<&[u8]>,
    deltas: &mut u32,
) -> Result<f64, LearnerError> {
    let begun = Instant::now();
    let (mut taken, mut due) = (0u32, DELTA_EVERY_S / 2.0);
    while begun.elapsed().as_secs_f64() < stretch_s {
        match heard.filter(|_| begun.elapsed().as_secs_f64() >= due) {
            Some(heard) => {
                due += DELTA_EVERY_S;
                *deltas += 1;
                learner.apply(TAKE.codec, TAKE.weight, heard)?;
                learner.take_delta_then_train(TAKE, steps, Progress::START, &mut |_| {})?;
            }
            None => {
                learner.train(steps, Progress::START)?;
            }
        }
        taken += steps;
    }
    // What is still under way belongs to this stretch.
    learner.finish()?;
    Ok(f64::from(taken) / begun.elapsed().as_secs_f64().max(1e-9))
}

/// Trains for these stretches, without and with gossip. A step takes about `step_s`.
///
/// # Errors
/// When the device fails.
pub(crate) fn measure(
    learner: &mut TrainingLearner,
    (model, batch): (&str, usize),
    step_s: f64,
    stretches: Stretches,
) -> Result<Gossip, LearnerError> {
    let steps = (CALL_S / step_s.max(1e-9)).clamp(1.0, 256.0) as u32;
    // The first delta makes what all others use, and is the one that is heard.
    learner.train(1, Progress::START)?;
    let heard = learner.take_delta(TAKE.codec, TAKE.weight, TAKE.norm_max)?.payload;
    learner.apply(TAKE.codec, TAKE.weight, &heard)?;
    learner.train(1, Progress::START)?;
    learner.finish()?;
    learner.keep_no_longer()?;
    let (mut pairs, mut deltas) = (Vec::with_capacity(stretches.pairs), 0u32);
    for pair in 0..stretches.pairs {
        let mut rates = [0.0; 2];
        // Each begins in its turn: what becomes slower all along costs neither.
        for turn in 0..2 {
            let on = (pair + turn) % 2;
            let heard = (on == 1).then_some(&heard[..]);
            rates[on] = stretch(learner, steps, stretches.seconds, heard, &mut deltas)?;
        }
        pairs.push(rates);
    }
    let (mut say_s, mut hear_s) = (0.0, 0.0);
    for _ in 0..ALONE {
        learner.train(1, Progress::START)?;
        learner.finish()?;
        let (said, took) = seconds(|| learner.take_delta(TAKE.codec, TAKE.weight, TAKE.norm_max));
        said?;
        say_s += took;
        // What adds it may still be under way; to be measured is to be done.
        learner.measure()?;
        let (done, took) = seconds(|| {
            learner.apply(TAKE.codec, TAKE.weight, &heard)?;
            learner.measure()
        });
        done?;
        hear_s += took;
    }
    let each = |sum: f64| sum / f64::from(ALONE);
    Ok(Gossip {
        model: model.into(),
        parameters: learner.parameters(),
        batch,
        steps_per_s_off: median(pairs.iter().map(|pair| pair[0])),
        steps_per_s_on: median(pairs.iter().map(|pair| pair[1])),
        cost: median(pairs.iter().map(|[off, on]| 1.0 - on / off)),
        pairs,
        deltas,
        delta_bytes: heard.len(),
        say_s: each(say_s),
        hear_s: each(hear_s),
    })
}

#[cfg(test)]
mod tests {
    use super::median;

    #[test]
    fn one_bad_stretch_decides_nothing() {
        // A copy fell into one of five.
        assert_eq!(median([0.01, 0.012, -0.3, 0.009, 0.011].into_iter()), 0.01);
        assert_eq!(median([3.0, 1.0].into_iter()), 2.0);
        assert!(median([].into_iter()).is_nan());
    }
}
