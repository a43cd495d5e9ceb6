//! A delta that is not of the peer's own training: the delegate of a group tells it what others have learnt
//! ([`crate::mode::groups`]). In the log, on the wire and for whoever hears it, it is a delta like any other.

use crate::fixed::Weight;
use crate::learner::{Command, Moved};
use crate::peer::Peer;
use crate::time::Time;

use super::schedule::Pending;

impl Peer {
    /// Deltas in our own chain, and those that the learner has yet to take.
    pub(crate) fn own_deltas(&self) -> u64 {
        self.schedule.deltas_issued
    }

    /// Moves the base by what the codec keeps of `by`; whether it can just now.
    pub(crate) fn issue_move(&mut self, now: Time, by: Vec<i32>) -> bool {
        self.now = self.now.max(now);
        let over = self.session.is_joining() || self.session.is_finishing() || self.session.is_stopped();
        if over || self.snapshots.is_restoring() {
            return false;
        }
        self.flush_ready();
        self.schedule.deltas_issued += 1;
        let seq = self.schedule.deltas_issued;
        let heard = self.log.set_hash();
        let weight = self.context.limits.weight(seq, Weight::HALF);
        let command = Command::Move { codec: self.context.codec, weight, by };
        self.issue(command, Pending::Move { seq, heard, weight });
        true
    }

    /// The last move, once.
    pub(crate) fn take_moved(&mut self) -> Option<Moved> {
        self.moved.take()
    }

    pub(super) fn moved(&mut self, seq: u64, heard: crate::id::Hash, weight: Weight, moved: Moved) {
        self.say_payload((seq, heard, weight, 0), (0, 0), moved.taken.clone());
        self.moved = Some(moved);
    }

    /// Says what the learner has to say, with that weight: of a peer whose steps are not its own schedule's.
    pub(crate) fn say_now(&mut self, now: Time, weight: Weight, samples: u64) {
        self.now = self.now.max(now);
        if self.snapshots.is_restoring() || self.session.is_stopped() {
            return;
        }
        self.flush_ready();
        self.schedule.unsaid_samples = samples;
        self.schedule.deltas_issued += 1;
        let seq = self.schedule.deltas_issued;
        let pending = Pending::TakeDelta { seq, heard: self.log.set_hash(), weight, round: 0 };
        let norm_max = self.context.limits.norm_max;
        self.issue(Command::TakeDelta { codec: self.context.codec, weight, norm_max }, pending);
    }
}

#[cfg(test)]
mod tests {
    use crate::config::TriggerRule;
    use crate::mode::incremental::alone::Alone;

    #[test]
    fn a_move_in_the_making_holds_a_restore_back() {
        let mut alone = Alone::new(TriggerRule::EveryH);
        assert!(!alone.peer.schedule.delta_pending());
        // It is in the base before it is in the log: a base that replaced it then would lack it for good.
        assert!(alone.peer.issue_move(alone.now, vec![1]));
        assert!(alone.peer.schedule.delta_pending());
    }
}
