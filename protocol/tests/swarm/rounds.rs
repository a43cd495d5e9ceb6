//! Full-scale synchronization: a round is the step of the mean, whatever the network does, and nobody holds it up for long.

use protocol::codec::{DenseF32, TopK2Bit};
use protocol::config::{Gossip, Mode, Training, TriggerRule};
use protocol::fixed::{from_f32, to_f32};
use protocol::id::{Hash, PeerId};
use protocol::time::{Span, Time};
use protocol::wire::{Message, SEQ_MAX, Status};
use protocol::{Config, Event};

use crate::learner::Quadratic;
use crate::network::{Faults, Network, context};
use crate::{PARAMETERS, STEP, check, final_loss, settle};

/// H = 1, dense codec, gain 1.
fn rounds(company: usize, epochs: u32) -> Config {
    Config {
        gossip: Gossip {
            mode: Mode::FullSync,
            gain: 1.0,
            steps: 1,
            company,
            join_grace: Span::from_secs(3),
            round_deadline: Span::from_secs(2),
            ..Gossip::default()
        },
        training: Training { steps_per_epoch: 20, epochs: Some(epochs), overtime: false, evaluate_every: None },
        ..Config::default()
    }
}

fn evictions(network: &Network, id: PeerId) -> Vec<(PeerId, u64)> {
    let evicted = network.events(id).iter().filter_map(|event| match event {
        Event::RoundEvicted { peer, round } => Some((*peer, *round)),
        _ => None,
    });
    evicted.collect()
}

/// What plain gradient descent on the mean of all losses makes of the first parameters, in f64.
fn descent(network: &Network, ids: &[PeerId], steps: u32) -> Vec<f64> {
    let learners: Vec<&Quadratic> = ids.iter().map(|&id| network.learner(id)).collect();
    let rate = f64::from(learners[0].rate);
    let mean = |i: usize| learners.iter().map(|l| f64::from(l.target[i])).sum::<f64>() / learners.len() as f64;
    (0..PARAMETERS)
        .map(|i| {
            let start = f64::from(Quadratic::start(i));
            (0..steps).fold(start, |w, _| w - rate * (w - mean(i)))
        })
        .collect()
}

#[test]
fn a_round_is_one_step_of_gradient_descent_on_all_data() {
    // Unequal speeds, messages that are late, lost, doubled and overtaken.
    let rough = Faults { jitter: Span::from_millis(40), loss_percent: 5, duplicate_percent: 5, ..Faults::NONE };
    for (faults, seed) in [(Faults::NONE, 1), (rough, 2)] {
        let mut config = rounds(3, 5);
        // Introductions are lost too.
        (config.gossip.join_grace, config.gossip.round_deadline) = (Span::from_secs(20), Span::from_secs(60));
        let mut network = Network::new(config, context(PARAMETERS, &DenseF32), faults, seed);
        let steps = [2, 3, 9, 4].map(Span::from_millis);
        let ids: Vec<_> = steps.iter().enumerate().map(|(i, &step)| network.start(i, 4, step)).collect();
        let wanted = descent(&network, &ids, 100);
        settle(&mut network);
        for &id in &ids {
            let view = network.peer(id).view();
            assert_eq!(evictions(&network, id), []);
            assert_eq!((view.steps, view.deltas_said, view.deltas_heard), (100, 100, 300));
        }
        let base = &network.learner(ids[0]).base;
        let off = base.iter().zip(&wanted).map(|(&b, w)| (f64::from(to_f32(b)) - w).abs()).fold(0.0, f64::max);
        assert!(off < 1e-5, "off by {off}");
    }
}

#[test]
fn the_evaluation_of_an_epoch_sees_whole_rounds() {
    let mut network = Network::new(rounds(3, 4), context(PARAMETERS, &DenseF32), Faults::NONE, 3);
    let ids: Vec<_> = (0..4).map(|i| network.start(i, 4, Span::from_millis(2 + 3 * i as u64))).collect();
    settle(&mut network);
    let bases = |id: PeerId| -> Vec<_> {
        let epochs = network.events(id).iter().filter_map(|event| match event {
            Event::Epoch(report) => Some((report.epoch, report.base_hash)),
            _ => None,
        });
        epochs.collect()
    };
    assert_eq!(bases(ids[0]).len(), 4);
    assert!(ids.iter().all(|&id| bases(id) == bases(ids[0])), "the same base at the end of every epoch");
}

/// With H = 1 every step ends in a round: the model is looked at when it closes.
#[test]
fn within_an_epoch_whole_rounds_are_evaluated_as_often_as_wanted() {
    for (steps, every) in [(1, 8), (3, 8), (3, 2)] {
        let mut config = rounds(2, 2);
        config.gossip.steps = steps;
        config.training.evaluate_every = Some(every);
        let mut network = Network::new(config, context(PARAMETERS, &DenseF32), Faults::NONE, 3);
        let ids: Vec<_> = (0..3).map(|i| network.start(i, 3, STEP)).collect();
        settle(&mut network);
        for &id in &ids {
            let of = |pick: fn(&Event) -> Option<u64>| network.events(id).iter().filter_map(pick).collect::<Vec<_>>();
            let looks = of(|event| match event {
                Event::Evaluated(report) => Some(report.steps),
                _ => None,
            });
            let ends = of(|event| match event {
                Event::Epoch(report) => Some(report.steps),
                _ => None,
            });
            assert_eq!(ends, [20, 40]);
            // Not before they are due, and not later than at the end of the round that they fall into.
            let all: Vec<u64> =
                ends.iter().chain(&looks).copied().collect::<std::collections::BTreeSet<_>>().into_iter().collect();
            assert_eq!(all.len(), ends.len() + looks.len(), "{looks:?}");
            for pair in [&[0], &all[..]].concat().windows(2) {
                let (apart, most) = (pair[1] - pair[0], u64::from(every + steps - 1));
                let is_end = ends.contains(&pair[1]);
                assert!(
                    apart <= most && (is_end || apart >= u64::from(every)),
                    "H = {steps}, every {every}: {looks:?}"
                );
            }
            if steps == 1 {
                assert_eq!(looks, [8, 16, 28, 36]);
            }
        }
    }
}

#[test]
fn whoever_is_too_slow_is_left_out_and_named() {
    let mut network = Network::new(rounds(2, 50), context(PARAMETERS, &DenseF32), Faults::NONE, 4);
    let ids: Vec<_> =
        [STEP, STEP, Span::from_secs(30)].iter().enumerate().map(|(i, &step)| network.start(i, 3, step)).collect();
    let through = |network: &Network| ids[..2].iter().all(|&id| network.peer(id).view().finished);
    assert!(network.run(Time(0) + Span::from_secs(20), through), "1000 rounds of 2 ms and one deadline of 2 s");
    for &id in &ids[..2] {
        assert_eq!(evictions(&network, id), [(ids[2], 1)], "once, and not in every round again");
    }
}

#[test]
fn whoever_names_a_round_that_nobody_is_in_changes_nothing() {
    let mut network = Network::new(rounds(3, 10), context(PARAMETERS, &DenseF32), Faults::NONE, 9);
    let ids: Vec<_> = (0..4).map(|i| network.start(i, 4, STEP)).collect();
    let lie = |network: &mut Network| {
        let status = Status {
            incarnation: 4,
            steps: 1,
            steps_per_second: 500.0,
            train_loss: 1.0,
            heard: Hash::ZERO,
            neighbours: Vec::new(),
            finished: false,
            round: SEQ_MAX,
        };
        ids[..3].iter().for_each(|&id| network.inject(ids[3], id, &Message::Status(status.clone())));
    };
    // Before they begin, and while they train.
    for _ in 0..40 {
        network.run(network.now + Span::from_millis(100), |_| false);
        lie(&mut network);
    }
    assert!(network.run(network.now + Span::from_secs(60), Network::all_done));
    let view = network.peer(ids[0]).view();
    assert!(view.round >= 200 && view.round < 300 && view.deltas_refused == 0, "{view:?}");
}

#[test]
fn a_death_does_not_hold_up_a_round_and_a_newcomer_goes_along() {
    let mut network = Network::new(rounds(3, 200), context(PARAMETERS, &DenseF32), Faults::NONE, 5);
    let step = Span::from_millis(10);
    let ids: Vec<_> = (0..4).map(|i| network.start(i, 4, step)).collect();
    network.run(Time(0) + Span::from_secs(4), |_| false);
    network.kill(ids[2]);
    let before = network.peer(ids[0]).view().steps;
    assert!(before > 30, "{before}");
    network.run(network.now + Span::from_secs(1), |_| false);
    let gained = network.peer(ids[0]).view().steps - before;
    assert!(gained > 70, "a round takes 11 ms and a bit: {gained}");

    let again = network.start(2, 4, step);
    network.run(network.now + Span::from_secs(4), |_| false);
    let restored = network.events(again).iter().any(|event| matches!(event, Event::SnapshotRestored { .. }));
    assert!(restored && network.peer(again).view().steps > 30, "{:?}", network.peer(again).view());
    // It is waited for again: nobody is ahead of it by more than the round that is open.
    network.run(network.now + Span::from_secs(1), |_| false);
    let (old, new) = (network.peer(ids[0]).view(), network.peer(again).view());
    assert!(old.round.abs_diff(new.round) <= 1, "{} and {}", old.round, new.round);
    network.finish_all();
    network.run(network.now + Span::from_secs(10), Network::all_stopped);
    check(&network);
}

#[test]
fn a_pause_costs_a_place_until_the_peer_is_back() {
    let mut network = Network::new(rounds(3, 400), context(PARAMETERS, &DenseF32), Faults::NONE, 6);
    let ids: Vec<_> = (0..4).map(|i| network.start(i, 4, Span::from_millis(20))).collect();
    network.run(Time(0) + Span::from_secs(2), |_| false);
    network.cut(&ids[3..], &ids[..3]);
    network.run(network.now + Span::from_secs(3), |_| false);
    network.heal();
    network.run(network.now + Span::from_secs(8), |_| false);
    let rounds: Vec<_> = ids.iter().map(|&id| network.peer(id).view().round).collect();
    assert!(rounds.iter().all(|round| round.abs_diff(rounds[0]) <= 1), "all in step again: {rounds:?}");
    network.finish_all();
    network.run(network.now + Span::from_secs(10), Network::all_stopped);
    check(&network);
}

#[test]
fn rounds_of_sparse_deltas_find_the_mean_too() {
    let mut config = rounds(4, 30);
    config.gossip.steps = 4;
    let mut network = Network::new(config, context(PARAMETERS, &TopK2Bit), Faults::NONE, 7);
    let ids: Vec<_> = (0..5).map(|i| network.start(i, 5, STEP)).collect();
    settle(&mut network);
    assert!(final_loss(&network, ids[0]) < 0.01, "{}", final_loss(&network, ids[0]));
    assert_eq!(network.peer(ids[0]).view().deltas_said, 150);
}

/// The design article's example: three nodes, w = [1, 2, 3], learning rate 0.1, gradients of its own at each node.
const W0: [f32; 3] = [1.0, 2.0, 3.0];
const GRADIENTS: [[f32; 3]; 3] = [[0.1, 0.2, 0.3], [0.2, 0.4, 0.6], [0.6, 0.3, 0.0]];
const RATE: f32 = 0.1;

/// A step takes so long that what follows the first one can be changed in time.
const SLOW_STEP: Span = Span::from_secs(1);

fn three_nodes(config: Config) -> (Network, Vec<PeerId>) {
    let mut network = Network::new(config, context(3, &DenseF32), Faults::NONE, 8);
    let ids: Vec<_> = (0..3).map(|i| network.start(i, 3, SLOW_STEP)).collect();
    for (&id, gradient) in ids.iter().zip(&GRADIENTS) {
        // |w - t|^2 / 2 has the gradient w - t.
        let learner = network.learner_mut(id);
        learner.rate = RATE;
        learner.target = W0.iter().zip(gradient).map(|(w, g)| w - g).collect();
        learner.theta = W0.to_vec();
        learner.base = W0.iter().map(|&w| from_f32(w)).collect();
    }
    (network, ids)
}

fn assert_base(network: &Network, id: PeerId, wanted: [f32; 3]) {
    let base: Vec<f32> = network.learner(id).base.iter().map(|&b| to_f32(b)).collect();
    assert!(base.iter().zip(wanted).all(|(b, w)| (b - w).abs() < 1e-5), "{base:?}, wanted {wanted:?}");
}

#[test]
fn the_worked_example_of_full_synchronization() {
    let mut config = rounds(2, 1);
    config.training.steps_per_epoch = 1;
    let (mut network, ids) = three_nodes(config);
    settle(&mut network);
    // w - 0.1 * mean gradient, with the mean [0.3, 0.3, 0.3].
    ids.iter().for_each(|&id| assert_base(&network, id, [0.97, 1.97, 2.97]));
    assert!(ids.iter().all(|&id| network.peer(id).view().deltas_said == 1));
}

#[test]
fn the_worked_example_of_incremental_updates_with_conditional_communication() {
    // A node speaks when it is further than 1 % from what it has said: ||w|| = 3.74, so 0.037; one step of the nodes is
    // 0.037, 0.075 and 0.067 long. The second and the third speak, the first has just not moved far enough.
    let mut config = rounds(2, 1);
    (config.gossip.mode, config.gossip.trigger) = (Mode::Incremental, TriggerRule::Drift);
    (config.gossip.trigger_drift, config.gossip.trigger_steps_max) = (0.0101, Some(1000));
    config.training = Training { steps_per_epoch: 1, epochs: None, overtime: false, evaluate_every: None };
    let (mut network, ids) = three_nodes(config);
    // One step each, and then the rate is nothing: what follows adds no drift.
    let moved = |network: &Network| ids.iter().all(|&id| network.peer(id).view().steps >= 1);
    assert!(network.run(Time(0) + Span::from_secs(20), moved));
    ids.iter().for_each(|&id| network.learner_mut(id).rate = 0.0);
    network.run(network.now + Span::from_secs(9), |_| false);
    let said: Vec<_> = ids.iter().map(|&id| network.peer(id).view().deltas_said).collect();
    assert_eq!(said[0], 0, "not far enough: nothing to say");
    assert!(said[1] >= 1 && said[2] >= 1, "{said:?}");
    let heard = network.peer(ids[0]).view().deltas_heard;
    assert_eq!(heard, said[1] + said[2]);
    // What the first has not said stays in its own weights: b lacks it, theta does not.
    let first = network.learner(ids[0]);
    let unsaid = first.theta.iter().zip(&first.base).map(|(&t, &b)| t - to_f32(b));
    assert!(unsaid.zip(GRADIENTS[0]).all(|(u, g)| u < -0.5 * RATE * g), "{:?} {:?}", first.theta, first.base);
    let bases: Vec<_> = ids.iter().map(|&id| network.learner(id).base.clone()).collect();
    assert!(bases.iter().all(|base| *base == bases[0]), "one base, whoever spoke");
}
