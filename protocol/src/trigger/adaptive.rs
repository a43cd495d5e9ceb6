//! `adaptive`: as often as the link allows. H is chosen so that sending takes a fixed share of computing time.
//!
//! ```text
//! t_send = payload bytes * neighbours / link rate          of one delta
//! t_step = 1 / steps a second
//! H      = t_send / (share * t_step)                       within [H0 / 4, 64 H0] and at least 1; H0 as configured
//! ```
//!
//! On a fast link it speaks up to four times as often as configured, on a slow one up to 64 times less: the worst link of
//! a swarm then slows nobody down, its peer just says more at once (what a sparse codec leaves out waits in the residual).
//! While the rate of the link, the speed or the size of a delta is not known it does as `every_h` does.
//! Source: the trade of computing against sending in adaptive communication strategies (arXiv 1810.08313).

use super::every_h::paced_steps;
use super::{Moment, Trigger, Verdict};
use crate::config::TriggerRule;

/// H is not less than the configured one divided by this. guess: below it, deltas are mostly headers and signatures.
const FASTER_MAX: u32 = 4;
/// H is not more than the configured one times this. guess: beyond it local drift costs more than bytes.
const SLOWER_MAX: u32 = 64;

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct Adaptive;

impl Trigger for Adaptive {
    fn rule(&self) -> TriggerRule {
        TriggerRule::Adaptive
    }

    fn name(&self) -> &'static str {
        "adaptive"
    }

    fn about(&self) -> &'static str {
        "as often as sending takes a tenth of computing time, by link_bytes_per_second"
    }

    fn decide(&self, moment: &Moment<'_>) -> Verdict {
        moment.say_at(affordable_steps(moment).unwrap_or_else(|| paced_steps(moment)))
    }
}

/// H of the formula, within its bounds; `None` while something in it is not known.
fn affordable_steps(moment: &Moment<'_>) -> Option<u32> {
    let known = |value: f32| (value.is_finite() && value > 0.0).then_some(f64::from(value));
    let rate = known(moment.link_bytes_per_second?)?;
    let speed = known(moment.own_speed)?;
    let payload = known(moment.payload_bytes)?;
    let share = known(moment.network_share)?;
    let sending = payload * moment.neighbours as f64 / rate;
    let steps = (sending * speed / share).ceil() as u32;
    Some(steps.clamp((moment.steps / FASTER_MAX).max(1), moment.steps.saturating_mul(SLOWER_MAX).max(1)))
}

#[cfg(test)]
mod tests {
    use super::super::tests::MOMENT;
    use super::*;

    /// 1000 steps a second, 5 neighbours, deltas of 2000 bytes: 10 kB a delta.
    fn steps(link_bytes_per_second: Option<f32>) -> Option<u32> {
        let moment =
            Moment { own_speed: 1000.0, neighbours: 5, payload_bytes: 2000.0, link_bytes_per_second, ..MOMENT };
        affordable_steps(&moment)
    }

    #[test]
    fn sending_takes_a_tenth_of_computing() {
        // 10 kB at 1 MB/s: 10 ms, so 100 ms of steps.
        assert_eq!(steps(Some(1e6)), Some(100));
        assert_eq!(steps(Some(2e6)), Some(50));
        assert_eq!(steps(Some(1e9)), Some(2), "a fast link: H / 4");
        assert_eq!(steps(Some(1.0)), Some(640), "a slow one: 64 H");
        let thrifty = Moment {
            own_speed: 1000.0,
            neighbours: 5,
            payload_bytes: 2000.0,
            link_bytes_per_second: Some(1e6),
            network_share: 0.5,
            ..MOMENT
        };
        assert_eq!(affordable_steps(&thrifty), Some(20));
        assert_eq!(affordable_steps(&Moment { neighbours: 0, ..thrifty }), Some(2), "nobody to send to");
    }

    #[test]
    fn while_something_is_not_known_it_is_every_h() {
        for rate in [None, Some(0.0), Some(-1.0), Some(f32::NAN), Some(f32::INFINITY)] {
            assert_eq!(steps(rate), None, "{rate:?}");
        }
        let at = |since| Adaptive.decide(&Moment { since, link_bytes_per_second: Some(1e6), ..MOMENT });
        assert_eq!([at(0), at(9), at(10)], [Verdict::Wait(10), Verdict::Wait(1), Verdict::Say]);
    }
}
