//! What gossip costs training: stretches with and without a delta a second, in turns.
//!
//! With gossip a learner says a delta and hears one every second, as a peer of `run` does: what it hears is added before the next steps, and
//! what it says is chosen before steps that go off while it comes to the host. What a delta takes by itself, with no steps beside it, is
//! measured apart.

use std::time::Instant;

use protocol::codec::TopK2Bit;
use protocol::fixed::Weight;
use protocol::learner::{Learner as _, LearnerError, Progress, Take};
use serde::Serialize;

use super::clock::seconds;
use crate::TrainingLearner;

/// Seconds between two deltas that are said, and between two that are heard.
pub const DELTA_EVERY_S: f64 = 1.0;
/// Stretches of each kind.
const ROUNDS: usize = 2;
/// Deltas that are measured by themselves.
const ALONE: u32 = 3;
/// What is said, as `run` says it.
const TAKE: Take = Take { codec: &TopK2Bit, weight: Weight::HALF, norm_max: f32::INFINITY };
/// Longest call for steps, seconds: a delta is late by no more.
const CALL_S: f64 = 0.1;

/// See the module.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Gossip {
    /// As in `models`.
    pub model: String,
    /// d.
    pub parameters: usize,
    /// Samples a step.
    pub batch: usize,
    /// Without.
    pub steps_per_s_off: f64,
    /// With a delta said and one heard every second.
    pub steps_per_s_on: f64,
    /// Share of the step rate that is lost: 1 - on / off, as measured; noise may make it negative.
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

/// What is summed up over the stretches of one kind.
#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    steps: u32,
    seconds: f64,
}

impl Sum {
    fn rate(self) -> f64 {
        f64::from(self.steps) / self.seconds.max(1e-9)
    }
}

/// Trains for stretches of `stretch_s` seconds, a whole number, without and with gossip. A step takes about `step_s`.
///
/// # Errors
/// When the device fails.
pub(super) fn measure(
    learner: &mut TrainingLearner,
    (model, batch): (&str, usize),
    step_s: f64,
    stretch_s: f64,
) -> Result<Gossip, LearnerError> {
    let steps = (CALL_S / step_s.max(1e-9)).clamp(1.0, 256.0) as u32;
    // The first delta makes what all others use, and is the one that is heard.
    learner.train(1, Progress::START)?;
    let heard = learner.take_delta(TAKE.codec, TAKE.weight, TAKE.norm_max)?.payload;
    learner.apply(TAKE.codec, TAKE.weight, &heard)?;
    learner.train(1, Progress::START)?;
    learner.finish()?;
    let (mut off, mut on, mut deltas) = (Sum::default(), Sum::default(), 0u32);
    for stretch in 0..2 * ROUNDS {
        let gossip = stretch % 2 == 1;
        let begun = Instant::now();
        let (mut taken, mut due) = (0, DELTA_EVERY_S / 2.0);
        while begun.elapsed().as_secs_f64() < stretch_s {
            if gossip && begun.elapsed().as_secs_f64() >= due {
                due += DELTA_EVERY_S;
                deltas += 1;
                learner.apply(TAKE.codec, TAKE.weight, &heard)?;
                learner.take_delta_then_train(TAKE, steps, Progress::START, &mut |_| {})?;
            } else {
                learner.train(steps, Progress::START)?;
            }
            taken += steps;
        }
        // What is still under way belongs to this stretch.
        learner.finish()?;
        let sum = if gossip { &mut on } else { &mut off };
        sum.steps += taken;
        sum.seconds += begun.elapsed().as_secs_f64();
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
        steps_per_s_off: off.rate(),
        steps_per_s_on: on.rate(),
        cost: 1.0 - on.rate() / off.rate(),
        deltas,
        delta_bytes: heard.len(),
        say_s: each(say_s),
        hear_s: each(hear_s),
    })
}
