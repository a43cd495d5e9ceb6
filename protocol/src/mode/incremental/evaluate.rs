//! Evaluations: at the end of an epoch, within a long one, and at the end of all.

use super::schedule::{Pending, Schedule};
use crate::event::{Event, Report};
use crate::id::Hash;
use crate::learner::{Command, Evaluation, Weights};
use crate::peer::Peer;

impl Schedule {
    /// Whether so many steps have been issued since the last evaluation that another one is wanted within the epoch.
    pub(crate) fn look_is_due(&self) -> bool {
        self.training.evaluate_every.is_some_and(|steps| self.steps_issued - self.looked_at >= u64::from(steps))
    }
}

impl Peer {
    fn weights_shown(&self) -> Weights {
        if self.config.gossip.enabled { Weights::Base } else { Weights::Local }
    }

    pub(crate) fn issue_evaluation(&mut self) {
        self.flush_ready();
        self.fold_to_show();
        self.save_before_evaluation(Some(self.schedule.epochs_issued));
        let pending = Pending::Epoch {
            epoch: self.schedule.epochs_issued,
            steps: self.schedule.steps_issued,
            heard: self.set_when_issued(),
        };
        let weights = self.weights_shown();
        self.schedule.looked_at = self.schedule.steps_issued;
        self.issue(Command::Evaluate { weights }, pending);
    }

    /// The model as it is now; nothing is saved, and nobody's patience counts it.
    pub(crate) fn issue_look(&mut self) {
        self.flush_ready();
        self.fold_to_show();
        let pending = Pending::Look { steps: self.schedule.steps_issued, heard: self.set_when_issued() };
        self.schedule.looked_at = self.schedule.steps_issued;
        let weights = self.weights_shown();
        self.issue(Command::Evaluate { weights }, pending);
    }

    pub(super) fn issue_final(&mut self) {
        self.flush_ready();
        self.fold_to_show();
        self.save_before_evaluation(None);
        let heard = self.set_when_issued();
        let weights = self.weights_shown();
        self.issue(Command::Evaluate { weights }, Pending::Final { heard });
    }

    pub(super) fn looked(&mut self, steps: u64, heard: Hash, evaluation: Evaluation, base_hash: Hash) {
        self.schedule.known_base = Some((heard, base_hash));
        let (epoch, train_loss) = (self.schedule.epochs_done, self.schedule.recent_loss);
        self.event(Event::Evaluated(Report { epoch, steps, train_loss, evaluation, base_hash, heard }));
    }

    pub(super) fn epoch_over(&mut self, epoch: u32, steps: u64, heard: Hash, evaluation: Evaluation, base_hash: Hash) {
        self.schedule.epochs_done = epoch;
        let report = self.report(epoch, steps, heard, evaluation, base_hash);
        self.event(Event::Epoch(report));
    }

    pub(super) fn report(
        &mut self,
        epoch: u32,
        steps: u64,
        heard: Hash,
        evaluation: Evaluation,
        base_hash: Hash,
    ) -> Report {
        self.schedule.known_base = Some((heard, base_hash));
        let recent = self.schedule.recent_loss;
        let mean = self.schedule.epoch_loss.take();
        let train_loss = if mean.is_nan() { recent } else { mean };
        Report { epoch, steps, train_loss, evaluation, base_hash, heard }
    }
}
