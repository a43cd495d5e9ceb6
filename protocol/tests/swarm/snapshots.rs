//! Snapshots among peers that lie, links that are slow, and givers that go.

use protocol::codec::TopK2Bit;
use protocol::event::SaveAt;
use protocol::id::{Hash, Origin, PeerId};
use protocol::learner::base_hash;
use protocol::log::Head;
use protocol::time::{Span, Time};
use protocol::{Config, Event, Input};

use crate::network::{Faults, Forger, Network, context};
use crate::{PARAMETERS, STEP, agree, config, swarm};

/// A model of 2 MiB, eight parts.
const LARGE: usize = 1 << 19;
const LARGE_BYTES: u64 = 4 * LARGE as u64;
/// Bytes a second of a link on which it takes five seconds, two thirds of one for each part.
const SLOW: u64 = 400_000;
/// Of a learner that has little to say.
const LARGE_STEP: Span = Span::from_millis(100);

/// The base that it would have everybody take.
fn made_up() -> Vec<i32> {
    vec![7 << 24; PARAMETERS]
}

/// Five peers, the last of whom begins to offer that base after a while; `claims` says what it has that the others lack.
fn swarm_with_a_forger(claims: impl FnOnce(&Network, &[PeerId]) -> Head) -> (Network, Vec<PeerId>) {
    let mut config = config(4, 400, &TopK2Bit);
    config.gossip.steps = 20;
    let (mut network, ids) = swarm(5, config, &TopK2Bit, Faults::NONE, 21);
    network.run(Time(0) + Span::from_secs(4), |_| false);
    let claims = claims(&network, &ids);
    network.forger = Some(Forger::new(ids[4], claims, made_up()));
    (network, ids)
}

fn restored(network: &Network, id: PeerId, from: PeerId) -> bool {
    let by = |event: &Event| matches!(event, Event::SnapshotRestored { from: giver, .. } if *giver == from);
    network.events(id).iter().any(by)
}

fn assert_nobody_took_it(network: &mut Network, honest: &[PeerId], forger: PeerId) {
    for &id in honest {
        assert!(!restored(network, id, forger), "{:?}", network.events(id).last());
        assert_ne!(base_hash(&network.learner(id).base), base_hash(&made_up()));
    }
    network.forger = None;
    network.living().iter().for_each(|&id| network.input(id, Input::Rest));
    network.run(network.now + Span::from_secs(10), |_| false);
    let views: Vec<_> = network.living().iter().map(|&id| network.peer(id).view()).collect();
    assert!(agree(network), "all agree: {views:?}");
    for &id in honest {
        assert!(network.learner(id).base_loss() < 0.05, "{}", network.learner(id).base_loss());
        assert_eq!(base_hash(&network.learner(id).base), base_hash(&network.learner(honest[0]).base));
    }
}

fn an_origin_that_nobody_knows() -> Head {
    Head { origin: Origin { peer: PeerId([77; 32]), incarnation: 1 }, seq: 1, hash: Hash([7; 32]), samples: 1 }
}

/// One member could replace everybody's model: nobody lacked the deltas that it made up, so nobody could say that its base is wrong.
#[test]
fn a_base_that_nobody_else_can_know_replaces_no_model() {
    let (mut network, ids) = swarm_with_a_forger(|_, _| an_origin_that_nobody_knows());
    network.run(network.now + Span::from_secs(30), |_| false);
    let asked = network.asks.len();
    assert_nobody_took_it(&mut network, &ids[..4], ids[4]);
    assert!((4..=8).contains(&asked), "everybody asked for it, and not again and again: {asked}");
}

/// The same with a head of an honest origin that is ahead of it: its chain would be broken for whoever believes that.
#[test]
fn a_false_head_of_an_honest_origin_breaks_no_chain() {
    let (mut network, ids) = swarm_with_a_forger(|network, ids| {
        let origin = network.origin(ids[0]);
        Head { origin, seq: 1_000_000, hash: Hash([7; 32]), samples: 1 }
    });
    network.run(network.now + Span::from_secs(20), |_| false);
    assert_nobody_took_it(&mut network, &ids[..4], ids[4]);
}

/// A newcomer whom the forger finds first asks another one, and is in the swarm a few seconds later.
#[test]
fn a_newcomer_takes_the_base_that_two_have_and_not_the_first_one() {
    let (mut network, ids) = swarm_with_a_forger(|_, _| an_origin_that_nobody_knows());
    let late = network.start(5, 6, STEP);
    network.run(network.now + Span::from_secs(15), |_| false);
    let taken = network.events(late).iter().find_map(|event| match event {
        Event::SnapshotRestored { from, witness, .. } => Some((*from, *witness)),
        _ => None,
    });
    let (from, witness) = taken.expect("it takes one");
    assert!(from != ids[4] && witness.is_some(), "{from:?} {witness:?}");
    assert!(!restored(&network, late, ids[4]), "nor later, while it still catches up");
    assert_nobody_took_it(&mut network, &ids[..4], ids[4]);
}

/// So many peers of the large model, and a newcomer on slow links that has asked for its snapshot.
fn large_swarm(peers: usize, change: impl FnOnce(&mut Config)) -> (Network, Vec<PeerId>, PeerId) {
    let mut config = config(peers - 1, 400, &TopK2Bit);
    config.gossip.steps = 5;
    change(&mut config);
    let mut network = Network::new(config, context(LARGE, &TopK2Bit), Faults::NONE, 22);
    let ids: Vec<_> = (0..peers).map(|index| network.start(index, peers, LARGE_STEP)).collect();
    // So long that the log is worth more than a snapshot, or holds less.
    network.run(Time(0) + Span::from_secs(20), |_| false);
    network.rate = Some(SLOW);
    let late = network.start(peers, peers + 1, LARGE_STEP);
    assert!(network.run(network.now + Span::from_secs(5), |network| !network.asks.is_empty()), "it asks");
    (network, ids, late)
}

/// Small enough that nothing from before is in it.
fn with_a_short_log(config: &mut Config) {
    config.gossip.log_bytes_max = 400 << 10;
}

fn is_restored(network: &Network, id: PeerId) -> bool {
    network.events(id).iter().any(|event| matches!(event, Event::SnapshotRestored { .. }))
}

fn failures(network: &Network, id: PeerId) -> Vec<&'static str> {
    let failures = network.events(id).iter().filter_map(|event| match event {
        Event::SnapshotFailed { reason, .. } => Some(*reason),
        _ => None,
    });
    failures.collect()
}

fn come(network: &Network, id: PeerId) -> u64 {
    network.part_bytes.get(&id).copied().unwrap_or(0)
}

fn restored_after(network: &mut Network, id: PeerId, seconds: u64) {
    let found = network.run(network.now + Span::from_secs(seconds), |network| is_restored(network, id));
    assert!(found, "{:?}, {} bytes", failures(network, id), come(network, id));
}

/// All was asked for again once a second, and came twice; and what was said meanwhile was no longer in any log.
#[test]
fn on_a_slow_link_every_part_comes_once_and_one_snapshot_is_enough() {
    let (mut network, ids, late) = large_swarm(3, with_a_short_log);
    restored_after(&mut network, late, 12);
    assert_eq!(failures(&network, late), [""; 0]);
    let witnessed = |event: &Event| matches!(event, Event::SnapshotRestored { witness: Some(_), .. });
    assert!(network.events(late).iter().any(witnessed), "a second peer was asked while it came");
    let caught_up = |network: &Network| network.peer(late).view().steps > 0;
    assert!(network.run(network.now + Span::from_secs(5), caught_up), "and it has all that was said since");
    ids.iter().chain([&late]).for_each(|&id| network.input(id, Input::Rest));
    network.run(network.now + Span::from_secs(10), |_| false);
    assert!(agree(&network));
    assert_eq!(network.asks.len(), 1, "{:?}", network.asks);
    // Now that all is here which was asked for twice.
    assert!(4 * come(&network, late) < 5 * LARGE_BYTES, "{} of {LARGE_BYTES}", come(&network, late));
}

#[test]
fn when_the_giver_dies_another_one_gives_the_rest() {
    let (mut network, _, late) = large_swarm(3, with_a_short_log);
    assert!(network.run(network.now + Span::from_secs(10), |network| come(network, late) > LARGE_BYTES / 2));
    let giver = network.asks[0].1;
    network.kill(giver);
    restored_after(&mut network, late, 10);
    assert!(!restored(&network, late, giver));
    assert!(10 * come(&network, late) < 13 * LARGE_BYTES, "{} of {LARGE_BYTES}", come(&network, late));
    assert_eq!(failures(&network, late), [""; 0]);
}

#[test]
fn a_giver_that_is_back_in_time_goes_on() {
    let (mut network, ids, late) = large_swarm(1, with_a_short_log);
    assert!(network.run(network.now + Span::from_secs(10), |network| come(network, late) > LARGE_BYTES / 2));
    network.disconnect(ids[0], late);
    restored_after(&mut network, late, 12);
    assert!(10 * come(&network, late) < 13 * LARGE_BYTES, "{} of {LARGE_BYTES}", come(&network, late));
    assert_eq!(failures(&network, late), [""; 0]);
}

#[test]
fn a_slow_giver_is_left_for_one_that_is_not() {
    let (mut network, _, late) = large_swarm(3, with_a_short_log);
    let giver = network.asks[0].1;
    // From the second part on.
    network.slow.insert((giver, late), 100_000);
    restored_after(&mut network, late, 16);
    assert!(!restored(&network, late, giver));
}

#[test]
fn when_a_giver_dies_at_once_the_next_one_is_asked_at_once() {
    let mut config = config(2, 400, &TopK2Bit);
    config.gossip.log_bytes_max = 100 << 10;
    let faults = Faults { latency: Span::from_millis(50), ..Faults::NONE };
    let (mut network, _) = swarm(3, config, &TopK2Bit, faults, 23);
    network.run(Time(0) + Span::from_secs(4), |_| false);
    let late = network.start(3, 4, STEP);
    // One is asked, and all have said what they have before its answer is here.
    assert!(network.run(network.now + Span::from_secs(5), |network| !network.asks.is_empty()));
    network.run(network.now + Span::from_millis(80), |_| false);
    let giver = network.asks[0].1;
    network.kill(giver);
    let another = |network: &Network| network.asks.iter().any(|&(from, to)| from == late && to != giver);
    assert!(network.run(network.now + Span::from_millis(20), another), "{:?}", failures(&network, late));
}

/// Of nine peers seven stop together, two train on beyond every log, and the seven come back from their checkpoints: only one beside the giver
/// can say that its base is right, and those who cannot are too many for a quorum.
#[test]
fn most_of_a_swarm_comes_back_behind_every_log_and_catches_up() {
    let mut config = config(8, 4000, &TopK2Bit);
    (config.gossip.steps, config.gossip.log_bytes_max) = (50, 400 << 10);
    config.gossip.join_grace = Span::from_secs(1);
    let (mut network, ids) = swarm(9, config, &TopK2Bit, Faults::NONE, 24);
    network.run(Time(0) + Span::from_secs(4), |_| false);
    ids[2..].iter().for_each(|&id| network.input(id, Input::Save(SaveAt::Now)));
    assert!(network.run(network.now + Span::from_secs(2), |network| network.checkpoints.len() == 7));
    ids[2..].iter().for_each(|&id| network.kill(id));
    network.run(network.now + Span::from_secs(100), |_| false);
    let began = network.now;
    for (index, id) in ids.iter().enumerate().skip(2) {
        let checkpoint = network.checkpoints[id].clone();
        network.start_from(index, 9, STEP, Some(&checkpoint));
    }
    let back = |network: &Network| ids[2..].iter().all(|&id| is_restored(network, id));
    let found = network.run(network.now + Span::from_secs(60), back);
    assert!(found, "{:?}", ids.iter().map(|&id| failures(&network, id)).collect::<Vec<_>>());
    assert!(network.now - began > Span::from_secs(15), "there is no quorum before that");
    for &id in &ids[2..] {
        let witnessed = |event: &Event| matches!(event, Event::SnapshotRestored { witness: Some(_), .. });
        assert!(network.events(id).iter().any(witnessed), "two have it");
    }
    ids.iter().for_each(|&id| network.input(id, Input::Rest));
    network.run(network.now + Span::from_secs(10), |_| false);
    assert!(agree(&network));
    let base = base_hash(&network.learner(ids[0]).base);
    ids.iter().for_each(|&id| assert_eq!(base_hash(&network.learner(id).base), base));
}
