//! `drift`: conditional communication. A delta is worth its bytes when there is something to say.
//!
//! ```text
//! every H steps the learner is asked for   drift = ||theta - b|| / ||b||
//! say when   drift > trigger_drift   or   trigger_steps_max steps have passed since the last delta
//! ```
//!
//! The question costs a pass over the weights and no bytes. Relative to ||b||, so that one threshold fits models of any
//! size; a residual that stays below it says less than the noise of a batch does. The latest moment keeps a peer that has
//! little to say in the conversation: its slow drift adds up elsewhere too.
//! Source: dynamic averaging, "Efficient Decentralized Deep Learning by Dynamic Model Averaging" (arXiv 1807.03210), with
//! the residual of this protocol in the place of its distance from a reference model.

use super::every_h::paced_steps;
use super::{Moment, Trigger, Verdict};
use crate::config::TriggerRule;

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct Drift;

impl Trigger for Drift {
    fn rule(&self) -> TriggerRule {
        TriggerRule::Drift
    }

    fn name(&self) -> &'static str {
        "drift"
    }

    fn about(&self) -> &'static str {
        "when what is unsaid passes trigger_drift of the model, looked at every H steps"
    }

    fn decide(&self, moment: &Moment<'_>) -> Verdict {
        if moment.since >= moment.latest() {
            return Verdict::Say;
        }
        let every = paced_steps(moment);
        let asked = moment.drift.map_or(0, |drift| drift.since);
        match moment.drift {
            // What is not a number is said too: the learner refuses to take it, and that is the error to show.
            Some(drift) if drift.value.is_nan() || drift.value > moment.drift_min => Verdict::Say,
            _ if moment.since >= asked.saturating_add(every) => Verdict::Measure,
            _ => moment.wait(asked.saturating_add(every) - moment.since),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Measurement;
    use super::super::tests::MOMENT;
    use super::*;

    fn at(since: u32, drift: Option<(u32, f32)>) -> Verdict {
        let drift = drift.map(|(since, value)| Measurement { since, value });
        Drift.decide(&Moment { since, drift, ..MOMENT })
    }

    #[test]
    fn the_learner_is_asked_every_h_steps_and_believed() {
        assert_eq!(at(0, None), Verdict::Wait(10));
        assert_eq!(at(10, None), Verdict::Measure);
        assert_eq!(at(12, Some((10, 0.02))), Verdict::Say, "the answer comes two steps after the question");
        assert_eq!(at(12, Some((10, 0.009))), Verdict::Wait(8), "and the next question is not late for it");
        assert_eq!(at(20, Some((10, 0.009))), Verdict::Measure);
        assert_eq!(at(12, Some((10, f32::NAN))), Verdict::Say);
        assert_eq!(at(12, Some((10, f32::INFINITY))), Verdict::Say);
    }

    #[test]
    fn silence_has_an_end() {
        assert_eq!(at(159, Some((150, 0.0))), Verdict::Wait(1));
        assert_eq!(at(160, Some((150, 0.0))), Verdict::Say);
        assert_eq!(at(160, None), Verdict::Say, "even when the learner never answers");
        let short = Moment { since: 3, steps_max: Some(3), ..MOMENT };
        assert_eq!(Drift.decide(&short), Verdict::Say, "a bound below H");
        assert_eq!(Drift.decide(&Moment { since: 0, ..short }), Verdict::Wait(3));
    }
}
