//! What one link has still to say: bounded by count and bytes, with the credit of both directions beside it.
//!
//! The driver puts messages in and never waits; the link's writer takes them out as credit and the network allow. When
//! the queue is full the new message is dropped and counted, which costs delay and no correctness: anti-entropy mends
//! it. A heartbeat overtakes all else, and of several only the last is kept, since it says all that the earlier ones said. Parts
//! of snapshots let everything else pass: a delta waits for one of them at most. Votes and the records of exclusions, of which liars can cause
//! as many as they like, go as far as the pace has room to spare, and nothing waits for them. Parts have a bound of their own, and hold no base in
//! memory: one whose base is served no more is never said, and its taker asks again.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use protocol::id::Hash;
use protocol::log::SignedDelta;
use protocol::trust::Evidence;
use protocol::wire::{LENGTH_BYTES, LoosePart, Message};
use tokio::sync::{Notify, OwnedSemaphorePermit};

use super::budget::{Budget, Share};

/// Messages that wait for one neighbour, parts of snapshots left out.
pub(crate) const LINK_QUEUE_MESSAGES: usize = 4096;
/// Bytes of them, within a few; a single larger message is taken when nothing else waits.
pub(crate) const LINK_QUEUE_BYTES: usize = 16 << 20;
/// Parts of snapshots that wait for one neighbour, 8 MiB of them: a taker asks for 3 MiB ahead, and once more for what it lacks.
pub(crate) const LINK_QUEUE_PARTS: usize = 32;
/// Votes and records of exclusions that wait for one neighbour: they come again, the ones while a hold lasts, the others with digests.
pub(crate) const LINK_QUEUE_WORDS: usize = 1024;
/// Bytes of them: a record may hold a thousand votes.
const LINK_QUEUE_WORD_BYTES: usize = 4 << 20;
/// A link is being read when something has left its queue so lately.
const MOVES_WITHIN: Duration = Duration::from_secs(1);
/// What a message without payload takes, about.
const MESSAGE_BYTES: usize = 128;
/// Credit goes back when this part of the window was consumed: often enough that the sender never runs dry, seldom
/// enough that words are no traffic.
const CREDIT_PARTS: usize = 4;

/// How a link is to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Messages come and go.
    Open,
    /// No more messages are taken; those that wait are still said.
    Finishing,
    /// Over at once.
    Aborted,
}

/// Shared by the driver (in), the link's writer (out), and its reader (credit).
#[derive(Debug)]
pub(crate) struct Queue {
    inner: Mutex<Inner>,
    /// Something for the writer has changed.
    pub(crate) changed: Notify,
    /// The stage has become [`Stage::Aborted`].
    pub(crate) aborted: Notify,
    window: usize,
}

#[derive(Debug)]
struct Inner {
    stage: Stage,
    status: Option<Message>,
    bulk: VecDeque<Waiting>,
    /// Parts of snapshots, in order.
    parts: VecDeque<Waiting>,
    /// Votes and records of exclusions, in order.
    words: VecDeque<Message>,
    word_bytes: usize,
    /// Of all but parts.
    bulk_bytes: usize,
    /// Bytes that nobody else holds.
    copies: Share,
    /// When something has left the queue, if it was ever so.
    moved_at: Option<Instant>,
    /// What we may still send.
    credit: usize,
    /// Received from the other side and not yet consumed here.
    unread: usize,
    /// Consumed here and not yet told to the other side.
    owed: usize,
}

/// A message that waits: two words, where a [`Message`] takes the space of the largest there is. A queue holds thousands.
#[derive(Debug)]
enum Waiting {
    Delta(Arc<SignedDelta>),
    Part(Box<(Hash, u64, LoosePart)>),
    Other(Box<Message>),
}

impl From<Message> for Waiting {
    fn from(message: Message) -> Self {
        match message {
            Message::Delta(delta) => Self::Delta(delta),
            Message::SnapshotPart { base_hash, offset, bytes } => match bytes.loosen() {
                Some(part) => Self::Part(Box::new((base_hash, offset, part))),
                None => Self::Other(Box::new(Message::SnapshotPart { base_hash, offset, bytes })),
            },
            other => Self::Other(Box::new(other)),
        }
    }
}

impl Waiting {
    /// `None`: a part whose base is gone.
    fn into_message(self) -> Option<Message> {
        match self {
            Self::Delta(delta) => Some(Message::Delta(delta)),
            Self::Part(part) => {
                let (base_hash, offset, part) = *part;
                part.tighten().map(|bytes| Message::SnapshotPart { base_hash, offset, bytes })
            }
            Self::Other(message) => Some(*message),
        }
    }
}

impl Inner {
    fn pop_word(&mut self) -> Option<Message> {
        let word = self.words.pop_front()?;
        self.word_bytes -= estimate_bytes(&word);
        Some(word)
    }
}

/// The other side has sent more than it was allowed, or granted more than it could.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it broke the credit of {window} bytes")]
pub(crate) struct CreditBroken {
    window: usize,
}

impl Queue {
    pub(crate) fn new(window: usize, budget: &Arc<Budget>) -> Arc<Self> {
        let inner = Inner {
            stage: Stage::Open,
            status: None,
            bulk: VecDeque::new(),
            parts: VecDeque::new(),
            words: VecDeque::new(),
            word_bytes: 0,
            bulk_bytes: 0,
            copies: Share::new(Arc::clone(budget)),
            moved_at: None,
            credit: window,
            unread: 0,
            owed: 0,
        };
        Arc::new(Self { inner: Mutex::new(inner), changed: Notify::new(), aborted: Notify::new(), window })
    }

    /// See [`super::frame::window_bytes`].
    pub(crate) fn window(&self) -> usize {
        self.window
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Plain data without invariants across fields that a panic could break halfway.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a message in; false when it was dropped.
    pub(crate) fn push(&self, message: Message) -> bool {
        let mut inner = self.lock();
        if inner.stage != Stage::Open {
            return false;
        }
        if matches!(message, Message::Status(_)) {
            inner.status = Some(message);
        } else if is_word(&message) {
            let bytes = estimate_bytes(&message);
            if inner.words.len() >= LINK_QUEUE_WORDS || inner.word_bytes + bytes > LINK_QUEUE_WORD_BYTES {
                return false;
            }
            inner.word_bytes += bytes;
            inner.words.push_back(message);
        } else {
            let bytes = estimate_bytes(&message);
            let is_part = is_part(&message);
            let is_full = if is_part {
                inner.parts.len() >= LINK_QUEUE_PARTS
            } else {
                let too_large = inner.bulk_bytes > 0 && inner.bulk_bytes + bytes > LINK_QUEUE_BYTES;
                inner.bulk.len() >= LINK_QUEUE_MESSAGES || too_large
            };
            if is_full {
                return false;
            }
            let moves = inner.moved_at.is_some_and(|at| at.elapsed() < MOVES_WITHIN);
            if is_copy(&message) && !inner.copies.take(bytes, moves) {
                return false;
            }
            if is_part {
                inner.parts.push_back(message.into());
            } else {
                inner.bulk_bytes += bytes;
                inner.bulk.push_back(message.into());
            }
        }
        drop(inner);
        self.changed.notify_one();
        true
    }

    /// Whether votes or records wait.
    pub(crate) fn has_words(&self) -> bool {
        !self.lock().words.is_empty()
    }

    /// The next message to say: a heartbeat first, a vote where there is room to `spare`, a part of a snapshot last. In the end the votes
    /// are last: the time for the others is short.
    pub(crate) fn pop(&self, spare: bool) -> Option<Message> {
        let mut inner = self.lock();
        if let Some(status) = inner.status.take() {
            return Some(status);
        }
        if spare
            && inner.stage == Stage::Open
            && let Some(word) = inner.pop_word()
        {
            return Some(word);
        }
        loop {
            let Some(next) = inner.bulk.pop_front().or_else(|| inner.parts.pop_front()) else {
                return if inner.stage == Stage::Open { None } else { inner.pop_word() };
            };
            let Some(message) = next.into_message() else { continue };
            let bytes = estimate_bytes(&message);
            if !is_part(&message) {
                inner.bulk_bytes -= bytes;
            }
            inner.moved_at = Some(Instant::now());
            if is_copy(&message) {
                inner.copies.give_back(bytes);
            }
            return Some(message);
        }
    }

    /// Takes `bytes` off the credit, if there is so much.
    pub(crate) fn spend(&self, bytes: usize) -> bool {
        let mut inner = self.lock();
        let enough = inner.credit >= bytes;
        if enough {
            inner.credit -= bytes;
        }
        enough
    }

    /// The other side has consumed `bytes` of ours.
    pub(crate) fn granted(&self, bytes: u32) -> Result<(), CreditBroken> {
        let mut inner = self.lock();
        let credit = inner.credit.saturating_add(bytes as usize);
        if credit > self.window {
            return Err(CreditBroken { window: self.window });
        }
        inner.credit = credit;
        drop(inner);
        self.changed.notify_one();
        Ok(())
    }

    /// A data item with a body of `body_bytes` has arrived; the receipt is dropped when it was consumed.
    pub(crate) fn received(self: &Arc<Self>, body_bytes: usize) -> Result<Receipt, CreditBroken> {
        let bytes = body_bytes + LENGTH_BYTES;
        let mut inner = self.lock();
        if inner.unread + inner.owed + bytes > self.window {
            return Err(CreditBroken { window: self.window });
        }
        inner.unread += bytes;
        drop(inner);
        Ok(Receipt { queue: Arc::clone(self), bytes, room: None })
    }

    /// Credit that is worth a word to the other side.
    pub(crate) fn take_owed(&self) -> Option<u32> {
        let mut inner = self.lock();
        if inner.owed < self.window / CREDIT_PARTS {
            return None;
        }
        u32::try_from(std::mem::take(&mut inner.owed)).ok()
    }

    pub(crate) fn stage(&self) -> Stage {
        self.lock().stage
    }

    /// No more messages; those that wait are said, then the link is closed.
    pub(crate) fn finish(&self) {
        let mut inner = self.lock();
        if inner.stage == Stage::Open {
            inner.stage = Stage::Finishing;
        }
        drop(inner);
        self.changed.notify_one();
    }

    /// The link is closed now.
    pub(crate) fn abort(&self) {
        self.lock().stage = Stage::Aborted;
        self.changed.notify_one();
        self.aborted.notify_one();
    }
}

/// Holds bytes of the window until the message they carried was consumed.
#[derive(Debug)]
pub(crate) struct Receipt {
    queue: Arc<Queue>,
    bytes: usize,
    /// Its part of what may wait for the driver.
    room: Option<OwnedSemaphorePermit>,
}

impl Receipt {
    /// Keeps room until the message is consumed.
    pub(crate) fn keep(&mut self, room: Option<OwnedSemaphorePermit>) {
        self.room = room;
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Drop for Receipt {
    fn drop(&mut self) {
        let mut inner = self.queue.lock();
        inner.unread -= self.bytes;
        inner.owed += self.bytes;
        let worth = inner.owed >= self.queue.window / CREDIT_PARTS;
        drop(inner);
        if worth {
            self.queue.changed.notify_one();
        }
    }
}

fn is_part(message: &Message) -> bool {
    matches!(message, Message::SnapshotPart { .. })
}

fn is_word(message: &Message) -> bool {
    matches!(message, Message::Vote(_) | Message::Exclusion(_))
}

/// Whether a message has a payload of its own. That of a delta is shared with the log and the other links' queues, a part of a snapshot
/// with the base that is served.
fn is_copy(message: &Message) -> bool {
    let is_shared = match message {
        Message::Delta(_) | Message::Deltas(_) => true,
        Message::SnapshotPart { bytes, .. } => bytes.loosen().is_some(),
        _ => false,
    };
    !is_shared && estimate_bytes(message) > 2 * MESSAGE_BYTES
}

/// Bytes of a message on the wire, near enough for a bound on memory.
fn estimate_bytes(message: &Message) -> usize {
    MESSAGE_BYTES
        + match message {
            Message::Delta(signed) => signed.payload.len() + MESSAGE_BYTES,
            Message::Deltas(chain) => chain.iter().map(|signed| signed.payload.len() + MESSAGE_BYTES).sum(),
            Message::SnapshotPart { bytes, .. } => bytes.len(),
            Message::SnapshotHead(head) => (head.heads.len() + 8 * head.exclusions.len()) * MESSAGE_BYTES,
            Message::Exclusion(record) => match &record.evidence {
                Evidence::Votes(votes) => 2 * votes.len() * MESSAGE_BYTES,
                Evidence::Equivocation(_) => 4 * MESSAGE_BYTES,
            },
            Message::Digest { heard, .. } => heard.len() * MESSAGE_BYTES,
            Message::Offer(ranges) | Message::Want(ranges) => ranges.len() * MESSAGE_BYTES,
            Message::Peers(records) => records.iter().flat_map(|r| &r.addresses).map(|a| MESSAGE_BYTES + a.len()).sum(),
            Message::ExchangeSay { part, .. } | Message::ExchangeAnswer { part, .. } => part.payload.len(),
            _ => 0,
        }
}

#[cfg(test)]
pub(in crate::swarm) mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use protocol::id::{Origin, PeerId};
    use protocol::log::{Checked, Header};
    use protocol::wire::{BasePart, Status};

    fn status(steps: u64) -> Message {
        Message::Status(Status {
            incarnation: 0,
            steps,
            steps_per_second: 0.0,
            train_loss: 0.0,
            heard: Hash::ZERO,
            neighbours: Vec::new(),
            finished: false,
            round: 0,
        })
    }

    fn part(bytes: usize) -> Message {
        Message::SnapshotPart { base_hash: Hash::ZERO, offset: 0, bytes: vec![0; bytes].into() }
    }

    /// One that nobody has signed.
    pub(in crate::swarm) fn delta(seq: u64, bytes: usize) -> Message {
        let header = Header {
            origin: Origin { peer: PeerId([1; 32]), incarnation: 1 },
            seq,
            previous: Hash::ZERO,
            heard: Hash::ZERO,
            steps: 1,
            samples: 1,
            round: 0,
            weight: 1,
            codec: 1,
            l2_norm: 1.0,
        };
        let payload = vec![7; bytes];
        Message::Delta(Arc::new(SignedDelta { header, payload, signature: [0; 64], checked: Checked::default() }))
    }

    /// Liars can cause as many votes and records as they like.
    #[test]
    fn a_flood_of_records_holds_up_no_delta() {
        use crate::swarm::bucket::Pace;
        use crate::swarm::link::Outgoing;
        use protocol::trust::Exclusion;
        let queue = Queue::new(1 << 20, &Arc::default());
        let about = Origin { peer: PeerId([1; 32]), incarnation: 1 };
        let record = |from_seq| Exclusion { about, from_seq, evidence: Evidence::Votes(Vec::new()) };
        let taken = (0..5000).filter(|&seq| queue.push(Message::Exclusion(record(seq)))).count();
        assert_eq!(taken, LINK_QUEUE_WORDS);
        assert!(queue.push(delta(1, 100)), "they fill nobody else's place");
        let (mut outgoing, mut pace) = (Outgoing::default(), Pace::new(1 << 20, Instant::now()));
        let wait = loop {
            if let Some(wait) = outgoing.gather(&queue, &mut pace) {
                break wait;
            }
            outgoing.written();
        };
        assert!(wait > Duration::ZERO && queue.has_words(), "some records wait for their turn");
        assert_eq!(queue.pop(false), None, "the delta did not");
        assert!(queue.push(Message::SnapshotAsk) && outgoing.gather(&queue, &mut pace).is_some());
        assert_eq!(queue.pop(false), None, "nor does a control frame");
        assert!(queue.pop(true).is_some());
        assert!(queue.push(Message::Bye));
        queue.finish();
        assert_eq!(queue.pop(true), Some(Message::Bye), "nor do the last words wait");
        assert!(queue.has_words() && queue.pop(false).is_some());
    }

    #[test]
    fn a_heartbeat_overtakes_bulk_and_only_the_last_is_kept() {
        let queue = Queue::new(1000, &Arc::default());
        assert!(queue.push(Message::SnapshotAsk) && queue.push(status(1)) && queue.push(status(2)));
        assert_eq!(queue.pop(true), Some(status(2)));
        assert_eq!(queue.pop(true), Some(Message::SnapshotAsk));
        assert_eq!(queue.pop(true), None);
    }

    #[test]
    fn a_full_queue_drops_what_is_new_but_no_heartbeat() {
        let queue = Queue::new(1000, &Arc::default());
        assert_eq!((0..LINK_QUEUE_MESSAGES + 9).filter(|_| !queue.push(Message::SnapshotAsk)).count(), 9);
        assert!(queue.push(status(1)));

        let queue = Queue::new(1000, &Arc::default());
        let pieces = super::super::budget::LINK_COPIES_BYTES_MAX / (256 << 10);
        assert_eq!(
            (0..2 * pieces).filter(|_| queue.push(part(256 << 10))).count(),
            pieces,
            "what a taker asks for ahead"
        );
        while queue.pop(true).is_some() {}
        assert!(queue.push(part(2 * LINK_QUEUE_BYTES)), "alone, a message of any size is taken");
        assert!(!queue.push(part(1000)));
    }

    /// Part `i` of a base, from its middle on.
    fn view(base: &Arc<Vec<i32>>, i: usize) -> Message {
        let start = base.len() / 2 + i;
        let bytes = BasePart::of(base, start..start + (64 << 10));
        Message::SnapshotPart { base_hash: Hash::ZERO, offset: 4 * start as u64, bytes }
    }

    #[test]
    fn parts_of_a_snapshot_let_everything_else_pass_and_wait_for_free() {
        let budget = Arc::default();
        let (queue, base) = (Queue::new(1000, &budget), Arc::new(vec![7; 1 << 20]));
        const { assert!(LINK_QUEUE_PARTS * (256 << 10) > super::super::budget::LINK_COPIES_BYTES_MAX) };
        assert!((0..LINK_QUEUE_PARTS).all(|i| queue.push(view(&base, i))), "views of one base");
        assert!(!queue.push(view(&base, 0)), "no more of them");
        // What else is to be said has all of its room.
        let deltas = (0..).take_while(|&seq| queue.push(delta(seq, 256 << 10))).count();
        assert_eq!(deltas, LINK_QUEUE_BYTES / (256 << 10) - 1, "with the bytes of their headers");
        assert!((0..deltas as u64).all(|seq| queue.pop(true) == Some(delta(seq, 256 << 10))));
        assert!((0..LINK_QUEUE_PARTS).all(|i| queue.pop(true) == Some(view(&base, i))), "in order");
        assert_eq!(queue.pop(true), None);
    }

    #[test]
    fn what_waits_for_slow_readers_keeps_no_base_that_is_served_no_more() {
        let budget = Arc::default();
        let slow: Vec<_> = (0..32).map(|_| Queue::new(1000, &budget)).collect();
        // Each is served a base of its own.
        let bases: Vec<_> = (0..32).map(|i| Arc::new(vec![i; 1 << 20])).collect();
        for (queue, base) in slow.iter().zip(&bases) {
            assert!((0..12).all(|i| queue.push(view(base, i))));
            assert_eq!(queue.pop(true), Some(view(base, 0)));
        }
        assert!(bases.iter().all(|base| Arc::strong_count(base) == 1), "nobody but the giver holds them");
        drop(bases);
        for queue in &slow {
            assert!(queue.push(Message::SnapshotAsk));
            assert_eq!([queue.pop(true), queue.pop(true)], [Some(Message::SnapshotAsk), None], "the others are gone");
        }
    }

    #[test]
    fn credit_is_spent_and_comes_back_when_messages_are_consumed() {
        let (sender, receiver) = (Queue::new(1000, &Arc::default()), Queue::new(1000, &Arc::default()));
        assert!(sender.spend(400) && sender.spend(600) && !sender.spend(1));
        let first = receiver.received(396).unwrap();
        let second = receiver.received(596).unwrap();
        assert!(receiver.received(1).is_err(), "more than the window");
        assert_eq!(receiver.take_owed(), None, "nothing was consumed yet");
        drop(first);
        assert_eq!(receiver.take_owed(), Some(400));
        sender.granted(400).unwrap();
        assert!(sender.spend(400));
        drop(second);
        assert_eq!(receiver.take_owed(), Some(600));
        assert!(sender.granted(1001).is_err(), "more than was ever sent");
    }

    #[test]
    fn after_the_end_nothing_is_taken() {
        let queue = Queue::new(1000, &Arc::default());
        assert!(queue.push(Message::Bye));
        queue.finish();
        assert!(!queue.push(Message::Bye));
        assert_eq!((queue.stage(), queue.pop(true)), (Stage::Finishing, Some(Message::Bye)));
        queue.abort();
        queue.finish();
        assert_eq!(queue.stage(), Stage::Aborted);
    }
}
