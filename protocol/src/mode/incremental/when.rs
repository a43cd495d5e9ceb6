//! When the next delta is taken: asks the trigger, and keeps what it may look at.
//!
//! Steps are issued ahead of their results, and the learner's answers come a few steps after the questions; nothing here
//! ever holds a step back.

use super::schedule::Pending;
use crate::learner::{Command, Measured, Trained};
use crate::peer::Peer;
use crate::trigger::{self, Measurement, Moment, Verdict};

/// What happened since the last delta.
#[derive(Debug, Default)]
pub(super) struct Watch {
    /// Deltas issued when the learner was last asked for the drift and has not answered yet.
    asked: Option<u64>,
    drift: Option<Measurement>,
    /// Loss times steps, and steps, of the stretch that is being gathered.
    gathering: (f64, u32),
    /// Mean loss of the last stretches of at least H steps, older first.
    losses: [Option<f32>; 2],
}

impl Watch {
    /// A delta was issued: what was measured before it says nothing about the next one.
    pub(super) fn delta_issued(&mut self) {
        *self = Self::default();
    }

    /// Takes the loss of steps done; returns whether a stretch of `steps` is complete with them.
    fn trained(&mut self, trained: &Trained, steps: u32) -> bool {
        self.gathering.0 += f64::from(trained.mean_loss) * f64::from(trained.steps);
        self.gathering.1 = self.gathering.1.saturating_add(trained.steps);
        let complete = self.gathering.1 >= steps.max(1);
        if complete {
            let mean = (self.gathering.0 / f64::from(self.gathering.1)) as f32;
            (self.gathering, self.losses) = ((0.0, 0), [self.losses[1], Some(mean)]);
        }
        complete
    }
}

impl Peer {
    /// Asks the trigger about this moment and does what it says.
    pub(super) fn consider(&mut self) {
        if self.schedule.since_delta == 0 || self.snapshots.is_restoring() {
            return;
        }
        let (since, steps) = (self.schedule.since_delta, self.config.gossip.steps.max(1));
        if self.listens_first() {
            self.schedule.delta_due = since.saturating_add(steps);
            return;
        }
        let again = match self.verdict() {
            Verdict::Say => return self.issue_take_delta(),
            Verdict::Wait(more) => more,
            Verdict::Measure => {
                if self.schedule.watch.asked.is_none() {
                    self.schedule.watch.asked = Some(self.schedule.deltas_issued);
                    // Heard deltas that are not applied yet move b and theta alike: no need to flush them first.
                    self.issue(Command::Measure, Pending::Measure { since, deltas: self.schedule.deltas_issued });
                }
                let latest = self.moment(&[]).latest();
                steps.min(latest.saturating_sub(since))
            }
        };
        self.schedule.delta_due = since.saturating_add(again.max(1));
    }

    /// Steps until the trigger is asked for the first time after a delta.
    pub(super) fn first_due(&self) -> u32 {
        match self.verdict() {
            Verdict::Wait(steps) => steps.max(1),
            Verdict::Say | Verdict::Measure => 1,
        }
    }

    fn verdict(&self) -> Verdict {
        if self.in_rounds() {
            // All take equal steps: a round is one step of the swarm, at whatever speed.
            let more = self.config.gossip.steps.max(1).saturating_sub(self.schedule.since_delta);
            return if more == 0 { Verdict::Say } else { Verdict::Wait(more) };
        }
        let statuses = self.members.neighbours().filter_map(|(_, neighbour)| neighbour.status.as_ref());
        let speeds: Vec<f32> =
            statuses.filter(|status| !status.finished).map(|status| status.steps_per_second).collect();
        trigger::of(self.config.gossip.trigger).decide(&self.moment(&speeds))
    }

    fn moment<'a>(&self, neighbour_speeds: &'a [f32]) -> Moment<'a> {
        let (gossip, watch) = (&self.config.gossip, &self.schedule.watch);
        let losses = watch.losses[0].zip(watch.losses[1]).map(|(before, last)| [before, last]);
        let said = (self.log.heard().get(&self.origin) + self.pairs.exchanges()).max(1);
        // An exchange is said to one peer, and about as often to another that asked for it.
        let listeners = if self.in_pairs() { 2 } else { usize::MAX };
        Moment {
            steps: gossip.steps.max(1),
            since: self.schedule.since_delta,
            own_speed: self.schedule.steps_per_second(),
            neighbour_speeds,
            losses,
            drift: watch.drift,
            payload_bytes: (self.counters.payload_bytes_said / said) as f32,
            neighbours: self.members.neighbour_count().min(listeners),
            link_bytes_per_second: gossip.link_bytes_per_second,
            drift_min: gossip.trigger_drift,
            fall_min: gossip.trigger_plateau,
            network_share: gossip.trigger_network_share,
            steps_max: gossip.trigger_steps_max,
        }
    }

    /// The learner answered [`Command::Measure`]; an answer from before the last delta is too old to be of use.
    pub(super) fn measured(&mut self, since: u32, deltas: u64, measured: Measured) {
        if self.schedule.watch.asked == Some(deltas) {
            self.schedule.watch.asked = None;
            self.schedule.watch.drift = Some(Measurement { since, value: measured.drift() });
            self.consider();
        }
    }

    /// A stretch of steps is done. Until a delta that was issued is taken, results are of steps before it.
    pub(super) fn watch_loss(&mut self, trained: &Trained) {
        let steps = self.config.gossip.steps;
        if !self.schedule.delta_pending() && self.config.gossip.enabled && self.schedule.watch.trained(trained, steps) {
            self.consider();
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::config::TriggerRule;
    use crate::learner::Command;
    use crate::mode::incremental::alone::Alone;

    #[test]
    fn nothing_waits_for_the_answer_of_a_measurement() {
        let mut alone = Alone::new(TriggerRule::Drift);
        let mut seen = 0;
        for _ in 0..100 {
            if matches!(alone.queue.front(), Some(Command::Measure)) {
                seen += 1;
                let behind = alone.queue.iter().filter(|command| matches!(command, Command::Train { .. })).count();
                assert!(behind > 0, "steps are queued behind the question: {:?}", alone.queue);
            }
            alone.answer();
        }
        assert!(seen > 5);
    }

    #[test]
    fn by_drift_a_delta_follows_the_answer_or_the_latest_moment() {
        let mut alone = Alone::new(TriggerRule::Drift);
        let (steps, questions) = alone.until_delta(|_| ());
        assert_eq!((steps, questions), (64, 15), "16 H, asked after every H before it");
        alone.drift = 0.5;
        let (steps, questions) = alone.until_delta(|_| ());
        // H = 4, and the stretches (2 steps each at this speed) that were queued when the answer came.
        assert!((4..=8).contains(&steps), "{steps}");
        assert_eq!(questions, 1);
    }

    #[test]
    fn by_plateau_a_delta_follows_the_end_of_the_fall() {
        let mut alone = Alone::new(TriggerRule::Plateau);
        let (steps, questions) = alone.until_delta(|alone| alone.loss *= 0.9);
        assert_eq!((steps, questions), (64, 0), "it falls to the latest moment");
        let (steps, _) = alone.until_delta(|_| ());
        assert!((8..=12).contains(&steps), "two stretches of H, and what was queued: {steps}");
        let mut left = 20;
        let (steps, _) = alone.until_delta(|alone| {
            left -= 1;
            alone.loss *= if left > 0 { 0.9 } else { 1.0 };
        });
        assert!((40..=56).contains(&steps), "{steps}");
    }

    #[test]
    fn steps_before_a_delta_say_nothing_about_those_after_it() {
        let mut alone = Alone::new(TriggerRule::Plateau);
        let plain: Vec<u32> = (0..8).map(|_| alone.until_delta(|_| ()).0).collect();
        let mut alone = Alone::new(TriggerRule::Plateau);
        // What the learner trains while a delta waits to be taken has another loss: it would look like a fall.
        let loss = |alone: &mut Alone| {
            let waits = alone.queue.iter().any(|command| matches!(command, Command::TakeDelta { .. }));
            alone.loss = if waits { 100.0 } else { 1.0 };
        };
        let odd: Vec<u32> = (0..8).map(|_| alone.until_delta(loss).0).collect();
        assert_eq!(odd, plain);
    }
}
