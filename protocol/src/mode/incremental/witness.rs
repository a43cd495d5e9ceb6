//! Witnesses: a snapshot is believed when a second peer finds the same base for the same deltas.
//!
//! ```text
//! taker -> witness   SnapshotCheck(base hash, heads)      witness -> taker   SnapshotChecked(same, another, cannot say)
//! ```
//!
//! The hash in a snapshot's head only says that its parts arrived whole: the giver could have made up the base. A base is the
//! same function of the same deltas on every peer, and adds are exact, so a peer that has heard at least as much takes what
//! it has beyond the snapshot out of a copy of its own base, to the bit, and compares. It cannot say when it has heard less,
//! when its log no longer holds what is beyond, or when it leaves out other origins. Where nobody can say, as in a swarm of two,
//! the snapshot is taken all the same, and the event names no witness.

use crate::codec::Decoded;
use crate::id::{Hash, PeerId};
use crate::learner::Command;
use crate::log::{Delta, Exclusions, Head, VersionVector};
use crate::peer::Peer;
use crate::time::{Span, Time};
use crate::wire::{Message, Range};

use super::schedule::Pending;

/// Most deltas that are taken out of a copy of the base for one answer.
const BEYOND_MAX: usize = 4096;
/// Two answers to one neighbour lie at least so far apart: each costs a copy of the base.
const ANSWER_PAUSE: Span = Span::from_millis(500);

/// What a witness remembers while the learner copies the base.
#[derive(Debug)]
pub(crate) struct Question {
    to: PeerId,
    base_hash: Hash,
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
}

/// When a neighbour may ask again.
#[derive(Debug, Default)]
pub(crate) struct Witness {
    answered: std::collections::BTreeMap<PeerId, Time>,
}

impl Peer {
    pub(crate) fn hear_snapshot_check(&mut self, from: PeerId, base_hash: Hash, heads: &[Head], excluded: &Exclusions) {
        let now = self.now;
        self.witness.answered.retain(|_, at| now - *at < ANSWER_PAUSE);
        if self.witness.answered.insert(from, now).is_some() {
            return self.send(from, Message::SnapshotChecked { base_hash, same: None });
        }
        match self.beyond_snapshot(heads, excluded) {
            Err(same) => self.send(from, Message::SnapshotChecked { base_hash, same }),
            Ok(beyond) => {
                let own = (self.log.heard().get(&self.origin), self.heard_when_issued().get(&self.origin));
                self.issue_witness(Question { to: from, base_hash, beyond, own });
            }
        }
    }

    /// What we have beyond that set, or what we answer at once.
    fn beyond_snapshot(&self, heads: &[Head], excluded: &Exclusions) -> Result<Vec<Delta>, Option<bool>> {
        let theirs: VersionVector = heads.iter().map(|head| (head.origin, head.seq)).collect();
        let log = &self.log;
        if excluded != log.excluded() || !log.heard().covers(&theirs) {
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

    /// The learner has copied the base.
    pub(super) fn witness(&mut self, question: Question, mut base: Vec<i32>) {
        let Question { to, base_hash: theirs, mut beyond, own: (known, taken) } = question;
        if taken > known {
            // Our own that were issued before the copy and are signed by now.
            let own = Range { origin: self.origin, first: known + 1, last: taken };
            beyond.extend(self.log.range(own).cloned());
        }
        let mut decoded = Decoded::default();
        let mut complete = true;
        for delta in &beyond {
            let read = delta.codec().decode(delta.payload(), base.len(), delta.weight(), &mut decoded);
            complete &= read.is_ok();
            for (i, _, add) in decoded.iter() {
                base[i] = base[i].wrapping_sub(add);
            }
        }
        if complete {
            self.issue(Command::Hash { base }, Pending::Hash(Answer { to, base_hash: theirs }));
        } else {
            self.send(to, Message::SnapshotChecked { base_hash: theirs, same: None });
        }
    }

    /// The base without what is beyond the snapshot is hashed.
    pub(super) fn bear_witness(&mut self, Answer { to, base_hash }: Answer, found: Hash) {
        self.send(to, Message::SnapshotChecked { base_hash, same: Some(found == base_hash) });
    }
}

#[cfg(test)]
mod tests {
    use crate::codec::DenseF32;
    use crate::config::Config;
    use crate::event::{Event, Input, Output};
    use crate::id::{Hash, Origin, PeerId, RunId};
    use crate::learner::{Command, base_hash};
    use crate::log::{Context, Head, VersionVector};
    use crate::peer::Peer;
    use crate::schema::Schema;
    use crate::time::Time;
    use crate::trust::{Identity, Limits};
    use crate::wire::{Message, SnapshotHead};

    const GIVER: PeerId = PeerId([1; 32]);
    const WITNESS: PeerId = PeerId([2; 32]);
    const STRANGER: Origin = Origin { peer: PeerId([3; 32]), incarnation: 1 };

    /// A newcomer with a giver and a witness for neighbours.
    struct Taker(Peer);

    impl Taker {
        fn new() -> Self {
            let schema = Schema { tensors: Vec::new() }.hash();
            let context =
                Context { run: RunId(Hash::ZERO), schema, parameters: 2, codec: &DenseF32, limits: Limits::OFF };
            let mut taker = Self(Peer::new(Config::default(), context, Identity::from_seed(&[9; 32]), 1, 1));
            taker.input(Input::Start);
            taker.input(Input::Connected { peer: GIVER });
            taker.input(Input::Connected { peer: WITNESS });
            taker
        }

        fn input(&mut self, input: Input) -> Vec<Output> {
            self.0.handle(Time(1), input);
            std::iter::from_fn(|| self.0.next_output()).collect()
        }

        fn hear(&mut self, from: PeerId, message: Message) -> Vec<Output> {
            self.input(Input::Message { from, message })
        }

        /// The giver's snapshot up to its last part.
        fn offered(&mut self, heads: Vec<(Origin, u64, Hash)>, base: &[i32]) -> Vec<Output> {
            let heard: VersionVector = heads.iter().map(|&(origin, seq, _)| (origin, seq)).collect();
            let digest = Message::Digest { heard, excluded: Vec::new(), spot: None, base_hash: None, answer: false };
            let mut outputs = self.hear(GIVER, digest);
            outputs.extend(self.hear(GIVER, Message::SnapshotOffer { bytes: 4 * base.len() as u64 }));
            let name = base_hash(base);
            let heads = heads.into_iter().map(|(origin, seq, hash)| Head { origin, seq, hash, samples: 1 }).collect();
            let head = SnapshotHead { base_hash: name, parameters: base.len() as u64, heads, exclusions: Vec::new() };
            outputs.extend(self.hear(GIVER, Message::SnapshotHead(head)));
            let bytes: Vec<u8> = base.iter().flat_map(|value| value.to_le_bytes()).collect();
            outputs.extend(self.hear(GIVER, Message::SnapshotPart { base_hash: name, offset: 0, bytes: bytes.into() }));
            outputs
        }
    }

    fn restores(outputs: &[Output]) -> bool {
        outputs.iter().any(|output| matches!(output, Output::Compute(Command::Restore { .. })))
    }

    fn failed(outputs: &[Output]) -> bool {
        outputs.iter().any(|output| matches!(output, Output::Event(Event::SnapshotFailed { .. })))
    }

    fn asks(outputs: &[Output]) -> bool {
        outputs.iter().any(
            |output| matches!(output, Output::Send { to, message: Message::SnapshotCheck { .. } } if *to == WITNESS),
        )
    }

    #[test]
    fn a_base_is_taken_when_another_peer_has_the_same_one_and_refused_when_it_has_another() {
        for (same, taken) in [(Some(true), true), (Some(false), false), (None, true)] {
            let mut taker = Taker::new();
            let outputs = taker.offered(vec![(STRANGER, 5, Hash([7; 32]))], &[1, 2]);
            assert!(asks(&outputs) && !restores(&outputs), "{outputs:?}");
            let answer = Message::SnapshotChecked { base_hash: base_hash(&[1, 2]), same };
            assert!(!restores(&taker.hear(GIVER, answer.clone())), "nobody is his own witness");
            let outputs = taker.hear(WITNESS, answer);
            assert_eq!((restores(&outputs), failed(&outputs)), (taken, !taken), "{same:?}");
        }
    }

    #[test]
    fn nobody_speaks_in_our_name() {
        let mut taker = Taker::new();
        let own = taker.0.origin();
        let outputs = taker.offered(vec![(own, 5, Hash([7; 32])), (STRANGER, 5, Hash([7; 32]))], &[1, 2]);
        let outputs_sorted = failed(&outputs) || outputs.iter().any(|o| matches!(o, Output::Disconnect { .. }));
        assert!(outputs_sorted && !asks(&outputs) && !restores(&outputs), "{outputs:?}");
    }

    #[test]
    fn numbers_beyond_all_bounds_end_the_link() {
        let mut taker = Taker::new();
        let outputs = taker.offered(vec![(STRANGER, u64::MAX, Hash([7; 32]))], &[1, 2]);
        assert!(outputs.iter().any(|output| matches!(output, Output::Disconnect { peer } if *peer == GIVER)));
        assert!(!restores(&outputs));
    }

    #[test]
    fn who_is_not_behind_takes_no_offer() {
        let mut taker = Taker::new();
        let outputs = taker.hear(GIVER, Message::SnapshotOffer { bytes: 8 });
        let asked = outputs.iter().any(|output| matches!(output, Output::Send { message: Message::SnapshotAsk, .. }));
        assert!(!asked, "{outputs:?}");
    }
}
