//! Who takes which share of the data, as peers come, go and differ in their pace.

use std::collections::BTreeMap;

use protocol::Event;
use protocol::codec::TopK2Bit;
use protocol::id::PeerId;
use protocol::membership::LIVE_WINDOW;
use protocol::time::Span;

use crate::network::{Faults, Network, context};
use crate::{PARAMETERS, STEP, config, swarm};

/// The shares as every peer that lives was last dealt; fails where two were not dealt alike.
fn shares(network: &Network) -> BTreeMap<PeerId, f32> {
    let living = network.living();
    let first = &network.learner(living[0]).dealt;
    for &id in &living {
        assert_eq!(
            &network.learner(id).dealt,
            first,
            "{:?} was dealt otherwise than {:?}",
            id.short(),
            living[0].short()
        );
    }
    first.iter().map(|share| (share.peer, share.weight)).collect()
}

fn dealing(company: usize) -> protocol::Config {
    let mut config = config(company, 10_000, &TopK2Bit);
    (config.gossip.deal, config.gossip.steps) = (true, 10);
    config
}

#[test]
fn shares_follow_who_lives_without_a_word() {
    let faults = Faults { jitter: Span::from_millis(20), ..Faults::NONE };
    let (mut network, ids) = swarm(6, dealing(5), &TopK2Bit, faults, 3);
    network.run(network.now + Span::from_secs(5), |_| false);
    assert_eq!(shares(&network).len(), 6);
    network.kill(ids[2]);
    // It counts as living for a while after its last word; an epoch is 0.2 s.
    network.run(network.now + LIVE_WINDOW + Span::from_secs(2), |_| false);
    let left = shares(&network);
    assert!(left.len() == 5 && !left.contains_key(&ids[2]), "{left:?}");
    network.start(2, 6, STEP);
    network.run(network.now + Span::from_secs(5), |_| false);
    let back = shares(&network);
    assert!(back.len() == 6 && back.contains_key(&ids[2]), "{back:?}");
    // Nobody is dealt the same again.
    let dealt = network.events(ids[0]).iter().filter(|event| matches!(event, Event::Dealt { .. })).count();
    assert!((3..60).contains(&dealt), "{dealt} times in 100 epochs");
}

#[test]
fn a_faster_peer_takes_a_larger_share() {
    let mut network = Network::new(dealing(3), context(PARAMETERS, &TopK2Bit), Faults::NONE, 4);
    let paces = [4, 4, 2, 1];
    let ids: Vec<PeerId> =
        paces.iter().enumerate().map(|(index, pace)| network.start(index, 4, Span(STEP.0 * 4 / pace))).collect();
    network.run(network.now + Span::from_secs(40), |_| false);
    let shares = shares(&network);
    for (id, pace) in ids.iter().zip(paces) {
        let ratio = shares[id] / shares[&ids[3]] / pace as f32;
        assert!(
            ratio.log2().abs() <= 0.51,
            "{} times the share of the slowest, {pace} times its pace",
            ratio * pace as f32
        );
    }
}

#[test]
fn without_the_rule_nobody_is_dealt_anything() {
    let (mut network, ids) = swarm(3, config(2, 3, &TopK2Bit), &TopK2Bit, Faults::NONE, 3);
    crate::settle(&mut network);
    assert!(ids.iter().all(|&id| network.learner(id).dealt.is_empty()));
}
