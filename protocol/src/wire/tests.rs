//! Golden bytes, hostile bytes, and that both directions agree.

use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::id::{Hash, Origin, PeerId, RunId, SchemaHash};
use crate::log::{Checked, Head, Header, MARK_BYTES, SignedDelta, VersionVector};
use crate::trust::{Equivocation, Evidence, Exclusion, Reason, Statement, Vote};

fn origin(i: u8) -> Origin {
    Origin { peer: PeerId([i; 32]), incarnation: 1_700_000_000_000 }
}

fn vote() -> Vote {
    Vote {
        about: origin(3),
        from_seq: 7,
        seen: 300,
        reason: Reason::Direction,
        voter: PeerId([4; 32]),
        at: 5,
        signature: [6; 64],
    }
}

fn exclusion() -> Exclusion {
    Exclusion { about: origin(3), from_seq: 7, evidence: Evidence::Votes(vec![vote()]) }
}

fn equivocation() -> Exclusion {
    let statement = |i: u8| Statement {
        header: header(),
        payload: Hash([i; 32]),
        links: vec![Hash([i; 32]); 2],
        signature: [i; 64],
    };
    Exclusion::of_proof(Equivocation { a: statement(1), b: statement(2) })
}

fn header() -> Header {
    Header {
        origin: origin(1),
        seq: 300,
        previous: Hash([2; 32]),
        heard: Hash([3; 32]),
        steps: 10,
        samples: 640,
        round: 3,
        weight: 32768,
        codec: 1,
        l2_norm: 0.5,
    }
}

fn exchange() -> Exchange {
    Exchange { leader: 1_700_000_000_000, follower: 7, epoch: 2, seq: 300 }
}

/// As in one message, with signatures that mean nothing.
fn chain(length: u64) -> Vec<Arc<SignedDelta>> {
    let delta = |seq| SignedDelta {
        header: Header { seq, ..header() },
        payload: vec![1, 2],
        signature: [4; 64],
        checked: Checked::default(),
    };
    (300..300 + length).map(|seq| Arc::new(delta(seq))).collect()
}

/// One of each message, with fixed content.
fn samples() -> Vec<(&'static str, Message)> {
    let delta =
        SignedDelta { header: header(), payload: vec![1, 2, 3], signature: [4; 64], checked: Checked::default() };
    let status = Status {
        incarnation: 7,
        steps: 1000,
        steps_per_second: 250.0,
        train_loss: 0.25,
        heard: Hash([5; 32]),
        neighbours: vec![1, 2],
        finished: true,
        round: 0,
    };
    let heard: VersionVector = [(origin(1), 300), (origin(2), 1)].into_iter().collect();
    let head = SnapshotHead {
        base_hash: Hash([6; 32]),
        parameters: 9,
        heads: vec![Head { origin: origin(1), seq: 300, hash: Hash([7; 32]), samples: 192_000 }],
        exclusions: vec![exclusion()],
    };
    let range = Range { origin: origin(1), first: 3, last: 5 };
    let record = PeerRecord { peer: PeerId([8; 32]), addresses: vec!["/ip4/127.0.0.1/tcp/1".into()] };
    vec![
        ("status", Message::Status(status)),
        (
            "digest",
            Message::Digest {
                heard,
                excluded: vec![(origin(3), 7)],
                salt: 1 << 40,
                marks: vec![[10, 11, 12, 13], [255; MARK_BYTES]],
                base_hash: Some(Hash([9; 32])),
                answer: true,
            },
        ),
        ("delta", Message::Delta(Arc::new(delta))),
        ("offer", Message::Offer(vec![range])),
        ("want", Message::Want(vec![range])),
        ("peers", Message::Peers(vec![record])),
        ("snapshot_offer", Message::SnapshotOffer { bytes: 36 }),
        ("snapshot_ask", Message::SnapshotAsk),
        ("snapshot_head", Message::SnapshotHead(head)),
        ("snapshot_want", Message::SnapshotWant { base_hash: Hash([6; 32]), offset: 262_144 }),
        ("snapshot_part", Message::SnapshotPart { base_hash: Hash([6; 32]), offset: 0, bytes: vec![1; 4].into() }),
        ("bye", Message::Bye),
        ("vote", Message::Vote(vote())),
        ("exclusion", Message::Exclusion(exclusion())),
        ("equivocation", Message::Exclusion(equivocation())),
        (
            "snapshot_check",
            Message::SnapshotCheck {
                base_hash: Hash([6; 32]),
                heads: vec![Head { origin: origin(2), seq: 3, hash: Hash([7; 32]), samples: 96 }],
                excluded: vec![(origin(3), 7)],
            },
        ),
        ("snapshot_checked", Message::SnapshotChecked { base_hash: Hash([6; 32]), same: Some(true) }),
        ("exchange_ask", Message::ExchangeAsk),
        (
            "exchange_say",
            Message::ExchangeSay {
                exchange: exchange(),
                part: Part { load: 2, learnt: 1000, payload: [1, 2, 3].into() },
            },
        ),
        (
            "exchange_answer",
            Message::ExchangeAnswer { exchange: exchange(), part: Part { load: 1, learnt: 0, payload: [4].into() } },
        ),
        ("exchange_done", Message::ExchangeDone { exchange: exchange() }),
        ("exchange_lost", Message::ExchangeLost { exchange: exchange() }),
        ("deltas", Message::Deltas(chain(2))),
    ]
}

fn greetings() -> Vec<(&'static str, Greeting)> {
    let (run, schema) = (RunId(Hash([1; 32])), SchemaHash(Hash([2; 32])));
    vec![
        ("hello", Greeting::Hello { run, schema, nonce: [3; 32] }),
        ("proof", Greeting::Proof([4; 32])),
        ("welcome", Greeting::Welcome),
        ("refuse", Greeting::Refuse(Refusal::Run { ours: run, theirs: run })),
        ("not_allowed", Greeting::Refuse(Refusal::NotAllowed)),
        ("banned", Greeting::Refuse(Refusal::Banned(60))),
    ]
}

fn frame<M: Encode>(message: &M) -> Vec<u8> {
    let mut out = Vec::new();
    encode_frame(message, &mut out).expect("samples fit");
    out
}

/// Bytes that other releases speak. When this fails, raise [`VERSION`] and write the file anew
/// (`STARLING_BLESS=1 cargo test -p protocol golden`).
#[test]
fn golden_bytes() {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let mut lines: Vec<_> =
        samples().iter().map(|(name, message)| format!("{name} {}", hex(&frame(message)))).collect();
    lines.extend(greetings().iter().map(|(name, greeting)| format!("{name} {}", hex(&frame(greeting)))));
    let found = lines.join("\n") + "\n";
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/wire/golden_v8.txt");
    #[allow(
        clippy::disallowed_methods,
        reason = "the test writes the file that it is compared with; the library reads none"
    )]
    if std::env::var_os("STARLING_BLESS").is_some() {
        std::fs::write(path, &found).expect("the golden file can be written");
    }
    assert_eq!(found, include_str!("golden_v8.txt"), "the wire format changed");
}

#[test]
fn frames_round_trip() {
    for (name, message) in samples() {
        let bytes = frame(&message);
        let (prefix, body) = bytes.split_at(LENGTH_BYTES);
        let prefix = prefix.try_into().expect("four bytes");
        assert_eq!(body_length(prefix, FRAME_BYTES_MAX), Ok(body.len()), "{name}");
        assert_eq!(decode_body::<Message>(body).as_ref(), Ok(&message), "{name}");
    }
    for (name, greeting) in greetings() {
        let bytes = frame(&greeting);
        assert!(bytes.len() - LENGTH_BYTES <= GREETING_BYTES_MAX, "{name}");
        assert_eq!(decode_body::<Greeting>(&bytes[LENGTH_BYTES..]).as_ref(), Ok(&greeting), "{name}");
    }
}

/// Else every honest peer would be taken for a liar by its neighbours, once there are that many origins.
#[test]
fn whatever_an_honest_peer_has_heard_fits_a_frame_of_the_smallest_run() {
    let far = |i: usize| {
        let mut id = [0xff; 32];
        id[..8].copy_from_slice(&(i as u64).to_be_bytes());
        Origin { peer: PeerId(id), incarnation: u64::MAX }
    };
    let heads: Vec<Head> = (0..ORIGINS_MAX)
        .map(|i| Head { origin: far(i), seq: SEQ_MAX, hash: Hash([7; 32]), samples: u64::MAX / 2 })
        .collect();
    let excluded: Vec<_> = (0..ORIGINS_MAX).map(|i| (far(i), SEQ_MAX)).collect();
    let digest = Message::Digest {
        heard: heads.iter().map(|head| (head.origin, head.seq)).collect(),
        excluded: excluded.clone(),
        salt: u64::MAX,
        marks: vec![[0xff; MARK_BYTES]; ORIGINS_MAX],
        base_hash: Some(Hash([7; 32])),
        answer: true,
    };
    let check = Message::SnapshotCheck { base_hash: Hash([7; 32]), heads, excluded };
    for message in [digest, check] {
        let bytes = frame_bytes(&message);
        assert!(bytes <= frame_bytes_max(0), "{bytes} of {}", frame_bytes_max(0));
    }
}

#[test]
fn a_delta_costs_little_more_than_its_payload() {
    let (_, message) = samples().swap_remove(2);
    let overhead = frame(&message).len() - 3;
    assert!(overhead <= 200, "{overhead} bytes around a payload");
}

#[test]
fn version_length_and_trailing_bytes_are_checked() {
    let mut body = frame(&Message::Bye).split_off(LENGTH_BYTES);
    body.push(0);
    assert_eq!(decode_body::<Message>(&body), Err(WireError::Trailing(1)));
    body[0] = 9;
    assert_eq!(decode_body::<Message>(&body), Err(WireError::Version { found: 9 }));
    assert_eq!(decode_body::<Message>(&[]), Err(WireError::Empty));
    assert_eq!(body_length([0; 4], 10), Err(WireError::Empty));
    assert_eq!(body_length(11u32.to_le_bytes(), 10), Err(WireError::TooLong { found: 11, limit: 10 }));
}

#[test]
fn a_length_bomb_costs_an_error_and_no_memory() {
    // A payload that claims 2^40 bytes, and one that claims 2^62.
    for claim in [1u64 << 40, 1 << 62, u64::MAX] {
        let (_, message) = samples().swap_remove(10);
        let bytes = frame(&message).split_off(LENGTH_BYTES);
        let mut bomb = bytes[..bytes.len() - 5].to_vec();
        bomb.push(253); // bincode: a u64 follows
        bomb.extend_from_slice(&claim.to_le_bytes());
        assert!(matches!(decode_body::<Message>(&bomb), Err(WireError::Malformed(_))));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 10_000, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes_are_refused_or_a_message(mut body in prop::collection::vec(any::<u8>(), 0..300), valid_version in any::<bool>()) {
        if let (true, Some(first)) = (valid_version, body.first_mut()) {
            *first = VERSION;
        }
        if let Ok(message) = decode_body::<Message>(&body) {
            // Whatever decodes is canonical enough to be said again.
            let again = frame(&message).split_off(LENGTH_BYTES);
            prop_assert!(decode_body::<Message>(&again).is_ok());
        }
        let _ = decode_body::<Greeting>(&body);
    }

    #[test]
    fn truncated_and_altered_messages_do_not_panic(which in 0usize..23, cut in 0usize..400, at in 0usize..400, bit in 0u8..8) {
        let (_, message) = samples().swap_remove(which);
        let mut body = frame(&message).split_off(LENGTH_BYTES);
        let i = at % body.len();
        body[i] ^= 1 << bit;
        let _ = decode_body::<Message>(&body);
        body.truncate(cut % (body.len() + 1));
        let _ = decode_body::<Message>(&body);
    }
}
