//! Checkpoints: what a peer is asked to write down, and how it goes on from it.
//!
//! ```text
//! Save(when) -> a place in the learner's queue -> Output::Saved(learner, standing)          ... later, in another process:
//! Peer::new, Learner::load(learner), Peer::resume_at(standing) -> Start
//! ```
//!
//! The standing is that of the moment at which the learner gives its numbers: steps, deltas and samples before it are in them, those after it
//! are not. Nothing is held up for it.
//!
//! Invariant: a resumed peer never says another delta under a number that it has used. It goes on with its chain only under the
//! incarnation of the checkpoint; whoever calls decides that, and may do so only where no later delta of that life has left the machine. Else
//! it is a new life, whose deltas begin at 1, and those of the life before are in the base as anybody's.

use crate::event::Output;
use crate::id::{Hash, Origin};
use crate::learner::{Command, Saved};
use crate::log::{Exclusions, Head, VersionVector, heard_of};
use crate::mode::incremental::Pending;
use crate::peer::Peer;
use crate::wire::ORIGINS_MAX;

/// When to save.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SaveAt {
    /// As soon as the queue of the learner is through.
    Now,
    /// Right before the next evaluation, whose figures are then those of what was saved.
    Evaluation,
    /// Right before the evaluation of every so many epochs, 1 or more; 0: no more of that.
    EveryEpochs(u32),
}

/// Where a peer stands at a checkpoint, beside what its learner holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Standing {
    /// Its chain of deltas.
    pub origin: Origin,
    /// The end of every chain whose deltas are in the base, its own among them.
    pub heads: Vec<Head>,
    /// Optimizer steps taken.
    pub steps: u64,
    /// Epochs begun and ended.
    pub epochs: u32,
    /// Samples that the swarm has trained on, as this peer has heard.
    pub samples: u64,
    /// Steps since the last delta was taken.
    pub since_delta: u32,
    /// Steps that no delta tells of.
    pub unsaid_steps: u32,
    /// Samples that no delta tells of.
    pub unsaid_samples: u64,
    /// Samples of a step.
    pub samples_per_step: u64,
}

impl Standing {
    /// Deltas of its own in the base, of this life.
    #[must_use]
    pub fn said(&self) -> u64 {
        self.heads.iter().find(|head| head.origin == self.origin).map_or(0, |head| head.seq)
    }
}

/// A peer as it can be written down.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint {
    /// Of the learner.
    pub learner: Saved,
    /// Of the peer.
    pub standing: Standing,
    /// Hash of the base.
    pub base_hash: Hash,
    /// Whether the next report ([`Event::Epoch`](crate::Event::Epoch) or [`Event::Final`](crate::Event::Final)) tells what this model is worth.
    pub evaluated: bool,
}

/// A checkpoint whose set is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the checkpoint names {ORIGINS_MAX} lives of peers and has no place for a new one")]
pub struct NoPlace;

/// What is noted when the learner is asked, until it answers.
#[derive(Debug)]
pub(crate) struct Asked {
    heard: VersionVector,
    heads: Vec<Head>,
    excluded: Exclusions,
    steps: u64,
    epochs: u32,
    since_delta: u32,
    evaluated: bool,
}

/// What was asked for and is not done yet.
#[derive(Debug, Default)]
pub(crate) struct Saving {
    at_evaluation: bool,
    every_epochs: u32,
}

impl Peer {
    /// Before the first input: it goes on from a checkpoint. The learner must hold what belongs to it. Under the incarnation of the
    /// checkpoint it goes on with its chain; under another, which must be higher, it begins a new one.
    ///
    /// # Errors
    /// [`NoPlace`], and nothing has changed, when the set has no place for a chain of ours: whatever this peer said of it would be beyond the bounds
    /// of the wire, and an offence. Nor may any life be left out, since what it said is in the base.
    pub fn resume_at(&mut self, standing: &Standing) -> Result<(), NoPlace> {
        let lives = heard_of(&standing.heads);
        if lives.len() + usize::from(lives.get(&self.origin) == 0) > ORIGINS_MAX {
            return Err(NoPlace);
        }
        // What the swarm has left out is not in these chains; that it is left out the neighbours say again, with their votes.
        self.log.adopt(&standing.heads, &Exclusions::default());
        self.pairs.keep_model();
        let said = if standing.origin == self.origin { standing.said() } else { 0 };
        self.schedule.resume(standing, said);
        Ok(())
    }

    pub(crate) fn save(&mut self, at: SaveAt) {
        match at {
            SaveAt::Now => {
                self.saving.at_evaluation = false;
                self.issue_save(false);
            }
            SaveAt::Evaluation => self.saving.at_evaluation = true,
            SaveAt::EveryEpochs(epochs) => self.saving.every_epochs = epochs,
        }
    }

    /// An evaluation is about to be issued, the last one or that of so many epochs: whatever is to be saved with it goes before it.
    pub(super) fn save_before_evaluation(&mut self, epoch: Option<u32>) {
        let every = self.saving.every_epochs;
        let due = epoch.map_or(every > 0, |epoch| every > 0 && epoch.is_multiple_of(every));
        if std::mem::take(&mut self.saving.at_evaluation) || due {
            self.issue_save(true);
        }
    }

    fn issue_save(&mut self, evaluated: bool) {
        self.flush_ready();
        let (steps, epochs, since_delta) = self.schedule.position();
        let (heads, excluded) = (self.log.heads(), self.log.excluded().clone());
        let asked = Asked { heard: self.heard_when_issued(), heads, excluded, steps, epochs, since_delta, evaluated };
        self.issue(Command::Save, Pending::Save(Box::new(asked)));
    }

    /// The learner gave its numbers.
    pub(super) fn saved(&mut self, asked: Asked, learner: Saved, base_hash: Hash) {
        let Asked { heard, mut heads, excluded, steps, epochs, since_delta, evaluated } = asked;
        let own = heard.get(&self.origin);
        // Our deltas that were taken between the question and the answer are signed and logged by now.
        let head = (own > 0).then(|| self.log.head_at(self.origin, own));
        if !excluded.equal_within(&heard, self.log.excluded()) || head == Some(None) {
            // Something was excluded meanwhile, or the log is too short for our own last delta: later.
            self.saving.at_evaluation = true;
            return;
        }
        if let Some(head) = head.flatten() {
            heads.retain(|other| other.origin != self.origin);
            heads.push(head);
        }
        let (unsaid_steps, unsaid_samples, samples_per_step) = self.schedule.unsaid_since();
        let standing = Standing {
            origin: self.origin,
            heads,
            steps,
            epochs,
            samples: self.log.samples().saturating_add(unsaid_samples),
            since_delta,
            unsaid_steps,
            unsaid_samples,
            samples_per_step,
        };
        self.output(Output::Saved(Box::new(Checkpoint { learner, standing, base_hash, evaluated })));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use crate::config::TriggerRule;
    use crate::event::Input;
    use crate::learner::Computed;
    use crate::mode::incremental::alone::Alone;

    /// Answers until there is a checkpoint, and goes on answering what was queued before it.
    fn checkpoint(alone: &mut Alone, at: SaveAt) -> Checkpoint {
        alone.input(Input::Save(at));
        for _ in 0..1000 {
            if matches!(alone.queue.front(), Some(Command::Save)) {
                alone.queue.pop_front();
                let learner = Saved { base: vec![1], theta: vec![1.0], ..Saved::default() };
                let result = Computed::Saved { learner: Box::new(learner), base_hash: Hash::ZERO };
                return alone.saved(result).unwrap();
            }
            alone.answer();
        }
        panic!("nobody asked the learner to save");
    }

    #[test]
    fn a_checkpoint_holds_the_steps_before_it_and_no_others() {
        let mut alone = Alone::new(TriggerRule::EveryH);
        for _ in 0..37 {
            alone.answer();
        }
        let queued: u64 =
            alone.queue.iter().map(|c| if let Command::Train { steps, .. } = c { u64::from(*steps) } else { 0 }).sum();
        let expected = alone.peer.view().steps + queued;
        let checkpoint = checkpoint(&mut alone, SaveAt::Now);
        let standing = &checkpoint.standing;
        assert_eq!(standing.steps, expected);
        assert_eq!(standing.said(), alone.peer.view().deltas_said);
        assert!(standing.said() > 0 && !checkpoint.evaluated);
        // H = 4: what was not said is what is left of the steps.
        assert_eq!(u64::from(standing.since_delta), standing.steps - 4 * standing.said());
    }

    #[test]
    fn the_chain_goes_on_in_the_same_life_and_begins_anew_in_another() {
        let mut alone = Alone::new(TriggerRule::EveryH);
        for _ in 0..50 {
            alone.answer();
        }
        let standing = checkpoint(&mut alone, SaveAt::Now).standing;
        for (life, first) in [(1, standing.said() + 1), (2, 1)] {
            let mut again = Alone::resumed(TriggerRule::EveryH, life, &standing);
            assert_eq!(again.peer.view().steps, standing.steps);
            let before = again.peer.view().deltas_said;
            assert_eq!(before, first - 1);
            let (steps, _) = again.until_delta(|_| ());
            assert_eq!(steps, 4 - standing.since_delta, "the delta is due when it would have been");
            again.answer();
            assert_eq!(again.peer.view().deltas_said, first);
            // The other life of this peer is in the set, as that of anybody.
            assert_eq!(again.peer.view().deltas_heard, if life == 1 { 0 } else { standing.said() });
        }
    }

    /// Whoever resumed in a new life each time said more of its set in the end than any honest peer says, and was banned for it.
    #[test]
    fn whoever_resumes_stays_within_the_bounds_of_the_wire_or_is_told_why_not() {
        let mut alone = Alone::new(TriggerRule::EveryH);
        let standing = checkpoint(&mut alone, SaveAt::Now).standing;
        let head = |i: usize| {
            let mut id = [3; 32];
            id[..8].copy_from_slice(&(i as u64).to_be_bytes());
            let origin = Origin { peer: crate::id::PeerId(id), incarnation: 1 };
            Head { origin, seq: 1, hash: Hash([7; 32]), samples: 1 }
        };
        let of = |lives: usize| Standing { heads: (0..lives).map(head).collect(), ..standing.clone() };
        let mut config = crate::Config::default();
        config.gossip.company = 5;
        assert_eq!(Alone::peer(config.clone(), 2).resume_at(&of(ORIGINS_MAX)), Err(NoPlace));
        let mut again = Alone::resumed(TriggerRule::EveryH, 2, &of(ORIGINS_MAX - 1));
        while again.peer.view().deltas_said == 0 {
            again.answer();
        }
        let from = crate::id::PeerId([9; 32]);
        again.peer.handle(again.now, Input::Connected { peer: from });
        let said: Vec<_> = std::iter::from_fn(|| again.peer.next_output()).collect();
        let digests = said.iter().filter_map(|output| match output {
            Output::Send { message: message @ crate::wire::Message::Digest { heard, .. }, .. } => {
                Some((message, heard))
            }
            _ => None,
        });
        let lives: Vec<usize> = digests
            .map(|(message, heard)| {
                assert_eq!(message.out_of_bounds(), None);
                heard.len()
            })
            .collect();
        assert_eq!(lives, [ORIGINS_MAX]);
    }

    #[test]
    fn epochs_that_became_shorter_are_caught_up_with() {
        let mut alone = Alone::new(TriggerRule::EveryH);
        for _ in 0..50 {
            alone.answer();
        }
        let standing = checkpoint(&mut alone, SaveAt::Now).standing;
        let mut config = crate::Config::default();
        (config.gossip.enabled, config.training.steps_per_epoch) = (false, 1);
        let mut peer = Alone::peer(config, 1);
        peer.resume_at(&Standing { epochs: 2, ..standing.clone() }).unwrap();
        peer.handle(crate::time::Time(0), Input::Start);
        let trains = std::iter::from_fn(|| peer.next_output())
            .filter(|output| matches!(output, Output::Compute(Command::Train { steps: 1, .. })));
        assert!(trains.count() > 0);
    }

    #[test]
    fn whoever_resumes_after_its_last_epoch_is_done() {
        let mut alone = Alone::with(|config| config.training.epochs = Some(1));
        let mut standing = checkpoint(&mut alone, SaveAt::Now).standing;
        (standing.epochs, standing.since_delta) = (1, 0);
        let mut config = crate::Config::default();
        (config.training.epochs, config.gossip.enabled) = (Some(1), false);
        let mut peer = Alone::peer(config, 1);
        peer.resume_at(&standing).unwrap();
        peer.handle(crate::time::Time(0), Input::Start);
        let outputs: Vec<_> = std::iter::from_fn(|| peer.next_output()).collect();
        assert!(outputs.iter().any(|o| matches!(o, Output::Event(crate::Event::TrainingDone { .. }))), "{outputs:?}");
        assert!(!outputs.iter().any(|o| matches!(o, Output::Compute(Command::Train { .. }))));
    }
}
