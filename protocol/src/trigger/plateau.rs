//! `plateau`: local convergence. While the peer's own loss still falls it learns by itself; when it has stopped falling,
//! it is time to hear what the others know and to say what it found.
//!
//! ```text
//! L1, L2 = mean training loss of two stretches of H steps, one after the other, both since the last delta
//! say when   (L1 - L2) / L1 < trigger_plateau   or   trigger_steps_max steps have passed since the last delta
//! ```
//!
//! So the earliest moment is 2 H steps after the last delta. Two stretches and not two batches: the mean over H batches
//! has a noise that is sqrt(H) smaller. A loss that rises has stopped falling. The losses are those of results that have
//! come in, so the verdict lags by the stretches in the learner's queue.
//! Source: the design article's local convergence; the idea of going on locally while it pays is that of local SGD with
//! adaptive periods (arXiv 1810.08313).

use super::every_h::paced_steps;
use super::{Moment, Trigger, Verdict};
use crate::config::TriggerRule;

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct Plateau;

impl Trigger for Plateau {
    fn rule(&self) -> TriggerRule {
        TriggerRule::Plateau
    }

    fn name(&self) -> &'static str {
        "plateau"
    }

    fn about(&self) -> &'static str {
        "when the loss of H steps is less than trigger_plateau below that of the H before"
    }

    fn decide(&self, moment: &Moment<'_>) -> Verdict {
        let late = moment.since >= moment.latest();
        let settled = moment.since > 0 && moment.losses.is_some_and(|losses| !falls(losses, moment.fall_min));
        // Stretches end at multiples of H, so that losses are looked at as often as that.
        if late || settled { Verdict::Say } else { moment.wait(paced_steps(moment)) }
    }
}

fn falls([before, last]: [f32; 2], share: f32) -> bool {
    let fall = (f64::from(before) - f64::from(last)) / f64::from(before).abs().max(f64::MIN_POSITIVE);
    fall >= f64::from(share)
}

#[cfg(test)]
mod tests {
    use super::super::tests::MOMENT;
    use super::*;

    fn at(since: u32, losses: Option<[f32; 2]>) -> Verdict {
        Plateau.decide(&Moment { since, losses, ..MOMENT })
    }

    #[test]
    fn a_falling_loss_is_left_to_fall() {
        assert_eq!(at(30, Some([1.0, 0.98])), Verdict::Wait(10));
        assert_eq!(at(30, Some([1.0, 0.995])), Verdict::Say, "half a percent is no fall");
        assert_eq!(at(30, Some([1.0, 1.5])), Verdict::Say, "nor is a rise");
        assert_eq!(at(30, Some([0.0, 0.0])), Verdict::Say);
        assert_eq!(at(30, Some([f32::NAN, 1.0])), Verdict::Say, "what cannot be compared has not fallen");
        assert_eq!(at(30, None), Verdict::Wait(10), "nothing to compare yet");
    }

    #[test]
    fn silence_has_an_end() {
        assert_eq!(at(155, Some([1.0, 0.5])), Verdict::Wait(5));
        assert_eq!(at(160, Some([1.0, 0.5])), Verdict::Say);
    }
}
