//! Witnesses: a snapshot is believed when a second peer finds the same base for the same deltas.
//!
//! ```text
//! taker -> witness   SnapshotCheck(base hash, heads)      witness -> taker   SnapshotChecked(same, another, cannot say)
//! ```
//!
//! The hash in a snapshot's head only says that its parts arrived whole: the giver could have made up the base. A base is the
//! same function of the same deltas on every peer, and adds are exact, so a peer that has heard at least as much takes what
//! it has beyond the snapshot out of a copy of its own base, to the bit, and compares. It cannot say when it has heard less,
//! when its log no longer holds what is beyond, when it leaves out other origins, or while it does this for another one: each
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
/// Two answers to one neighbour lie at least so far apart: each costs a copy of the base.
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
        match self.question(from, base_hash, heads, excluded) {
            Err(same) => self.send(from, Message::SnapshotChecked { base_hash, same }),
            Ok(question) => self.issue_witness(question),
        }
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
        let beyond = self.beyond_snapshot(heads, excluded)?;
        self.witness.answered.insert(to, now);
        let own = (self.log.heard().get(&self.origin), self.heard_when_issued().get(&self.origin));
        Ok(Question { to, base_hash, heads: heads.to_vec(), beyond, own })
    }

    /// What we have beyond that set, or what we answer at once.
    fn beyond_snapshot(&self, heads: &[Head], excluded: &Exclusions) -> Result<Vec<Delta>, Option<bool>> {
        let (log, theirs) = (&self.log, heard_of(heads));
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
        if found == Some(base_hash) && excluded == *self.log.excluded() {
            self.keep_as_served(base_hash, heads, base);
        }
        self.send(to, Message::SnapshotChecked { base_hash, same: found.map(|found| found == base_hash) });
    }
}

#[cfg(test)]
mod tests {
    use crate::codec::DenseF32;
    use crate::config::Config;
    use crate::event::{Event, Input, Output, Timer};
    use crate::id::{Hash, Origin, PeerId, RunId};
    use crate::learner::{Command, Computed, base_hash};
    use crate::log::{Context, Head, VersionVector};
    use crate::peer::Peer;
    use crate::schema::Schema;
    use crate::time::{Span, Time};
    use crate::trust::{Identity, Limits};
    use crate::wire::{Message, Range, SnapshotHead};

    const GIVER: PeerId = PeerId([1; 32]);
    const WITNESS: PeerId = PeerId([2; 32]);
    const STRANGER: Origin = Origin { peer: PeerId([3; 32]), incarnation: 1 };

    /// A newcomer with a giver and a witness for neighbours.
    struct Taker(Peer, Time);

    impl Taker {
        fn new() -> Self {
            let schema = Schema { tensors: Vec::new() }.hash();
            let context =
                Context { run: RunId(Hash::ZERO), schema, parameters: 2, codec: &DenseF32, limits: Limits::OFF };
            let mut taker = Self(Peer::new(Config::default(), context, Identity::from_seed(&[9; 32]), 1, 1), Time(1));
            taker.input(Input::Start);
            taker.input(Input::Connected { peer: GIVER });
            taker.input(Input::Connected { peer: WITNESS });
            taker
        }

        fn input(&mut self, input: Input) -> Vec<Output> {
            self.0.handle(self.1, input);
            std::iter::from_fn(|| self.0.next_output()).collect()
        }

        /// Time passes, and the timer of the snapshot comes round.
        fn after(&mut self, span: Span) -> Vec<Output> {
            self.1 = self.1 + span;
            self.input(Input::Timer(Timer::Snapshot))
        }

        fn hear(&mut self, from: PeerId, message: Message) -> Vec<Output> {
            self.input(Input::Message { from, message })
        }

        /// The giver's snapshot up to its last part.
        fn offered(&mut self, heads: Vec<(Origin, u64, Hash)>, base: &[i32]) -> Vec<Output> {
            let heard: VersionVector = heads.iter().map(|&(origin, seq, _)| (origin, seq)).collect();
            let mut outputs = self.hear(GIVER, digest(heard));
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

    fn digest(heard: VersionVector) -> Message {
        Message::Digest { heard, excluded: Vec::new(), spot: None, base_hash: None, answer: false }
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
        for same in [true, false] {
            let mut taker = Taker::new();
            let outputs = taker.offered(vec![(STRANGER, 5, Hash([7; 32]))], &[1, 2]);
            assert!(asks(&outputs) && !restores(&outputs), "{outputs:?}");
            let answer = Message::SnapshotChecked { base_hash: base_hash(&[1, 2]), same: Some(same) };
            assert!(!restores(&taker.hear(GIVER, answer.clone())), "nobody is his own witness");
            let outputs = taker.hear(WITNESS, answer);
            assert_eq!((restores(&outputs), failed(&outputs)), (same, !same));
        }
    }

    /// Two of eight that are in league give nobody a base: more than a third of those who could know must have it.
    #[test]
    fn the_more_could_know_the_more_must_say_so() {
        let others = [2, 4, 5, 6, 7, 8].map(|id| PeerId([id; 32]));
        let name = base_hash(&[1, 2]);
        let answer = |same| Message::SnapshotChecked { base_hash: name, same };
        let asked = |outputs: &[Output]| {
            let of = |output: &Output| match output {
                Output::Send { to, message: Message::SnapshotCheck { .. } } => Some(*to),
                _ => None,
            };
            outputs.iter().find_map(of)
        };
        for (honest, quick) in [(true, true), (false, true), (false, false)] {
            let mut taker = Taker::new();
            for peer in others {
                taker.input(Input::Connected { peer });
                // Those in league are not to be believed because they are the first to say anything.
                if quick {
                    taker.hear(peer, digest([(STRANGER, 5)].into_iter().collect()));
                }
            }
            let mut outputs = taker.offered(vec![(STRANGER, 5, Hash([7; 32]))], &[1, 2]);
            // The first that is asked is in league with the giver, or not; the others know nothing of its base, or all the same.
            let mut said = 0;
            while let Some(witness) = asked(&outputs) {
                let same = (said == 0 || honest).then_some(true);
                outputs = taker.hear(witness, answer(same));
                said += 1;
                assert!(said < 10, "it never ends");
                assert_eq!(restores(&outputs), honest && said == 2, "{said}");
            }
            if !honest && quick {
                let patient: Vec<Output> = (0..6).flat_map(|_| taker.after(Span::from_secs(1))).collect();
                assert!(!restores(&patient) && failed(&patient));
            }
        }
    }

    /// What nobody can say is taken by a newcomer when nobody else has anything to give, and after a while.
    #[test]
    fn a_base_of_which_nobody_can_say_anything_is_the_last_that_a_newcomer_takes() {
        for another in [false, true] {
            let mut taker = Taker::new();
            if another {
                taker.hear(WITNESS, digest([(STRANGER, 100)].into_iter().collect()));
            }
            taker.offered(vec![(STRANGER, 5, Hash([7; 32]))], &[1, 2]);
            let answer = Message::SnapshotChecked { base_hash: base_hash(&[1, 2]), same: None };
            let outputs = taker.hear(WITNESS, answer.clone());
            assert!(!restores(&outputs) && !failed(&outputs), "an honest one is known to others a moment later");
            let outputs = taker.after(Span::from_secs(2));
            assert!(asks(&outputs) && !restores(&outputs), "so it asks again: {outputs:?}");
            taker.hear(WITNESS, answer);
            taker.after(Span::from_secs(2));
            let outputs = taker.after(Span::from_secs(2));
            assert_eq!((restores(&outputs), failed(&outputs)), (!another, another));
            let next = |output: &Output| matches!(output, Output::Send { to: WITNESS, message: Message::SnapshotAsk });
            assert_eq!(outputs.iter().any(next), another, "and asks the other one");
        }
    }

    #[test]
    fn while_a_snapshot_comes_what_is_beyond_it_is_asked_for() {
        let mut taker = Taker::new();
        taker.hear(GIVER, digest([(STRANGER, 5)].into_iter().collect()));
        taker.hear(GIVER, Message::SnapshotOffer { bytes: 8 });
        let range = |first, last| Range { origin: STRANGER, first, last };
        let wants = |outputs: &[Output]| {
            let want = |output: &Output| match output {
                Output::Send { message: Message::Want(ranges), .. } => Some(ranges.clone()),
                _ => None,
            };
            outputs.iter().find_map(want)
        };
        let outputs = taker.hear(WITNESS, Message::Offer(vec![range(1, 6)]));
        assert_eq!(wants(&outputs), None, "whoever has nothing asks for no deltas");
        let heads = vec![Head { origin: STRANGER, seq: 5, hash: Hash([7; 32]), samples: 1 }];
        let head = SnapshotHead { base_hash: base_hash(&[1, 2]), parameters: 2, heads, exclusions: Vec::new() };
        taker.hear(GIVER, Message::SnapshotHead(head));
        let outputs = taker.hear(WITNESS, Message::Offer(vec![range(3, 7)]));
        assert_eq!(wants(&outputs), Some(vec![range(6, 7)]));
    }

    /// Each answer costs a copy of the base: sixty-four askers would end a peer.
    #[test]
    fn one_question_is_answered_at_a_time() {
        let mut witness = Taker::new();
        let name = base_hash(&[1, 2]);
        let ask = |witness: &mut Taker, from: PeerId| {
            let check = Message::SnapshotCheck { base_hash: name, heads: Vec::new(), excluded: Vec::new() };
            let outputs = witness.hear(from, check);
            let said = |output: &Output| match output {
                Output::Send { message: Message::SnapshotChecked { same, .. }, .. } => Some(*same),
                _ => None,
            };
            let copies = outputs.iter().filter(|output| matches!(output, Output::Compute(Command::Base))).count();
            (copies, outputs.iter().find_map(said))
        };
        assert_eq!(ask(&mut witness, GIVER), (1, None), "the learner is asked");
        assert_eq!(ask(&mut witness, WITNESS), (0, Some(None)), "and nobody else is answered meanwhile");
        let outputs = witness.input(Input::Computed { result: Computed::Base(vec![1, 2]), took: Span(0) });
        let hashes = |output: &Output| matches!(output, Output::Compute(Command::Hash { .. }));
        assert!(outputs.iter().any(hashes));
        assert_eq!(ask(&mut witness, WITNESS), (0, Some(None)));
        let result = Computed::Hashed { base: vec![1, 2], base_hash: Some(name) };
        witness.input(Input::Computed { result, took: Span(0) });
        assert_eq!(ask(&mut witness, WITNESS), (0, Some(Some(true))), "it has that base at hand now");
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
