//! Witnesses: a snapshot is believed when a second peer finds the same base for the same deltas.
//!
//! ```text
//! taker -> witness   SnapshotCheck(base hash, heads)      witness -> taker   SnapshotChecked(same, another, cannot say)
//! ```
//!
//! The hash in a snapshot's head only says that its parts arrived whole: the giver could have made up the base. A base is the
//! same function of the same deltas on every peer, and adds are exact, so a peer that has heard at least as much takes what
//! it has beyond the snapshot out of a copy of its own base, to the bit, and compares. It cannot say when it has heard less,
//! when its log no longer holds what is beyond, when it does not leave out what its giver does, or while it does this for another one: each
//! answer costs a copy of the base, and the time of the learner's thread. What a taker makes of it: `snapshot/checking.rs`.

use std::sync::Arc;

use crate::id::{Hash, PeerId};
use crate::learner::Command;
use crate::log::{Delta, Exclusions, Head, heard_of};
use crate::peer::Peer;
use crate::time::{Span, Time};
use crate::wire::{Message, Range};

use super::schedule::Pending;

/// Most deltas that are taken out of a copy of the base for one answer.
const BEYOND_MAX: usize = 4096;
/// Two answers to one neighbour lie at least so far apart: each costs a look at the whole log, and most a copy of the base.
const ANSWER_PAUSE: Span = Span::from_millis(500);

/// What a witness remembers while the learner copies the base.
#[derive(Debug)]
pub(crate) struct Question {
    to: PeerId,
    base_hash: Hash,
    heads: Vec<Head>,
    /// What is in our base and not in the snapshot.
    beyond: Vec<Delta>,
    /// Of our own chain: (last one in `beyond`, last one in the base that is copied).
    own: (u64, u64),
}

/// What is to be said when the hash is made.
#[derive(Debug)]
pub(crate) struct Answer {
    to: PeerId,
    base_hash: Hash,
    heads: Vec<Head>,
    excluded: Exclusions,
}

/// When a neighbour may ask again.
#[derive(Debug, Default)]
pub(crate) struct Witness {
    answered: std::collections::BTreeMap<PeerId, Time>,
}

impl Peer {
    pub(crate) fn hear_snapshot_check(&mut self, from: PeerId, base_hash: Hash, heads: &[Head], excluded: &Exclusions) {
        if self.serves(base_hash, heads, excluded) {
            return self.send(from, Message::SnapshotChecked { base_hash, same: Some(true) });
        }
        if self.is_at_it(from, base_hash) {
            return; // It asks again since it waits; the answer comes, and a second one would say that there is none.
        }
        match self.question(from, base_hash, heads, excluded) {
            Err(same) => self.send(from, Message::SnapshotChecked { base_hash, same }),
            Ok(question) => self.issue_witness(question),
        }
    }

    /// Whether that very question of it is being answered.
    fn is_at_it(&self, to: PeerId, base_hash: Hash) -> bool {
        let such = |pending: &Pending| match pending {
            Pending::Witness(question) => (question.to, question.base_hash) == (to, base_hash),
            Pending::Hash(answer) => (answer.to, answer.base_hash) == (to, base_hash),
            _ => false,
        };
        self.schedule.queued(such) > 0
    }

    /// What the learner is to be asked, or what we answer at once.
    fn question(
        &mut self,
        to: PeerId,
        base_hash: Hash,
        heads: &[Head],
        excluded: &Exclusions,
    ) -> Result<Question, Option<bool>> {
        let now = self.now;
        // One at a time, whoever asks: a copy of the base waits in the learner's queue for each.
        let busy = self.schedule.queued(|pending| matches!(pending, Pending::Witness(_) | Pending::Hash(_))) > 0;
        self.witness.answered.retain(|_, at| now - *at < ANSWER_PAUSE);
        if busy || self.witness.answered.contains_key(&to) {
            return Err(None);
        }
        // Whatever comes of it: to find out that there is nothing to say is a look at the whole log.
        self.witness.answered.insert(to, now);
        let beyond = self.beyond_snapshot(heads, excluded)?;
        let own = (self.log.heard().get(&self.origin), self.heard_when_issued().get(&self.origin));
        Ok(Question { to, base_hash, heads: heads.to_vec(), beyond, own })
    }

    /// What we have beyond that set, or what we answer at once.
    fn beyond_snapshot(&self, heads: &[Head], excluded: &Exclusions) -> Result<Vec<Delta>, Option<bool>> {
        let (log, theirs) = (&self.log, heard_of(heads));
        if !log.excluded().include_within(&theirs, excluded) || !log.heard().covers(&theirs) {
            return Err(None);
        }
        let differs = |head: &Head| log.head_at(head.origin, head.seq).is_some_and(|ours| ours != *head);
        if heads.iter().any(differs) {
            return Err(Some(false));
        }
        let mut beyond = Vec::new();
        for (origin, first, last) in log.heard().ahead_of(&theirs) {
            if log.first_retained(origin) > first || last - first >= (BEYOND_MAX - beyond.len()) as u64 {
                return Err(None);
            }
            beyond.extend(log.range(Range { origin, first, last }).cloned());
        }
        Ok(beyond)
    }

    /// The learner has copied the base; its thread takes the rest out of the copy.
    pub(super) fn witness(&mut self, question: Question, base: Vec<i32>) {
        let Question { to, base_hash, heads, mut beyond, own: (known, taken) } = question;
        if taken > known {
            // Our own that were issued before the copy and are signed by now.
            let own = Range { origin: self.origin, first: known + 1, last: taken };
            let before = beyond.len() as u64;
            beyond.extend(self.log.range(own).cloned());
            if beyond.len() as u64 - before < taken - known {
                self.send(to, Message::SnapshotChecked { base_hash, same: None });
                return;
            }
        }
        let without = beyond.into_iter().map(Arc::new).collect();
        let excluded = self.log.excluded().clone();
        self.issue(Command::Hash { base, without }, Pending::Hash(Answer { to, base_hash, heads, excluded }));
    }

    /// The base without what is beyond the snapshot is hashed, if all of that could be read. When it is that of the snapshot, its taker
    /// may have the rest from us, should its giver go.
    pub(super) fn bear_witness(&mut self, answer: Answer, base: Vec<i32>, found: Option<Hash>) {
        let Answer { to, base_hash, heads, excluded } = answer;
        if found == Some(base_hash) && excluded.equal_within(&heard_of(&heads), self.log.excluded()) {
            self.keep_as_served(base_hash, heads, base);
        }
        self.send(to, Message::SnapshotChecked { base_hash, same: found.map(|found| found == base_hash) });
    }
}

#[cfg(test)]
mod tests;
