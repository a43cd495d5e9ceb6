#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::atomic::Ordering;

use protocol::id::{Hash, RunId, SchemaHash};
use protocol::trust::admission::Credentials;
use protocol::wire::frame_bytes_max;
use tokio::sync::mpsc::{Receiver, channel};

use super::*;
use crate::swarm::pipe::{Pipe, pipe};
use crate::swarm::places::Places;
use crate::swarm::queue::LINK_QUEUE_BYTES;
use crate::swarm::queue::tests::delta;

const PART_BYTES: usize = 256 << 10;

/// One side of a link: its events and its meter.
struct Side {
    events: Receiver<LinkEvent>,
    meter: Arc<Meter>,
}

impl Side {
    fn start(us: u8, them: u8, stream: Pipe, inbox: usize) -> Self {
        Self::start_with(us, them, stream, inbox, frame_bytes_max(0))
    }

    fn start_with(us: u8, them: u8, stream: Pipe, inbox: usize, body_bytes_max: usize) -> Self {
        let (link, side) = Self::of(us, them, inbox, body_bytes_max);
        tokio::spawn(link.run(stream));
        side
    }

    fn of(us: u8, them: u8, inbox: usize, body_bytes_max: usize) -> (Link, Self) {
        let (sender, events) = channel(inbox);
        let meter = Arc::new(Meter::default());
        let (us, them) = (PeerId([us; 32]), PeerId([them; 32]));
        let credentials =
            Credentials { us, run: RunId(Hash([5; 32])), schema: SchemaHash(Hash([7; 32])), swarm_key: [9; 32] };
        let connection = ConnectionId::new_unchecked(1);
        let meeting =
            Meeting { credentials, them, connection, relayed: false, places: Places::new(us, 4), policy: None };
        let (budget, inbox_room) = (Arc::default(), Arc::default());
        let allowances = Allowances::default();
        let meter = Arc::clone(&meter);
        let link =
            Link { meeting, meter: Arc::clone(&meter), budget, inbox_room, events: sender, body_bytes_max, allowances };
        (link, Self { events, meter })
    }

    async fn up(&mut self) -> Arc<Queue> {
        match self.next().await {
            LinkEvent::Up { queue, .. } => queue,
            other => panic!("{other:?}"),
        }
    }

    async fn message(&mut self) -> (Message, Receipt) {
        match self.next().await {
            LinkEvent::Message { message, receipt, .. } => (message, receipt),
            other => panic!("{other:?}"),
        }
    }

    async fn down(&mut self) -> End {
        match self.next().await {
            LinkEvent::Down { end, .. } => end,
            other => panic!("{other:?}"),
        }
    }

    async fn next(&mut self) -> LinkEvent {
        timeout(Duration::from_secs(30), self.events.recv()).await.expect("in time").expect("an event")
    }
}

/// A delta: of parts of snapshots a queue takes only a few.
fn part(seq: u64) -> Message {
    delta(seq, PART_BYTES)
}

#[tokio::test]
async fn messages_arrive_in_order_and_every_byte_is_counted() {
    let (left, right) = pipe(4);
    let (mut a, mut b) = (Side::start(1, 2, left, 64), Side::start(2, 1, right, 64));
    let (to_b, to_a) = (a.up().await, b.up().await);
    for offset in 0..40 {
        assert!(to_b.push(part(offset)));
    }
    for offset in 0..40 {
        assert_eq!(b.message().await.0, part(offset));
    }
    assert!(to_a.push(Message::SnapshotAsk));
    assert_eq!(a.message().await.0, Message::SnapshotAsk);
    let (sent, received) = (a.meter.sent.load(Ordering::Relaxed), b.meter.received.load(Ordering::Relaxed));
    assert_eq!(sent, received);
    assert!(sent as usize > 40 * PART_BYTES && (sent as usize) < 41 * PART_BYTES);
}

#[tokio::test]
async fn the_largest_frames_of_a_run_pass() {
    const PAYLOAD_BYTES: usize = 24 << 20;
    let (left, right) = pipe(4);
    let limit = frame_bytes_max(PAYLOAD_BYTES);
    let (mut a, mut b) = (Side::start_with(1, 2, left, 64, limit), Side::start_with(2, 1, right, 64, limit));
    let (to_b, _) = (a.up().await, b.up().await);
    for offset in 0..4 {
        let bytes = vec![offset as u8; PAYLOAD_BYTES];
        // The next one only fits the queue when the last has left it.
        while !to_b.push(Message::SnapshotPart { base_hash: Hash::ZERO, offset, bytes: bytes.clone().into() }) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let (Message::SnapshotPart { offset: found, bytes: payload, .. }, _) = b.message().await else {
            panic!("a part")
        };
        assert!(found == offset && *payload == *bytes);
    }
}

#[tokio::test]
async fn a_large_frame_gives_its_memory_back_before_the_next_one_comes() {
    const PAYLOAD_BYTES: usize = 8 << 20;
    let limit = frame_bytes_max(PAYLOAD_BYTES);
    let (link, _side) = Side::of(1, 2, 4, limit);
    let queue = Queue::new(window_bytes(limit), &Arc::default());
    let (mut frame, mut body) = (Vec::new(), Vec::new());
    let part = Message::SnapshotPart { base_hash: Hash::ZERO, offset: 0, bytes: vec![7; PAYLOAD_BYTES].into() };
    encode_frame(&part, &mut frame).unwrap();
    let mut reader = futures::io::Cursor::new(frame);
    let allowed = link.allowances.of(PeerId([2; 32]), window_bytes(limit), Instant::now().into_std());
    let heard = link.read_one(&mut reader, &queue, &allowed, &mut body).await.unwrap().unwrap();
    assert!(matches!(heard, LinkEvent::Message { message, .. } if message == part));
    assert!(body.capacity() <= PAYLOAD_BYTES / 4, "{} bytes are kept", body.capacity());
}

#[tokio::test]
async fn what_was_queued_before_the_end_is_said() {
    let (left, right) = pipe(4);
    let (mut a, mut b) = (Side::start(1, 2, left, 64), Side::start(2, 1, right, 64));
    let (to_b, _) = (a.up().await, b.up().await);
    for offset in 0..5 {
        to_b.push(part(offset));
    }
    to_b.push(Message::Bye);
    to_b.finish();
    for _ in 0..5 {
        b.message().await;
    }
    assert_eq!(b.message().await.0, Message::Bye);
    assert!(matches!(b.down().await, End::Broken(_)));
    assert!(matches!(a.down().await, End::Ours));
}

#[tokio::test]
async fn a_slow_reader_stops_its_own_sender_at_the_window() {
    let (left, right) = pipe(4);
    let (mut a, mut b) = (Side::start(1, 2, left, 64), Side::start(2, 1, right, 4096));
    let (to_b, _) = (a.up().await, b.up().await);
    let mut offered = 0;
    while to_b.push(part(0)) {
        offered += PART_BYTES;
    }
    assert!(offered <= LINK_QUEUE_BYTES, "the queue is bounded in bytes");

    // The reader keeps every receipt: it has consumed nothing.
    let (mut kept, mut bytes) = (Vec::new(), 0);
    while let Ok(Some(event)) = timeout(Duration::from_secs(2), b.events.recv()).await {
        let LinkEvent::Message { receipt, .. } = event else { panic!("{event:?}") };
        kept.push(receipt);
        bytes += PART_BYTES;
    }
    let window = window_bytes(frame_bytes_max(0));
    assert!(bytes <= window && bytes > window / 2, "{bytes} bytes without credit");

    kept.clear();
    let mut after = 0;
    while let Ok(Some(LinkEvent::Message { .. })) = timeout(Duration::from_secs(2), b.events.recv()).await {
        after += PART_BYTES;
    }
    assert_eq!(bytes + after, offered, "with credit the rest comes");
}

#[tokio::test]
async fn a_slow_reader_slows_no_other_link() {
    let (slow_left, slow_right) = pipe(4);
    let (fast_left, fast_right) = pipe(4);
    let (mut to_slow, mut slow) = (Side::start(1, 2, slow_left, 64), Side::start(2, 1, slow_right, 1));
    let (mut to_fast, mut fast) = (Side::start(1, 3, fast_left, 64), Side::start(3, 1, fast_right, 64));
    let (slow_queue, fast_queue) = (to_slow.up().await, to_fast.up().await);
    slow.up().await;
    fast.up().await;
    while slow_queue.push(part(0)) {}
    for offset in 0..40 {
        fast_queue.push(part(offset));
    }
    for offset in 0..40 {
        assert_eq!(fast.message().await.0, part(offset));
    }
}

/// An admitted neighbour that then says `bytes`; how the link ends.
async fn after_admission(bytes: &[u8]) -> End {
    let (left, mut right) = pipe(4);
    let mut side = Side::start(1, 2, left, 64);
    let us = PeerId([2; 32]);
    let credentials =
        Credentials { us, run: RunId(Hash([5; 32])), schema: SchemaHash(Hash([7; 32])), swarm_key: [9; 32] };
    let (them, connection) = (PeerId([1; 32]), ConnectionId::new_unchecked(1));
    let meeting = Meeting { credentials, them, connection, relayed: false, places: Places::new(us, 4), policy: None };
    assert_eq!(meeting.hold(&mut right).await, Verdict::Admitted);
    side.up().await;
    right.write_all(bytes).await.unwrap();
    side.down().await
}

#[tokio::test]
async fn a_neighbour_that_breaks_the_format_is_dropped() {
    let too_long = (frame_bytes_max(0) as u32 + 1).to_le_bytes();
    assert!(matches!(after_admission(&too_long).await, End::Malformed(WireError::TooLong { .. })));
    assert!(matches!(after_admission(&[0; 4]).await, End::Malformed(WireError::Empty)));
    let garbage = [3, 0, 0, 0, protocol::wire::VERSION, 200, 1];
    assert!(matches!(after_admission(&garbage).await, End::Malformed(WireError::Malformed(_))));
    let credit_from_nowhere = (1_u32 << 31 | 1).to_le_bytes();
    let end = after_admission(&credit_from_nowhere).await;
    assert!(matches!(end, End::Credit(_)) && end.is_fault(), "{end}");
}

/// Small frames need no credit to speak of, so only their number can give a flooder away.
#[tokio::test]
async fn a_neighbour_that_floods_is_dropped_at_once() {
    let (left, mut right) = pipe(4);
    let mut side = Side::start(1, 2, left, 64);
    let us = PeerId([2; 32]);
    let credentials =
        Credentials { us, run: RunId(Hash([5; 32])), schema: SchemaHash(Hash([7; 32])), swarm_key: [9; 32] };
    let (them, connection) = (PeerId([1; 32]), ConnectionId::new_unchecked(1));
    let meeting = Meeting { credentials, them, connection, relayed: false, places: Places::new(us, 4), policy: None };
    assert_eq!(meeting.hold(&mut right).await, Verdict::Admitted);
    side.up().await;
    let mut frames = Vec::new();
    (0..1000).for_each(|_| encode_frame(&Message::SnapshotAsk, &mut frames).unwrap());
    let flooder = tokio::spawn(async move { while right.write_all(&frames).await.is_ok() {} });
    let (begun, mut heard) = (Instant::now(), 0_u32);
    let end = loop {
        match side.next().await {
            LinkEvent::Message { .. } => heard += 1,
            LinkEvent::Down { end, .. } => break end,
            other => panic!("{other:?}"),
        }
    };
    assert!(matches!(end, End::Flood(_)) && end.strikes() == STRIKES_MAX, "{end}");
    assert!(begun.elapsed() < Duration::from_secs(10) && heard < 20_000, "{heard} frames");
    flooder.abort();
}

#[tokio::test]
async fn an_aborted_link_ends_at_once() {
    let (left, right) = pipe(4);
    let (mut a, mut b) = (Side::start(1, 2, left, 64), Side::start(2, 1, right, 64));
    let queue = a.up().await;
    b.up().await;
    queue.abort();
    assert!(matches!(a.down().await, End::Ours));
    assert!(matches!(b.down().await, End::Broken(_)));
}

/// They have as many identities as they like.
#[tokio::test]
async fn a_stranger_leaves_nothing_behind() {
    let (here, there) = pipe(4);
    let (link, mut side) = Side::of(1, 2, 8, frame_bytes_max(0));
    let (mut stranger, _theirs) = Side::of(2, 1, 8, frame_bytes_max(0));
    stranger.meeting.credentials.swarm_key = [8; 32];
    let allowances = link.allowances.clone();
    tokio::spawn(link.run(here));
    tokio::spawn(stranger.run(there));
    assert!(matches!(side.next().await, LinkEvent::NotAdmitted { .. }));
    assert_eq!(allowances.len(), 0);
}
