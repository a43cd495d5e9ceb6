//! `every_h`: every H local steps, with H following the peer's speed so that rounds take equal wall time.
//!
//! ```text
//! H_i = H * speed_i / median(speeds)      within [H / 4, 4 H] and at least 1
//! ```
//!
//! A peer twice as fast as the median says as many deltas a second as the others, each of twice the steps: it does not
//! drown them, and a slow one does not hold deltas back until they are stale. Source: Async Local-SGD, dynamic local
//! updates (arXiv 2401.09135).

use super::{Moment, Trigger, Verdict};
use crate::config::TriggerRule;

/// Bound on how far H may follow the speed. guess: beyond it local drift outweighs equal rounds.
const STRETCH_MAX: u32 = 4;
/// Speeds within this factor of the median count as equal: a noisy measurement should not change H from round to round.
const EVEN: f32 = 1.25;

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct EveryH;

impl Trigger for EveryH {
    fn rule(&self) -> TriggerRule {
        TriggerRule::EveryH
    }

    fn name(&self) -> &'static str {
        "every_h"
    }

    fn about(&self) -> &'static str {
        "every H local steps, H proportional to the peer's speed"
    }

    fn decide(&self, moment: &Moment<'_>) -> Verdict {
        moment.say_at(paced_steps(moment))
    }
}

/// H of this peer, at least 1.
pub(super) fn paced_steps(moment: &Moment<'_>) -> u32 {
    let mut speeds: Vec<f32> = moment.neighbour_speeds.iter().copied().filter(|s| s.is_finite() && *s > 0.0).collect();
    if speeds.is_empty() || moment.own_speed <= 0.0 || !moment.own_speed.is_finite() {
        return moment.steps.max(1);
    }
    speeds.push(moment.own_speed);
    speeds.sort_by(f32::total_cmp);
    let median = speeds[speeds.len() / 2];
    let ratio = moment.own_speed / median;
    if (1.0 / EVEN..=EVEN).contains(&ratio) {
        return moment.steps.max(1);
    }
    let stretched = (moment.steps as f32 * ratio).round() as u32;
    stretched.clamp((moment.steps / STRETCH_MAX).max(1), moment.steps.saturating_mul(STRETCH_MAX).max(1))
}

#[cfg(test)]
mod tests {
    use super::super::tests::MOMENT;
    use super::*;

    fn steps(own_speed: f32, neighbour_speeds: &[f32]) -> u32 {
        paced_steps(&Moment { own_speed, neighbour_speeds, ..MOMENT })
    }

    #[test]
    fn a_delta_is_due_after_h_steps() {
        let at = |since| EveryH.decide(&Moment { since, ..MOMENT });
        assert_eq!([at(0), at(9), at(10), at(11)], [Verdict::Wait(10), Verdict::Wait(1), Verdict::Say, Verdict::Say]);
    }

    #[test]
    fn h_follows_the_speed_within_bounds() {
        assert_eq!(steps(0.0, &[100.0]), 10, "unknown speed of our own");
        assert_eq!(steps(100.0, &[]), 10, "nobody to compare with");
        assert_eq!(steps(110.0, &[100.0, 90.0]), 10, "noise");
        assert_eq!(steps(200.0, &[100.0, 100.0]), 20);
        assert_eq!(steps(50.0, &[100.0, 100.0]), 5);
        assert_eq!(steps(1e6, &[100.0, 100.0]), 40);
        assert_eq!(steps(1e-6, &[100.0, 100.0]), 2);
        assert_eq!(steps(100.0, &[f32::NAN, f32::INFINITY, -1.0]), 10, "hostile announcements count for nothing");
    }
}
