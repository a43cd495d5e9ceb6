//! Peers that are killed and come back somewhere else.

use protocol::Event;
use protocol::codec::TopK2Bit;
use protocol::time::Span;
use protocol::trust::audit::Act;

use crate::network::{Faults, Network};
use crate::{STEP, config, settle, swarm};

/// Everybody was killed once, one after the other, and started again a moment later.
fn killed_in_turn(peers: usize, faults: Faults, seed: u64) -> Network {
    let mut config = config(peers - 1, 200, &TopK2Bit);
    config.gossip.steps = 10;
    let (mut network, ids) = swarm(peers, config, &TopK2Bit, faults, seed);
    network.run(network.now + Span::from_secs(3), |_| false);
    for (index, &id) in ids.iter().enumerate() {
        network.kill(id);
        network.run(network.now + Span::from_secs(1), |_| false);
        network.start(index, peers, STEP);
        network.run(network.now + Span::from_secs(2), |_| false);
    }
    network
}

/// Old and new addresses of one peer chased each other round the swarm for ever, and everybody took everybody for a flooder.
#[test]
fn where_a_peer_is_now_is_told_once_and_not_for_ever() {
    let faults = Faults { jitter: Span::from_millis(20), ..Faults::NONE };
    let network = killed_in_turn(8, faults, 1);
    let told = network.messages["peers"];
    // A link tells both ends whom the other knows; what is news then crosses every link at most twice. There are 28 links, each
    // comes up once and 7 come up again 8 times, and each of 16 lives is news once.
    assert!(told < 2 * (28 + 8 * 7) + 2 * 16 * 2 * 28, "{told} lists of peers");
}

fn assert_nobody_was_held(network: &Network, seed: u64) {
    for id in network.living() {
        let held = network.events(id).iter().find(|event| matches!(event, Event::Held { .. }));
        let hold = network.audit(id).iter().find(|record| record.what == Act::Hold);
        assert_eq!(held, None, "seed {seed}: {:?} holds {hold:?}", network.origin(id));
    }
}

fn rest(network: &mut Network) {
    network.living().iter().for_each(|&id| network.input(id, protocol::Input::Rest));
    settle(network);
}

/// A newcomer hears the past of each peer in one piece, the long deltas of the beginning of one beside the short ones of today
/// of another, and held whoever came last.
#[test]
fn nobody_suspects_or_is_suspected_by_who_was_killed_and_came_back() {
    for seed in 0..3 {
        let mut network = killed_in_turn(8, Faults::NONE, seed);
        assert_nobody_was_held(&network, seed);
        rest(&mut network);
    }
}

/// It took the time in which it heard nothing for the silence of the others, let go of everybody, and said what it had at full weight.
#[test]
fn who_stood_still_goes_on_as_if_no_time_had_passed() {
    for (seed, seconds) in [(1, 2), (2, 4), (3, 10), (4, 30)] {
        let mut config = config(7, 200, &TopK2Bit);
        config.gossip.steps = 10;
        let (mut network, ids) = swarm(8, config, &TopK2Bit, Faults::NONE, seed);
        network.run(network.now + Span::from_secs(3), |_| false);
        network.pause(ids[6]);
        network.run(network.now + Span::from_secs(seconds), |_| false);
        network.resume(ids[6]);
        network.run(network.now + Span::from_secs(5), |_| false);
        let weights = network.events(ids[6]).iter().filter_map(|event| match event {
            Event::DeltaSaid { weight, .. } => Some(*weight),
            _ => None,
        });
        let heaviest = weights.fold(0.0, f32::max);
        assert!(heaviest < 0.3, "2 / 8 in company, and it never was alone: {heaviest}");
        let neighbours = network.peer(ids[6]).view().neighbours;
        assert_eq!(neighbours, 7, "{seconds} s");
        assert_nobody_was_held(&network, seed);
        rest(&mut network);
    }
}

/// What was usual a minute ago is remembered by those who were there, and a newcomer knows only what is usual today: four newcomers
/// of eight excluded one after the other of the rest, for what these thought nobody would mind.
#[test]
fn no_peer_says_more_than_who_came_lately_is_used_to() {
    let mut config = config(7, 400, &TopK2Bit);
    config.gossip.steps = 10;
    let (mut network, ids) = swarm(8, config, &TopK2Bit, Faults::NONE, 5);
    network.run(network.now + Span::from_secs(8), |_| false);
    for (index, &id) in ids.iter().enumerate().take(5) {
        network.kill(id);
        network.start(index, 8, STEP);
        network.run(network.now + Span::from_secs(2), |_| false);
    }
    // One of the old peers learns something new all at once: its target is another one.
    network.learner_mut(ids[7]).target.iter_mut().for_each(|target| *target += 5.0);
    network.run(network.now + Span::from_secs(10), |_| false);
    assert_nobody_was_held(&network, 5);
    rest(&mut network);
}
