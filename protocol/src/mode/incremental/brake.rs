//! The brake on the gain: when the loss rises, this peer's deltas go into the base with less weight.
//!
//! The gain is the speed-up of gossip and also its danger: `live peers` deltas of weight `gain / live` move the base by `gain`
//! times the mean delta, computed on bases that are a few deltas old. Too high a gain overshoots, every peer corrects what
//! all others correct too, and the base oscillates ever further (measured: without the brake the digits MLP with sgd, momentum
//! 0.9, rate 0.01 and H = 5 ends at 97 % with gain 2 and near 10 % with gain 4, at 8, 16 and 32 peers; with it, gain 4 and 8
//! end at 97 % too: `sim/scenarios/gain.toml`).
//!
//! Which gain is too high hangs on the model, the rate, the delay and the number of peers, so it is found out: every peer
//! sees its own training loss, and all train on one base. Each lowers its own gain while its loss is well above the best it had,
//! down to 1 (averaging, which does not amplify); lets go slowly when the loss has come down; and remembers the gain at
//! which it rose as a bound: cut fast, grow slowly to a little below what went wrong, as TCP does with its window (slow-start
//! threshold, Jacobson 1988). The weight is part of the signed delta, so peers need not agree on it.

/// The loss is averaged over about so many deltas.
const MEMORY: f32 = 5.0;
/// Loss over the best so far from which on the gain is cut. guess: batches of 16 differ by less, averaged over [`MEMORY`].
const RISE_MAX: f32 = 1.3;
/// And it must have risen by this share of the first loss, too: near zero a loss doubles for no reason.
const RISE_MIN: f32 = 0.05;
/// A loss counts as no more than so many times the first one.
const LOSS_MAX: f32 = 10.0;
/// Factor of the gain at every delta while the loss is up.
const CUT: f32 = 0.7;
/// Factor of the gain at every delta while it is not.
const GROWTH: f32 = 1.02;
/// A gain at which the loss rose was too high by about this factor,
const LESSON: f32 = 0.8;
/// which holds for some thousand deltas: the factor by which the bound grows at every one of them.
const RELEARN: f32 = 1.0002;
/// Share by which the best loss moves towards the present one at every delta: data may have become harder for good.
const FORGET: f32 = 0.002;

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Brake {
    /// (first, best, running) training loss, nats a sample.
    losses: Option<(f32, f32, f32)>,
    /// What the gain is multiplied with, at most 1.
    factor: f32,
    /// How far it may grow.
    ceiling: f32,
    /// Whether the loss was up at the last delta.
    risen: bool,
}

impl Default for Brake {
    fn default() -> Self {
        Self { losses: None, factor: 1.0, ceiling: 1.0, risen: false }
    }
}

impl Brake {
    /// `steps` steps had this mean loss; a delta is taken about every `h` of them.
    pub(super) fn trained(&mut self, loss: f32, steps: u32, h: u32) {
        let (first, best, running) = match self.losses {
            Some(losses) => losses,
            None if loss.is_finite() => (loss, loss, loss),
            None => return,
        };
        // What blew up, or is not finite, is a risen loss and must not stay in the average for ever. (min passes a NaN by.)
        let loss = loss.min(LOSS_MAX * first);
        let share = 1.0 - (-(steps as f32) / (MEMORY * h.max(1) as f32)).exp();
        let running = running + share * (loss - running);
        self.losses = Some((first, best.min(running), running));
    }

    /// The gain of the next delta, where the job asks for `gain`. Not above it, and not below 1 unless that is.
    pub(super) fn gain_of_next_delta(&mut self, gain: f32) -> f32 {
        if let Some((first, best, running)) = &mut self.losses {
            let risen = *running > RISE_MAX * *best + RISE_MIN * *first;
            let floor = 1.0 / gain.max(1.0);
            if risen && !self.risen {
                self.ceiling = (LESSON * self.factor).max(floor);
            }
            self.risen = risen;
            self.ceiling = (self.ceiling * RELEARN).min(1.0);
            self.factor = (self.factor * if risen { CUT } else { GROWTH }).clamp(floor, self.ceiling);
            *best += FORGET * (*running - *best);
        }
        gain * self.factor
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Deltas with this loss before each; returns the last gain.
    fn after(brake: &mut Brake, deltas: usize, loss: impl Fn(usize) -> f32, gain: f32) -> f32 {
        let mut last = gain;
        for i in 0..deltas {
            brake.trained(loss(i), 5, 5);
            last = brake.gain_of_next_delta(gain);
        }
        last
    }

    #[test]
    fn a_falling_and_noisy_loss_is_left_alone() {
        let mut brake = Brake::default();
        let noisy = |i: usize| 2.3 * (-(i as f32) / 60.0).exp() * if i.is_multiple_of(2) { 1.5 } else { 0.6 };
        assert_eq!(after(&mut brake, 1000, noisy, 4.0).to_bits(), 4.0f32.to_bits());
    }

    #[test]
    fn a_risen_loss_cuts_the_gain_to_one_and_it_comes_back_slowly() {
        let mut brake = Brake::default();
        after(&mut brake, 100, |i| 2.3 / (1.0 + i as f32), 4.0);
        assert!((after(&mut brake, 30, |_| 2.0, 4.0) - 1.0).abs() < 1e-5);
        let soon = after(&mut brake, 30, |_| 0.02, 4.0);
        assert!(soon < 2.5, "{soon}");
        let later = after(&mut brake, 100, |_| 0.02, 4.0);
        assert!((3.2..3.4).contains(&later), "a little below what went wrong: {later}");
        assert!((after(&mut brake, 2000, |_| 0.02, 4.0) - 4.0).abs() < 1e-5, "for some time");
    }

    #[test]
    fn what_is_not_finite_brakes_and_is_forgotten() {
        let mut brake = Brake::default();
        after(&mut brake, 100, |_| 1.0, 2.0);
        assert!((after(&mut brake, 10, |_| f32::NAN, 2.0) - 1.0).abs() < 1e-5);
        assert!((after(&mut brake, 2000, |_| 1.0, 2.0) - 2.0).abs() < 1e-5);
    }

    #[test]
    fn a_gain_of_one_or_less_is_never_cut() {
        let mut brake = Brake::default();
        assert_eq!(after(&mut brake, 200, |i| i as f32, 0.5).to_bits(), 0.5f32.to_bits());
    }

    #[test]
    fn a_loss_that_stays_up_becomes_the_usual_one() {
        let mut brake = Brake::default();
        after(&mut brake, 100, |_| 0.1, 4.0);
        assert!(after(&mut brake, 100, |_| 2.0, 4.0) < 1.1);
        assert!((after(&mut brake, 2000, |_| 2.0, 4.0) - 4.0).abs() < 1e-5);
    }
}
