//! Frames that were valid once: said again, or with a bit turned over. None of them may change a model.

use protocol::codec::TopK2Bit;
use protocol::time::{Span, Time};
use protocol::trust::Identity;
use protocol::wire::{LENGTH_BYTES, Message, decode_body, encode_frame};
use protocol::{Input, Peer};
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
    let body = |delta: &std::sync::Arc<protocol::log::SignedDelta>| {
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
