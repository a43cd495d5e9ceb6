//! How far ahead of the learner's results its queue is filled: never dry while there are steps to take, and never so full that
//! what is heard waits long behind it.

use super::schedule::{Pending, Schedule};
use crate::time::Span;

/// Stretches of steps that are queued at least: one runs, one waits, so that the learner has work while a result travels.
const TRAIN_QUEUED_MIN: usize = 2;
/// Short ones are queued until they last for [`AHEAD`], as many as this at most: each may be followed by a delta that does not know
/// of the ones before it, and a few in a row are taken for deafness (`trust/suspicion/stale.rs`).
const TRAIN_QUEUED_MAX: usize = 4;
/// Time for which the learner has work while the driver is busy with messages. Longer ones made what is heard wait longer: from 6 ms on
/// peers that train by drift said more, and clipped merges met staler deltas.
const AHEAD: Span = Span::from_millis(3);
/// Wall time of a stretch of steps: deltas wait this long at most to be applied.
const STRETCH: Span = Span::from_millis(25);
/// Steps of a stretch before the speed is known.
const STRETCH_FIRST: u32 = 1;

impl Schedule {
    /// Whether the learner could run out of steps before the next of its results is here.
    pub(super) fn runs_dry(&self) -> bool {
        let (mut stretches, mut steps) = (0, 0);
        for pending in &self.pending {
            if let Pending::Train { steps: queued } = pending {
                (stretches, steps) = (stretches + 1, steps + queued);
            }
        }
        let soon = || f64::from(steps) < f64::from(self.steps_per_second()) * AHEAD.as_secs_f64();
        stretches < TRAIN_QUEUED_MIN || (stretches < TRAIN_QUEUED_MAX && soon())
    }

    /// Steps of the next stretch: not past the next delta, nor the epoch's end, nor a moment of wall time.
    pub(super) fn stretch(&self, gossip: bool) -> u32 {
        let end = u64::from(self.training.steps_per_epoch) * u64::from(self.epochs_issued + 1);
        // Beyond it is a resumed peer whose epochs have become shorter, since there is less data: it catches up, epoch by epoch.
        let to_epoch = end.saturating_sub(self.steps_issued).max(1);
        let to_delta = if gossip { self.delta_due.saturating_sub(self.since_delta).max(1) } else { u32::MAX };
        let in_time = (f64::from(self.steps_per_second()) * STRETCH.as_secs_f64()) as u32;
        let bound = in_time.max(STRETCH_FIRST).min(to_delta);
        u32::try_from(to_epoch).unwrap_or(u32::MAX).min(bound)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::TriggerRule;
    use crate::learner::Command;
    use crate::mode::incremental::alone::Alone;

    /// Train commands that wait, when steps take so long and a delta is due after every one.
    fn queued(step: Span) -> usize {
        let mut alone = Alone::with(|config| {
            (config.gossip.steps, config.gossip.trigger) = (1, TriggerRule::EveryH);
        });
        alone.step = step;
        (0..100).for_each(|_| drop(alone.answer()));
        alone.queue.iter().filter(|command| matches!(command, Command::Train { .. })).count()
    }

    #[test]
    fn short_steps_are_queued_for_a_while_and_long_ones_behind_nothing() {
        assert_eq!(queued(Span(100)), TRAIN_QUEUED_MAX);
        assert_eq!(queued(Span(500)), TRAIN_QUEUED_MAX);
        assert_eq!(queued(Span::from_millis(20)), TRAIN_QUEUED_MIN);
    }
}
