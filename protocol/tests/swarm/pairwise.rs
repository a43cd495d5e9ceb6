//! Mode `pairwise`: whatever the network does, every exchange is done by both ends or by none, and their moves cancel.

use std::collections::BTreeSet;

use proptest::prelude::*;
use protocol::codec::{Codec, DenseF32, Int8, Sign};
use protocol::config::{Gossip, MergeRule, Mode};
use protocol::fixed::to_f32;
use protocol::id::PeerId;
use protocol::time::{Span, Time};
use protocol::wire::{Exchange, Message, Part};
use protocol::{Config, Event};

use crate::STEP;
use crate::learner::Lie;
use crate::network::{Faults, Network, context};

const PARAMETERS: usize = 300;

fn config(company: usize, epochs: u32) -> Config {
    let config = super::config(company, epochs, &Sign);
    Config { gossip: Gossip { mode: Mode::Pairwise, gain: 0.5, steps: 5, ..config.gossip }, ..config }
}

fn swarm(peers: usize, config: Config, codec: &'static dyn Codec, faults: Faults, seed: u64) -> (Network, Vec<PeerId>) {
    Network::of(peers, config, context(PARAMETERS, codec), faults, seed)
}

/// Everybody takes its steps, comes close to the others, and stops.
fn settle(network: &mut Network) {
    let deadline = network.now + Span::from_secs(120);
    assert!(network.run(deadline, Network::all_done), "training ends");
    network.faults = Faults::NONE;
    let close = |network: &Network| network.living().iter().all(|&id| network.peer(id).view().resting);
    let deadline = network.now + Span::from_secs(120);
    assert!(network.run(deadline, close), "they agree, or have tried");
    network.finish_all();
    let deadline = network.now + Span::from_secs(30);
    assert!(network.run(deadline, Network::all_stopped), "every peer stops");
}

/// Of every exchange both halves are done, once each, and cancel; but for those with a life that was killed.
fn check_halves(network: &Network, killed: &BTreeSet<(PeerId, u64)>) {
    assert!(!network.halves.is_empty(), "there were exchanges: {:?}", network.messages);
    for (&(leader, follower, name), halves) in &network.halves {
        let by: BTreeSet<_> = halves.iter().map(|(by, _)| *by).collect();
        assert_eq!(by.len(), halves.len(), "an end did its half twice");
        if let [(_, a), (_, b)] = halves.as_slice() {
            assert!(a.iter().zip(b).all(|(a, b)| a.wrapping_add(*b) == 0), "the halves of {name:?} cancel");
        } else {
            let lost = killed.contains(&(leader, name[0])) || killed.contains(&(follower, name[1]));
            assert!(lost, "half of {name:?} was never done");
        }
    }
}

/// The sum of all bases is what they began with and what was learnt.
fn check_sum(network: &Network) {
    let mut sum = vec![0i32; PARAMETERS];
    for id in network.living() {
        let learner = network.learner(id);
        for (i, sum) in sum.iter_mut().enumerate() {
            let moved = learner.base[i].wrapping_sub(learner.start[i]).wrapping_sub(learner.folded[i]);
            *sum = sum.wrapping_add(moved);
        }
    }
    assert!(sum.iter().all(|&sum| sum == 0), "to the bit: {:?}", &sum[..4]);
}

/// Largest distance of a base from the mean of all, root mean square over the weights.
fn spread(network: &Network) -> f32 {
    let living = network.living();
    let base = |id: PeerId, i: usize| to_f32(network.learner(id).base[i]);
    let mean: Vec<f32> =
        (0..PARAMETERS).map(|i| living.iter().map(|&id| base(id, i)).sum::<f32>() / living.len() as f32).collect();
    let distance = |id: PeerId| (0..PARAMETERS).map(|i| (base(id, i) - mean[i]).powi(2)).sum::<f32>();
    living.iter().map(|&id| (distance(id) / PARAMETERS as f32).sqrt()).fold(0.0, f32::max)
}

fn worst_loss(network: &Network, ids: &[PeerId]) -> f32 {
    ids.iter().map(|&id| network.learner(id).base_loss()).fold(0.0, f32::max)
}

#[test]
fn peers_find_the_mean_two_at_a_time_and_keep_the_sum() {
    for codec in [&Sign as &'static dyn Codec, &Int8, &DenseF32] {
        let (mut network, ids) = swarm(8, config(7, 6), codec, Faults::NONE, 1);
        settle(&mut network);
        check_halves(&network, &BTreeSet::new());
        check_sum(&network);
        // Peers pull apart by up to 0.35 a weight: alone they would end near 0.05.
        assert!(worst_loss(&network, &ids) < 0.01, "{}: {}", codec.name(), worst_loss(&network, &ids));
        assert!(spread(&network) < 0.03, "{}: {}", codec.name(), spread(&network));
        for kind in ["delta", "digest", "offer", "snapshot head"] {
            assert_eq!(network.messages.get(kind), None, "{kind}");
        }
        let mismatch = |event: &Event| matches!(event, Event::BaseMismatch { .. });
        assert!(ids.iter().all(|&id| !network.events(id).iter().any(mismatch)));
    }
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    let trace = |seed| {
        let faults = Faults { jitter: Span::from_millis(20), loss_percent: 10, duplicate_percent: 5, ..Faults::NONE };
        let (mut network, _) = swarm(4, config(3, 2), &Sign, faults, seed);
        settle(&mut network);
        network.trace.finalize()
    };
    assert_eq!(trace(3), trace(3));
    assert_ne!(trace(3), trace(4));
}

#[test]
fn alone_its_base_follows_all_it_learns() {
    let (mut network, ids) = swarm(1, config(1, 3), &Sign, Faults::NONE, 9);
    settle(&mut network);
    let learner = network.learner(ids[0]);
    assert!(learner.base.iter().zip(&learner.theta).all(|(&base, theta)| (to_f32(base) - theta).abs() < 1e-6));
}

#[test]
fn a_late_joiner_takes_a_neighbours_model_before_it_trains() {
    let (mut network, ids) = swarm(3, config(2, 40), &Sign, Faults::NONE, 6);
    network.run(Time(0) + Span::from_secs(3), |_| false);
    let late = network.start(3, 4, STEP);
    network.run(network.now + Span::from_secs(1), |_| false);
    let position = |wanted: fn(&Event) -> bool| network.events(late).iter().position(wanted);
    let taken = position(|event| matches!(event, Event::SnapshotRestored { witness: None, .. }));
    let begun = position(|event| matches!(event, Event::TrainingStarted { .. }));
    assert!(taken.is_some() && taken < begun, "{taken:?} {begun:?}");
    let restored = |event: &Event| matches!(event, Event::SnapshotRestored { .. });
    assert!(ids.iter().all(|&id| !network.events(id).iter().any(restored)), "those that began together take none");
    settle(&mut network);
    check_halves(&network, &BTreeSet::new());
}

/// What cannot be from an honest peer, said by the peer with the smallest id, which leads every edge, and by the largest.
#[test]
fn hostile_messages_change_nothing() {
    let (mut network, ids) = swarm(3, config(2, 20), &Sign, Faults::NONE, 7);
    network.run(Time(0) + Span::from_secs(3), |_| false);
    let (first, last) = (*ids.iter().min().expect("three"), *ids.iter().max().expect("three"));
    let (leader, follower) = (network.origin(first).incarnation, network.origin(last).incarnation);
    let name = |epoch, seq| Exchange { leader, follower, epoch, seq };
    let mut good = Vec::new();
    Sign.encode(&[0.5; PARAMETERS], &mut good);
    let payloads: [Vec<u8>; 4] = [Vec::new(), vec![0xff; good.len()], vec![0; good.len() + 1], vec![7; 1 << 16]];
    let part = |payload: &[u8]| Part { load: 1, learnt: u64::MAX, payload: payload.into() };
    let say = |exchange, payload: &[u8]| Message::ExchangeSay { exchange, part: part(payload) };
    let answer = |exchange, payload: &[u8]| Message::ExchangeAnswer { exchange, part: part(payload) };
    let mut messages: Vec<(PeerId, PeerId, Message)> = Vec::new();
    for payload in payloads {
        messages.push((first, last, say(name(1 << 40, 1), &payload)));
        messages.push((first, last, say(name(1, 2), &payload)));
        messages.push((last, first, answer(name(1, 2), &payload)));
    }
    let strange = [name(1 << 40, 77), name(0, 1), Exchange { follower: 99, ..name(1, 1) }, name(1, 1 << 40)];
    for exchange in strange {
        messages.push((first, last, say(exchange, &good)));
        messages.push((last, first, answer(exchange, &good)));
        messages.push((last, first, say(exchange, &good)));
        messages.push((first, last, answer(exchange, &good)));
        messages.push((first, last, Message::ExchangeDone { exchange }));
        messages.push((last, first, Message::ExchangeLost { exchange }));
    }
    (0..100).for_each(|_| messages.push((last, first, Message::ExchangeAsk)));
    messages.iter().for_each(|(from, to, message)| network.inject(*from, *to, message));
    network.run(network.now + Span::from_millis(50), |_| false);
    let refused = |event: &&Event| matches!(event, Event::ExchangeRefused { .. });
    assert!(
        network.events(last).iter().filter(refused).count() >= 8,
        "bad payloads are named: {:?} {:?}",
        network.events(last),
        network.peer(last).view()
    );
    assert!(network.events(first).iter().filter(refused).count() >= 4);
    settle(&mut network);
    check_halves(&network, &BTreeSet::new());
    check_sum(&network);
    assert!(worst_loss(&network, &ids) < 0.01);
    // A number that no honest peer says ends the link.
    let (mut network, _) = swarm(3, config(2, 60), &Sign, Faults::NONE, 7);
    network.run(Time(0) + Span::from_secs(3), |_| false);
    network.inject(first, last, &Message::ExchangeDone { exchange: name(1, u64::MAX) });
    network.run(network.now + Span::from_millis(50), |_| false);
    assert!(network.events(last).iter().any(|event| matches!(event, Event::NeighbourDown { .. })));
}

/// The loss of the honest peer that stands worst, for three seeds.
fn under_attack(merge: MergeRule, lie: Lie) -> [f32; 3] {
    [11, 12, 13].map(|seed| {
        let mut config = config(5, 1000);
        (config.gossip.merge, config.gossip.neighbours_target) = (merge, 32);
        let mut network = Network::new(config, context(PARAMETERS, &DenseF32), Faults::NONE, seed);
        let honest: Vec<_> = (0..9).map(|index| network.start(index, 9, STEP)).collect();
        for index in 9..11 {
            network.start_attacker(index, lie, STEP);
        }
        network.run(Time(0) + Span::from_secs(6), |_| false);
        worst_loss(&network, &honest)
    })
}

#[test]
fn a_clipped_merge_bounds_what_liars_do() {
    // Of lies that are scaled by 10 most are refused before they are merged, those by 10,000 all: the harm that a merge prevents shows
    // in the worst of the seeds.
    for (lie, comes_through) in [(Lie::Noise(10.0), true), (Lie::Scale(-10.0), true), (Lie::Scale(-1e4), false)] {
        let open = under_attack(MergeRule::Average, lie);
        for robust in [MergeRule::Clipped, MergeRule::CoordinateMedian, MergeRule::TrimmedMean] {
            let bounded = under_attack(robust, lie);
            let found = format!("{lie:?}, {robust:?}: {open:?} without it, {bounded:?} with it");
            assert!(bounded[0] < 0.05 && bounded.iter().all(|&loss| loss < 0.1), "{found}");
            let worst = bounded.iter().copied().fold(0.0, f32::max);
            assert!(!comes_through || open.iter().any(|&loss| loss.is_nan() || loss > 10.0 * worst), "{found}");
        }
    }
}

#[test]
fn a_clipped_merge_keeps_the_sum_too() {
    let mut config = config(5, 6);
    config.gossip.merge = MergeRule::Clipped;
    let faults = Faults { jitter: Span::from_millis(20), loss_percent: 10, duplicate_percent: 10, ..Faults::NONE };
    let (mut network, ids) = swarm(6, config, &Sign, faults, 3);
    settle(&mut network);
    check_halves(&network, &BTreeSet::new());
    check_sum(&network);
    let clipped = |event: &&Event| matches!(event, Event::Exchanged { clipped: true, .. });
    assert!(ids.iter().any(|&id| network.events(id).iter().any(|event| clipped(&event))));
    assert!(worst_loss(&network, &ids) < 0.01, "{}", worst_loss(&network, &ids));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Loss, duplication, reordering and restart: no exchange is done by half, or twice, and all come close.
    #[test]
    fn whatever_the_network_does_the_sum_is_kept(
        seed in any::<u64>(),
        peers in 2usize..6,
        loss_percent in 0u64..30,
        duplicate_percent in 0u64..30,
        jitter_millis in 0u64..200,
        clipped in any::<bool>(),
        kill in proptest::option::of((0usize..6, 200u64..3000, 0u64..2000)),
    ) {
        let faults = Faults { jitter: Span::from_millis(jitter_millis), loss_percent, duplicate_percent, ..Faults::NONE };
        let mut config = config(peers - 1, 15);
        config.gossip.merge = if clipped { MergeRule::Clipped } else { MergeRule::Average };
        let (mut network, ids) = swarm(peers, config, &Sign, faults, seed);
        let mut killed = BTreeSet::new();
        if let Some((index, after_millis, away_millis)) = kill {
            let id = ids[index % peers];
            network.run(Time(0) + Span::from_millis(after_millis), |_| false);
            killed.insert((id, network.origin(id).incarnation));
            network.kill(id);
            network.run(network.now + Span::from_millis(away_millis), |_| false);
            network.start(index % peers, peers, STEP);
        }
        settle(&mut network);
        check_halves(&network, &killed);
        prop_assert!(clipped || spread(&network) < 0.03, "{}", spread(&network));
        if killed.is_empty() {
            check_sum(&network);
        }
    }
}
