#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Instant;

use futures::io::Cursor;
use libp2p::identity::Keypair;
use libp2p::request_response::Codec as _;

use super::*;

const VALID: Duration = Duration::from_secs(300);

fn id() -> NetworkId {
    Keypair::generate_ed25519().public().to_peer_id()
}

fn offer(us: NetworkId, code: &Code, now: Instant) -> Offer {
    Offer::new(us, code.clone(), "the file".into(), VALID, now).unwrap()
}

/// A newcomer who tries `code`: the last answer, and what opens a sealed file.
fn attempt(offer: &mut Offer, member: NetworkId, code: &Code, now: Instant) -> (Answer, Option<Agreed>) {
    let us = id();
    let (side, point) = begin(code, &us, &member, false);
    let Answer::Reply(theirs) = offer.hear(us, &Question::Begin(point.try_into().unwrap()), now).0 else {
        return (Answer::Over, None);
    };
    let agreed = agree(side, &theirs).unwrap();
    (offer.hear(us, &Question::Prove(agreed.proof()), now).0, Some(agreed))
}

#[test]
fn the_right_code_opens_the_file_once() {
    let (member, code, now) = (id(), Code::draw().unwrap(), Instant::now());
    let mut offer = offer(member, &code, now);
    let (Answer::File(sealed), Some(agreed)) = attempt(&mut offer, member, &code, now) else { panic!("paired") };
    assert_eq!(**agreed.open(&sealed).unwrap(), *b"the file");
    let mut flipped = sealed.clone();
    flipped[0] ^= 1;
    assert!(agreed.open(&flipped).is_none());
    assert!(!sealed.windows(4).any(|bytes| b"the file".windows(4).any(|word| word == bytes)), "sealed");
    assert_eq!(attempt(&mut offer, member, &code, now).0, Answer::Over, "used");
}

#[test]
fn a_code_is_dead_after_three_wrong_ones() {
    let (member, code, now) = (id(), Code::draw().unwrap(), Instant::now());
    let mut offer = offer(member, &code, now);
    let mut left = TRIES_MAX as u8;
    while left > 0 {
        left -= 1;
        let guess = Code::draw().unwrap();
        assert_eq!(attempt(&mut offer, member, &guess, now).0, Answer::Wrong(left));
    }
    assert_eq!(attempt(&mut offer, member, &code, now).0, Answer::Over, "the right one comes too late");
    assert!(!offer.is_good(now));
}

#[test]
fn a_code_has_its_time_and_a_meeting_has_one_proof_and_its_own() {
    let (member, code, now) = (id(), Code::draw().unwrap(), Instant::now());
    let mut offer = offer(member, &code, now);
    assert_eq!(attempt(&mut offer, member, &code, now + VALID).0, Answer::Over);

    let (us, other) = (id(), id());
    let (side, point) = begin(&code, &us, &member, false);
    let begin_question = Question::Begin(point.try_into().unwrap());
    let Answer::Reply(theirs) = offer.hear(us, &begin_question, now).0 else { panic!("begun") };
    let proof = Question::Prove(agree(side, &theirs).unwrap().proof());
    assert_eq!(offer.hear(other, &proof, now).0, Answer::Over, "nobody else's");
    assert_eq!(offer.hear(us, &proof, now + Duration::from_secs(60)).0, Answer::Over, "too late");
    assert_eq!(offer.hear(us, &proof, now).0, Answer::Over, "and it was the one proof");
    assert!(offer.is_good(now), "nobody guessed");
}

/// Whoever sits between the two and passes messages on has other identities.
#[test]
fn messages_that_somebody_passes_on_open_nothing() {
    let (member, between, code, now) = (id(), id(), Code::draw().unwrap(), Instant::now());
    let mut offer = offer(member, &code, now);
    let us = id();
    let (side, point) = begin(&code, &us, &between, false);
    let passed_on = Question::Begin(point.try_into().unwrap());
    let Answer::Reply(theirs) = offer.hear(between, &passed_on, now).0 else { panic!("begun") };
    let proof = Question::Prove(agree(side, &theirs).unwrap().proof());
    assert!(matches!(offer.hear(between, &proof, now).0, Answer::Wrong(2)));
}

#[test]
fn those_who_only_begin_hold_up_nobody_and_no_memory() {
    let (member, code, now) = (id(), Code::draw().unwrap(), Instant::now());
    let mut offer = offer(member, &code, now);
    for _ in 0..100 {
        let us = id();
        let point = begin(&code, &us, &member, false).1.try_into().unwrap();
        assert!(matches!(offer.hear(us, &Question::Begin(point), now).0, Answer::Reply(_)));
    }
    assert!(matches!(attempt(&mut offer, member, &code, now).0, Answer::File(_)));
    let long = "x".repeat(FILE_BYTES_MAX + 1);
    assert!(Offer::new(member, code, long, VALID, now).is_err());
}

#[test]
fn a_point_that_is_none_is_no_try() {
    let (member, code, now) = (id(), Code::draw().unwrap(), Instant::now());
    let mut offer = offer(member, &code, now);
    for point in [[0; POINT_BYTES], [0xff; POINT_BYTES]] {
        assert_eq!(offer.hear(id(), &Question::Begin(point), now), (Answer::Over, None));
    }
    assert!(offer.is_good(now));
}

#[tokio::test]
async fn questions_and_answers_are_read_as_written_and_nothing_else_is() {
    let protocol = StreamProtocol::new(PROTOCOL);
    for question in [Question::Begin([7; POINT_BYTES]), Question::Prove([8; PROOF_BYTES])] {
        let mut bytes = Cursor::new(Vec::new());
        Codec.write_request(&protocol, &mut bytes, question.clone()).await.unwrap();
        assert_eq!(Codec.read_request(&protocol, &mut Cursor::new(bytes.into_inner())).await.unwrap(), question);
    }
    let sealed = vec![1; FILE_BYTES_MAX + TAG_BYTES];
    for answer in [Answer::Reply([7; POINT_BYTES]), Answer::File(sealed), Answer::Wrong(2), Answer::Over] {
        let mut bytes = Cursor::new(Vec::new());
        Codec.write_response(&protocol, &mut bytes, answer.clone()).await.unwrap();
        assert_eq!(Codec.read_response(&protocol, &mut Cursor::new(bytes.into_inner())).await.unwrap(), answer);
    }
    for bytes in [vec![], vec![0], vec![0; 33], vec![0; 35], vec![1; 34], vec![2], vec![9; 33]] {
        assert!(Codec.read_request(&protocol, &mut Cursor::new(bytes)).await.is_err());
    }
    let long = vec![1; 2 + FILE_BYTES_MAX + TAG_BYTES];
    for bytes in [vec![], vec![0], vec![2], vec![2, 1, 1], vec![3, 0], vec![4], long] {
        assert!(Codec.read_response(&protocol, &mut Cursor::new(bytes)).await.is_err());
    }
}
