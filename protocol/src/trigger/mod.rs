//! When to talk: whether a delta is due.
//!
//! A trigger is a function of a [`Moment`] and keeps nothing of its own. It is asked when the steps that it named have
//! been issued, and whenever something new is known (a stretch of losses, an answer of the learner); asked twice about one
//! moment it says the same. Steps are issued ahead of the learner, and training never waits for a verdict: what a trigger
//! knows of the losses is up to two stretches old, and an answer to [`Verdict::Measure`] comes a few steps after the
//! question.
//!
//! Whatever the rule, what was not said stays in `theta - b` and is said with the next delta; a peer that stops says it
//! all.
//!
//! Add a trigger: one file here, one line in [`ALL`], one variant in [`TriggerRule`].

mod adaptive;
mod drift;
mod every_h;
mod plateau;

pub use adaptive::Adaptive;
pub use drift::Drift;
pub use every_h::EveryH;
pub use plateau::Plateau;

use std::fmt::Debug;

use crate::config::TriggerRule;

/// Every trigger.
pub const ALL: &[&dyn Trigger] = &[&EveryH, &Drift, &Plateau, &Adaptive];

/// Where a job sets no bound: a delta is said after so many times H steps at the latest.
const LATEST_ROUNDS: u32 = 16;

/// What a trigger may look at.
#[derive(Clone, Copy, Debug)]
pub struct Moment<'a> {
    /// H: steps between deltas of a peer of median speed, as configured.
    pub steps: u32,
    /// Steps issued since the last delta.
    pub since: u32,
    /// Our steps a second; 0 when not known yet.
    pub own_speed: f32,
    /// Steps a second of the neighbours that have announced any.
    pub neighbour_speeds: &'a [f32],
    /// Mean loss of the last two stretches of at least H steps, older first, both since the last delta; `None` until
    /// there are two.
    pub losses: Option<[f32; 2]>,
    /// ||theta - b|| / ||b|| when the learner last looked since the last delta.
    pub drift: Option<Measurement>,
    /// Mean payload of our deltas so far, bytes; 0 before the first.
    pub payload_bytes: f32,
    /// Links that a delta goes out on.
    pub neighbours: usize,
    /// What our link carries, bytes a second.
    pub link_bytes_per_second: Option<f32>,
    /// Drift that is worth a delta.
    pub drift_min: f32,
    /// A loss that falls by a smaller share has stopped falling.
    pub fall_min: f32,
    /// Sending may take this share of computing time.
    pub network_share: f32,
    /// A delta is said after so many steps at the latest; `None`: 16 H.
    pub steps_max: Option<u32>,
}

/// An answer of the learner.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measurement {
    /// Steps issued between the last delta and the question.
    pub since: u32,
    /// What it found.
    pub value: f32,
}

/// What to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Say a delta.
    Say,
    /// Ask the learner for the drift, and train on meanwhile.
    Measure,
    /// Ask again after so many further steps, at least 1.
    Wait(u32),
}

impl Moment<'_> {
    /// Steps after which a rule that waits for something waits no longer.
    #[must_use]
    pub fn latest(&self) -> u32 {
        self.steps_max.unwrap_or(self.steps.saturating_mul(LATEST_ROUNDS)).max(1)
    }

    /// `Wait` until `due` steps since the last delta; `Say` when they are issued.
    fn say_at(&self, due: u32) -> Verdict {
        due.checked_sub(self.since).filter(|left| *left > 0).map_or(Verdict::Say, Verdict::Wait)
    }

    /// `Wait` for `steps` more, but not past the latest moment.
    fn wait(&self, steps: u32) -> Verdict {
        Verdict::Wait(steps.min(self.latest().saturating_sub(self.since)).max(1))
    }
}

/// Decides whether a delta is due.
pub trait Trigger: Sync + Debug {
    /// Which configured trigger this is.
    fn rule(&self) -> TriggerRule;

    /// Name in job files and on the command line.
    fn name(&self) -> &'static str;

    /// One line for `--help` and the docs.
    fn about(&self) -> &'static str;

    /// See [`Verdict`].
    fn decide(&self, moment: &Moment<'_>) -> Verdict;
}

/// The implementation of a configured trigger.
#[must_use]
pub fn of(rule: TriggerRule) -> &'static dyn Trigger {
    ALL.iter().copied().find(|trigger| trigger.rule() == rule).unwrap_or(&EveryH)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// H = 10, nothing known.
    pub(super) const MOMENT: Moment<'_> = Moment {
        steps: 10,
        since: 0,
        own_speed: 0.0,
        neighbour_speeds: &[],
        losses: None,
        drift: None,
        payload_bytes: 0.0,
        neighbours: 0,
        link_bytes_per_second: None,
        drift_min: 0.01,
        fall_min: 0.01,
        network_share: 0.1,
        steps_max: None,
    };

    #[test]
    fn every_rule_is_found_by_its_name() {
        for trigger in ALL {
            assert_eq!(of(trigger.rule()).name(), trigger.name());
        }
    }

    proptest! {
        /// No rule keeps a peer silent for good, none asks to be asked at once, none speaks of nothing.
        #[test]
        fn whatever_is_known_every_trigger_says_a_delta_in_time(
            steps in 1u32..1000,
            steps_max in proptest::option::of(1u32..100_000),
            own_speed in any::<f32>(),
            neighbour_speeds in proptest::collection::vec(any::<f32>(), 0..4),
            losses in proptest::option::of(any::<[f32; 2]>()),
            drift in proptest::option::of(any::<f32>()),
            payload_bytes in any::<f32>(),
            link_bytes_per_second in proptest::option::of(any::<f32>()),
            neighbours in 0usize..1000,
        ) {
            for trigger in ALL {
                let mut moment = Moment {
                    steps, steps_max, own_speed, neighbour_speeds: &neighbour_speeds, losses, payload_bytes,
                    link_bytes_per_second, neighbours, ..MOMENT
                };
                let mut asked = 0;
                loop {
                    let verdict = trigger.decide(&moment);
                    if moment.since == 0 {
                        prop_assert!(matches!(verdict, Verdict::Wait(_)), "{}: {verdict:?} of nothing", trigger.name());
                    }
                    match verdict {
                        Verdict::Say => break,
                        Verdict::Measure => {
                            // The answer may never come; then the rule is asked again after H steps.
                            let answer = drift.map(|value| Measurement { since: moment.since, value });
                            prop_assert!(moment.drift.is_none() || moment.drift != answer, "{}", trigger.name());
                            moment.drift = answer;
                            moment.since += if answer.is_none() { steps } else { 0 };
                        }
                        Verdict::Wait(more) => {
                            prop_assert!(more > 0);
                            moment.since += more;
                        }
                    }
                    asked += 1;
                    prop_assert!(asked <= 2 * 100_000, "{} never speaks", trigger.name());
                }
                prop_assert!(moment.since > 0);
                let bound = moment.latest().max(steps.saturating_mul(64)).saturating_add(steps);
                prop_assert!(moment.since <= bound, "{}: {} of {bound}", trigger.name(), moment.since);
            }
        }
    }
}
