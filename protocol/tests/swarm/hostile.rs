//! Frames that were valid once: said again, or with a bit turned over. None of them may change a model, or make a liar of who passes
//! them on.

use std::sync::Arc;

use protocol::codec::TopK2Bit;
use protocol::id::PeerId;
use protocol::log::SignedDelta;
use protocol::time::{Span, Time};
use protocol::trust::Identity;
use protocol::wire::{LENGTH_BYTES, Message, Range, decode_body, encode_frame};
use protocol::{Event, Input, Output, Peer};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};

use crate::network::{Faults, context};
use crate::{PARAMETERS, config, swarm};

/// Must hold: 0 applied of so many.
const FRAMES: usize = 10_000;

/// Bodies of the frames of every delta of a short run, in the order in which they were said.
fn frames() -> Vec<Vec<u8>> {
    let (mut network, _) = swarm(3, config(2, 2, &TopK2Bit), &TopK2Bit, Faults::NONE, 5);
    let deadline = network.now + Span::from_secs(120);
    assert!(network.run(deadline, crate::network::Network::all_done), "they end");
    let body = |delta: &Arc<SignedDelta>| {
        let mut frame = Vec::new();
        encode_frame(&Message::Delta(delta.clone()), &mut frame).unwrap();
        frame.split_off(LENGTH_BYTES)
    };
    network.deltas.iter().map(body).collect()
}

#[test]
fn no_replay_and_no_flipped_bit_is_ever_applied() {
    let frames = frames();
    assert!(frames.len() > 50);
    // One who has heard nothing yet: to it every delta would be news.
    let from = Identity::from_seed(&[8; 32]).peer_id();
    let (config, context) = (config(2, 2, &TopK2Bit), context(PARAMETERS, &TopK2Bit));
    let mut peer = Peer::new(config, context, Identity::from_seed(&[9; 32]), 1, 1);
    peer.handle(Time(0), Input::Start);
    peer.handle(Time(0), Input::Connected { peer: from });
    let mut hear = |body: &[u8]| {
        // What cannot be read closes the link; the rest is heard.
        let Ok(message) = decode_body::<Message>(body) else { return None };
        peer.handle(Time(1), Input::Message { from, message });
        while peer.next_output().is_some() {}
        let view = peer.view();
        Some((view.deltas_heard, view.deltas_refused))
    };
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut draw = |below: usize| rng.next_u64() as usize % below;
    let mut readable = 0;
    for _ in 0..FRAMES {
        let mut frame = frames[draw(frames.len())].clone();
        let bit = draw(8 * frame.len());
        frame[bit / 8] ^= 1 << (bit % 8);
        if let Some((heard, _)) = hear(&frame) {
            readable += 1;
            assert_eq!(heard, 0, "bit {bit} of a delta makes no difference");
        }
    }
    assert!(readable > FRAMES / 2, "most flips reach the peer: {readable}");
    let heard = frames.iter().filter_map(|frame| hear(frame)).last().unwrap();
    assert!(heard.0 > 50 && heard.1 > 0, "as they were said, they are taken: {heard:?}");
    for _ in 0..FRAMES {
        let again = hear(&frames[draw(frames.len())]).unwrap();
        assert_eq!(again.0, heard.0, "a replay is news to nobody");
    }
}

/// The deltas of one chain of a short run, in order.
fn chain() -> Vec<Arc<SignedDelta>> {
    let (mut network, _) = swarm(3, config(2, 2, &TopK2Bit), &TopK2Bit, Faults::NONE, 5);
    let deadline = network.now + Span::from_secs(120);
    assert!(network.run(deadline, crate::network::Network::all_done), "they end");
    let origin = network.deltas[0].header.origin;
    let mut chain: Vec<_> = network.deltas.iter().filter(|delta| delta.header.origin == origin).cloned().collect();
    chain.sort_by_key(|delta| delta.header.seq);
    chain.dedup_by_key(|delta| delta.header.seq);
    chain.truncate(20);
    assert!((1..).zip(&chain).all(|(seq, delta)| delta.header.seq == seq) && chain.len() == 20);
    chain
}

/// A copy, so that nobody knows it to be good, with a flipped bit of the signature where that is asked for.
fn copy(signed: &SignedDelta, spoil: bool) -> Arc<SignedDelta> {
    let mut signed = signed.clone();
    signed.signature[10] ^= u8::from(spoil);
    Arc::new(signed)
}

fn listener(seed: u8, neighbours: &[PeerId]) -> Peer {
    let (config, context) = (config(2, 2, &TopK2Bit), context(PARAMETERS, &TopK2Bit));
    let mut peer = Peer::new(config, context, Identity::from_seed(&[seed; 32]), 1, 1);
    peer.handle(Time(0), Input::Start);
    for &neighbour in neighbours {
        peer.handle(Time(0), Input::Connected { peer: neighbour });
    }
    while peer.next_output().is_some() {}
    peer
}

/// What it answers.
fn say(peer: &mut Peer, from: PeerId, message: Message) -> Vec<Output> {
    peer.handle(Time(1), Input::Message { from, message });
    std::iter::from_fn(|| peer.next_output()).collect()
}

fn is_offence(output: &Output) -> bool {
    matches!(output, Output::Event(Event::Offence { .. }))
}

/// Somebody on the way could make honest peers look like liars to each other, if it did.
#[test]
fn a_signature_that_was_spoiled_on_the_way_costs_nobody_anything() {
    let (a, b) = (Identity::from_seed(&[8; 32]).peer_id(), Identity::from_seed(&[7; 32]).peer_id());
    let chain = chain();
    let came = |spoil: &[usize]| {
        Message::Deltas(chain.iter().enumerate().map(|(i, delta)| copy(delta, spoil.contains(&i))).collect())
    };
    let mut peer = listener(9, &[a, b]);
    let outputs = say(&mut peer, a, came(&[4, 5, 12]));
    assert_eq!((peer.view().deltas_heard, peer.view().deltas_refused), (20, 0));
    assert!(!outputs.iter().any(is_offence));
    // It passes them on, all that are asked for and a few alone: whoever hears that takes all of them.
    let origin = chain[0].header.origin;
    for (first, last) in [(1, 20), (1, 5), (5, 5), (13, 13)] {
        let want = Message::Want(vec![Range { origin, first, last }]);
        let mut third = listener(6, &[b]);
        // What comes before, as it was said.
        if first > 1 {
            let before = chain[..first as usize - 1].iter().map(|delta| copy(delta, false));
            before.for_each(|delta| drop(say(&mut third, b, Message::Delta(delta))));
        }
        for output in say(&mut peer, b, want) {
            if let Output::Send { to, message } = output {
                assert_eq!(to, b);
                assert!(!say(&mut third, b, message).iter().any(is_offence), "{first}..={last}");
            }
        }
        assert!(third.view().deltas_heard >= last && third.view().deltas_refused == 0, "{first}..={last}");
    }
    // Those who have them already are told nothing new by it.
    assert!(!say(&mut peer, b, came(&[2, 19])).iter().any(is_offence));
    assert_eq!((peer.view().deltas_heard, peer.view().deltas_refused), (20, 0));
}

#[test]
fn a_chain_whose_end_nobody_has_signed_is_taken_as_far_as_each_is_signed() {
    let a = Identity::from_seed(&[8; 32]).peer_id();
    let chain = chain();
    for (spoil, taken) in [(19, 19), (0, 0)] {
        let mut peer = listener(9, &[a]);
        let deltas = chain.iter().enumerate().map(|(i, delta)| copy(delta, i == spoil || i == 19)).collect();
        let outputs = say(&mut peer, a, Message::Deltas(deltas));
        assert_eq!((peer.view().deltas_heard, peer.view().deltas_refused), (taken, 1));
        assert_eq!(outputs.iter().filter(|output| is_offence(output)).count(), 1, "one offence, not twenty");
    }
    // A payload of the sender's own making, under a good last signature.
    let mut peer = listener(9, &[a]);
    let mut deltas: Vec<_> = chain.iter().map(|delta| copy(delta, false)).collect();
    let mut altered = SignedDelta::clone(&chain[7]);
    altered.payload[0] ^= 1;
    deltas[7] = Arc::new(altered);
    assert!(say(&mut peer, a, Message::Deltas(deltas)).iter().any(is_offence));
    assert_eq!(peer.view().deltas_heard, 7);
}
