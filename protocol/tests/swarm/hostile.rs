//! Frames that were valid once: said again, or with a bit turned over. None of them may change a model.

use protocol::codec::TopK2Bit;
use protocol::learner::base_hash;
use protocol::time::Span;
use protocol::wire::{LENGTH_BYTES, Message, decode_body, encode_frame};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};

use crate::network::Faults;
use crate::{agree, config, swarm};

/// Must hold: 0 applied of so many.
const FRAMES: usize = 10_000;

#[test]
fn no_replay_and_no_flipped_bit_is_ever_applied() {
    let (mut network, ids) = swarm(3, config(2, 2, &TopK2Bit), &TopK2Bit, Faults::NONE, 5);
    let deadline = network.now + Span::from_secs(120);
    assert!(network.run(deadline, |network| network.all_done() && agree(network)), "they end and agree");
    let before = |network: &crate::network::Network| {
        let view = network.peer(ids[1]).view();
        (view.heard, view.deltas_heard, base_hash(&network.learner(ids[1]).base))
    };
    let expected = before(&network);
    let frames: Vec<Vec<u8>> = network
        .deltas
        .iter()
        .map(|delta| {
            let mut frame = Vec::new();
            encode_frame(&Message::Delta(delta.clone()), &mut frame).unwrap();
            frame.split_off(LENGTH_BYTES)
        })
        .collect();
    assert!(frames.len() > 50);
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut draw = |below: usize| rng.next_u64() as usize % below;
    let mut readable = 0;
    for i in 0..2 * FRAMES {
        let mut frame = frames[draw(frames.len())].clone();
        if i % 2 == 1 {
            let bit = draw(8 * frame.len());
            frame[bit / 8] ^= 1 << (bit % 8);
        }
        // What cannot be read closes the link; the rest is heard.
        if let Ok(message) = decode_body::<Message>(&frame) {
            readable += i % 2;
            network.inject(ids[0], ids[1], &message);
        }
        if i % 500 == 0 {
            let soon = network.now + Span::from_millis(50);
            network.run(soon, |_| false);
        }
    }
    let soon = network.now + Span::from_secs(2);
    network.run(soon, |_| false);
    assert!(readable > FRAMES / 2, "most flips reach the peer: {readable}");
    assert_eq!(before(&network), expected, "nothing was applied");
    assert!(network.peer(ids[1]).view().deltas_refused > 0, "they were heard and refused");
}
