//! Sets that are full, of different names.

use std::ops::Range;

use super::{GIVER, OLD, Taker, WITNESS, asks, digest, failed, restores};
use crate::codec::{Codec as _, DenseF32};
use crate::event::Output;
use crate::id::{Hash, Origin, PeerId};
use crate::learner::base_hash;
use crate::log::{Arrival, Context, Delta, Exclusions, Head, Header, LIVES_TAKEN_MAX};
use crate::trust::Identity;
use crate::wire::{Message, ORIGINS_MAX};

/// Of so many others, and [`OLD`].
fn heads(names: Range<usize>, old: u64) -> Vec<Head> {
    let name = |i: usize| {
        let mut id = [4; 32];
        id[..8].copy_from_slice(&(i as u64).to_be_bytes());
        Origin { peer: PeerId(id), incarnation: 1 }
    };
    let head = |(origin, seq)| Head { origin, seq, hash: Hash([6; 32]), samples: 1 };
    names.map(|i| (name(i), 1)).chain([(OLD, old)]).map(head).collect()
}

/// The first delta of so many others, which a log holds.
fn deltas(context: &Context, lives: usize) -> Vec<Delta> {
    let mut payload = Vec::new();
    DenseF32.encode(&[0.5], &mut payload);
    let delta = |i: usize| {
        let mut seed = [5; 32];
        seed[..8].copy_from_slice(&(i as u64).to_be_bytes());
        let identity = Identity::from_seed(&seed);
        let header = Header {
            origin: Origin { peer: identity.peer_id(), incarnation: 1 },
            seq: 1,
            previous: Hash::ZERO,
            heard: Hash::ZERO,
            steps: 1,
            samples: 1,
            round: 0,
            weight: 1 << 15,
            codec: DenseF32.wire_id(),
            l2_norm: 0.5,
        };
        Delta::sign(context, header, payload.clone(), &identity)
    };
    (0..lives).map(delta).collect()
}

/// A taker with the first set and deltas of so many others, to whom giver and witness offer the second one; and what comes of it.
fn offered(ours: &[Head], others: usize, theirs: &[Head]) -> (Taker, Vec<Output>) {
    let mut taker = Taker::of(1, 0);
    taker.0.log.adopt(ours, &Exclusions::default());
    for delta in deltas(&taker.0.context, others) {
        assert!(matches!(taker.0.log.offer(delta), Arrival::Ready(_)));
    }
    let theirs: Vec<_> = theirs.iter().map(|head| (head.origin, head.seq, head.hash)).collect();
    taker.hear(WITNESS, digest(theirs.iter().map(|&(origin, seq, _)| (origin, seq)).collect()));
    let mut outputs = taker.offered(theirs, &[7]);
    if asks(&outputs) {
        let same = Message::SnapshotChecked { base_hash: base_hash(&[7]), same: Some(true) };
        outputs.extend(taker.hear(WITNESS, same));
    }
    (taker, outputs)
}

/// What filled our set in the end is in no other one, and the other way round; the union is more than any honest peer says, and whoever said it was banned by all.
#[test]
fn who_filled_its_set_otherwise_than_all_others_is_one_with_them_again() {
    let others = 2 * (ORIGINS_MAX - LIVES_TAKEN_MAX);
    let (ours, theirs) = (heads(0..LIVES_TAKEN_MAX - 1 - others, 5), heads(0..LIVES_TAKEN_MAX - 1, 9));
    let (mut taker, outputs) = offered(&ours, others, &theirs);
    assert!(restores(&outputs) && !failed(&outputs));
    let set = theirs.iter().map(|head| (head.origin, head.seq)).collect();
    assert!(taker.0.log.heard() == &set, "{} lives", taker.0.log.heard().len());
    let question =
        Message::Digest { heard: set, excluded: Vec::new(), salt: 0, marks: Vec::new(), base_hash: None, answer: true };
    let said = taker.hear(GIVER, question);
    let sent: Vec<&Message> = said
        .iter()
        .filter_map(|output| if let Output::Send { message, .. } = output { Some(message) } else { None })
        .collect();
    assert!(sent.iter().any(|message| matches!(message, Message::Digest { .. })));
    assert!(sent.iter().all(|message| message.out_of_bounds().is_none()));
}

#[test]
fn a_snapshot_that_leaves_no_place_for_our_own_chain_is_not_taken() {
    for (lives, taken) in [(ORIGINS_MAX, false), (ORIGINS_MAX - 1, true)] {
        let (_, outputs) = offered(&heads(0..1, 5), 0, &heads(0..lives - 1, 9));
        assert_eq!((restores(&outputs), failed(&outputs)), (taken, !taken), "{lives}");
    }
}
