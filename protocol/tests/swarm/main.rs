//! `Peer` driven by a small network in memory: virtual time, one seed. That it can be is what proves it free of I/O.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, unreachable_pub, reason = "a test fails by panicking")]

mod comings;
mod dealing;
mod hostile;
mod learner;
mod network;
mod pairwise;
mod rounds;
mod snapshots;
mod trust;

use network::{Faults, Network, context};
use proptest::prelude::*;
use protocol::codec::{Codec, DenseF32, TopK2Bit};
use protocol::config::{Gossip, PartnerRule, Training, TriggerRule};
use protocol::id::PeerId;
use protocol::learner::base_hash;
use protocol::time::{Span, Time};
use protocol::{Config, Event, Input};

/// More than one chunk, and no multiple of one.
const PARAMETERS: usize = 4096 + 321;
const STEP: Span = Span::from_millis(2);

fn config(company: usize, epochs: u32, codec: &dyn Codec) -> Config {
    Config {
        // Targets that differ by peer want a smaller gain than data that does not.
        gossip: Gossip {
            gain: codec.gain_default().min(2.0),
            company,
            steps: 2,
            join_grace: Span::from_secs(3),
            ..Gossip::default()
        },
        training: Training { steps_per_epoch: 100, epochs: Some(epochs), overtime: false, evaluate_every: None },
        ..Config::default()
    }
}

fn swarm(peers: usize, config: Config, codec: &'static dyn Codec, faults: Faults, seed: u64) -> (Network, Vec<PeerId>) {
    Network::of(peers, config, context(PARAMETERS, codec), faults, seed)
}

/// Lets everyone finish, and asserts what must hold then.
fn settle(network: &mut Network) {
    let deadline = network.now + Span::from_secs(120);
    assert!(network.run(deadline, Network::all_done), "training ends");
    // As the launcher does it: everybody rests, faults stop, all agree, and then they are told to finish.
    network.faults = Faults::NONE;
    let deadline = network.now + Span::from_secs(30);
    assert!(network.run(deadline, agree), "all agree once nobody trains");
    network.finish_all();
    let deadline = network.now + Span::from_secs(30);
    assert!(network.run(deadline, Network::all_stopped), "every peer stops");
    check(network);
}

fn agree(network: &Network) -> bool {
    let heard: Vec<_> = network.living().iter().map(|&id| network.peer(id).view().heard).collect();
    heard.windows(2).all(|pair| pair[0] == pair[1])
}

fn check(network: &Network) {
    let living = network.living();
    for &id in &living {
        let (peer, learner) = (network.peer(id), network.learner(id));
        assert_eq!(peer.view().heard, network.peer(living[0]).view().heard, "one set of deltas");
        assert_eq!(base_hash(&learner.base), base_hash(&network.learner(living[0]).base), "hence one base");
        assert!(learner.unaccounted() < 1e-3, "emitted + residual = progress, off by {}", learner.unaccounted());
        let mismatch = network.events(id).iter().find(|event| matches!(event, Event::BaseMismatch { .. }));
        assert_eq!(mismatch, None);
        let held = network.events(id).iter().find(|event| matches!(event, Event::Held { .. }));
        assert_eq!(held, None, "no honest peer is held");
    }
}

/// Mean squared distance of the base from the swarm's optimum, at the last evaluation.
fn final_loss(network: &Network, id: PeerId) -> f32 {
    let last = network.events(id).iter().rev().find_map(|event| match event {
        Event::Final(report) => Some(report.evaluation.loss),
        _ => None,
    });
    last.expect("a peer that stops evaluates")
}

#[test]
fn a_swarm_agrees_to_the_bit_and_finds_the_mean() {
    for codec in [&TopK2Bit as &'static dyn Codec, &DenseF32] {
        let (mut network, ids) = swarm(8, config(7, 6, codec), codec, Faults::NONE, 1);
        settle(&mut network);
        // Peers pull apart by up to 0.35 a coordinate: alone they would end near 0.05.
        assert!(final_loss(&network, ids[0]) < 0.01, "{}: {}", codec.name(), final_loss(&network, ids[0]));
        for &id in &ids {
            let view = network.peer(id).view();
            assert_eq!(view.neighbours, 7, "peer exchange made a mesh");
            assert_eq!((view.steps, view.epoch, view.deltas_refused), (600, 6, 0));
            assert!(view.deltas_heard >= 7 * 250, "{view:?}");
        }
    }
}

/// Long epochs are looked into; what is looked at changes nothing.
#[test]
fn within_an_epoch_the_model_is_evaluated_as_often_as_wanted() {
    let run = |every| {
        let mut config = config(3, 3, &DenseF32);
        config.training.evaluate_every = every;
        let (mut network, ids) = swarm(4, config, &DenseF32, Faults::NONE, 1);
        settle(&mut network);
        check(&network);
        let steps = |pick: fn(&Event) -> Option<(u32, u64)>| -> Vec<(u32, u64)> {
            network.events(ids[0]).iter().filter_map(pick).collect()
        };
        let within = steps(|event| match event {
            Event::Evaluated(report) => Some((report.epoch, report.steps)),
            _ => None,
        });
        let ends = steps(|event| match event {
            Event::Epoch(report) => Some((report.epoch, report.steps)),
            _ => None,
        });
        (within, ends)
    };
    let (none, ends) = run(None);
    assert_eq!((none, &ends[..]), (Vec::new(), &[(1, 100), (2, 200), (3, 300)][..]));
    let (within, the_same) = run(Some(40));
    assert_eq!(the_same, ends);
    assert_eq!(within.iter().map(|&(epoch, _)| epoch).collect::<Vec<_>>(), [0, 0, 1, 1, 2, 2], "{within:?}");
    assert!(within.iter().all(|&(epoch, steps)| steps > 100 * u64::from(epoch) && steps < 100 * u64::from(epoch + 1)));
}

#[test]
fn in_a_mesh_every_payload_crosses_a_link_once() {
    let (mut network, ids) = swarm(5, config(4, 5, &TopK2Bit), &TopK2Bit, Faults::NONE, 2);
    settle(&mut network);
    let said: u64 = ids.iter().map(|&id| network.peer(id).view().deltas_said).sum();
    let sent = network.messages["delta"];
    assert!(sent <= said * 4 + said / 10, "{said} deltas to 4 neighbours each, {sent} sent");
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    let trace = |seed| {
        let faults = Faults { jitter: Span::from_millis(20), loss_percent: 10, duplicate_percent: 5, ..Faults::NONE };
        let (mut network, _) = swarm(4, config(3, 2, &TopK2Bit), &TopK2Bit, faults, seed);
        settle(&mut network);
        network.trace.finalize()
    };
    assert_eq!(trace(3), trace(3));
    assert_ne!(trace(3), trace(4));
}

#[test]
fn a_killed_peer_holds_nobody_up_and_comes_back_by_snapshot() {
    let (mut network, ids) = swarm(4, config(3, 30, &TopK2Bit), &TopK2Bit, Faults::NONE, 5);
    network.run(Time(0) + Span::from_secs(3), |_| false);
    network.kill(ids[2]);
    let before = network.peer(ids[0]).view().steps;
    network.run(network.now + Span::from_secs(1), |_| false);
    let gained = network.peer(ids[0]).view().steps - before;
    assert!(gained >= 450, "500 steps fit a second, {gained} were taken");

    let again = network.start(2, 4, STEP);
    assert_eq!(again, ids[2], "the same identity, with nothing of its state");
    network.run(network.now + Span::from_secs(2), |_| false);
    let restored = |event: &Event| matches!(event, Event::SnapshotRestored { .. });
    assert!(network.events(again).iter().any(restored), "it missed more than a snapshot costs: {:?}", network.messages);
    settle(&mut network);
}

#[test]
fn whoever_is_behind_the_log_takes_a_snapshot_and_loses_nothing() {
    let mut config = config(3, 20, &TopK2Bit);
    config.gossip.log_bytes_max = 100 << 10; // about 120 deltas, a quarter of a second
    let (mut network, ids) = swarm(4, config, &TopK2Bit, Faults::NONE, 6);
    network.run(Time(0) + Span::from_millis(500), |_| false);
    // One peer is cut off and goes on alone; slow enough that its own deltas stay in its own log.
    network.cut(&ids[3..], &ids[..3]);
    network.run(network.now + Span::from_millis(150), |_| false);
    network.heal();
    settle(&mut network);
}

#[test]
fn a_late_joiner_believes_a_snapshot_that_a_second_peer_confirms() {
    let (mut network, _) = swarm(4, config(3, 40, &TopK2Bit), &TopK2Bit, Faults::NONE, 6);
    network.run(Time(0) + Span::from_secs(5), |_| false);
    let late = network.start(4, 5, STEP);
    network.run(network.now + Span::from_secs(2), |_| false);
    let confirmed = |event: &Event| matches!(event, Event::SnapshotRestored { witness: Some(_), .. });
    let failed = |event: &Event| matches!(event, Event::SnapshotFailed { .. });
    let events = network.events(late);
    assert!(events.iter().any(confirmed) && !events.iter().any(failed), "{:?}", network.messages);
    settle(&mut network);
}

#[test]
fn whoever_joins_late_learns_how_far_the_swarm_is() {
    let mut config = config(2, 30, &TopK2Bit);
    config.gossip.log_bytes_max = 1 << 20; // about 1,200 deltas: what was before is in no log any more
    let (mut network, ids) = swarm(3, config, &TopK2Bit, Faults::NONE, 9);
    network.run(Time(0) + Span::from_secs(3), |_| false);
    let late = network.start(3, 4, STEP);
    network.run(network.now + Span::from_secs(2), |_| false);
    let restored = network.events(late).iter().any(|event| matches!(event, Event::SnapshotRestored { .. }));
    assert!(restored, "it begins with a snapshot");
    let told: Vec<_> = ids.iter().chain([&late]).map(|&id| network.learner(id).told_progress).collect();
    let taken: u64 = ids.iter().chain([&late]).map(|&id| network.peer(id).view().steps).sum();
    assert!(taken > 4000, "one sample a step: {taken}");
    // What is on its way, said or not yet.
    assert!(told.iter().all(|told| told.samples.abs_diff(taken) < 100), "{told:?} of {taken}");
    assert!(told.iter().all(|told| told.live_peers == 4), "{told:?}");
    settle(&mut network);
}

#[test]
fn a_partition_heals_and_both_sides_unite() {
    let (mut network, ids) = swarm(6, config(5, 20, &TopK2Bit), &TopK2Bit, Faults::NONE, 7);
    network.run(Time(0) + Span::from_millis(800), |_| false);
    network.cut(&ids[..3], &ids[3..]);
    network.run(network.now + Span::from_secs(2), |_| false);
    assert_ne!(network.peer(ids[0]).view().heard, network.peer(ids[5]).view().heard);
    assert_eq!(network.peer(ids[0]).view().live_peers, 6, "those beyond a cut count for a while: it may be short");
    network.heal();
    settle(&mut network);
    assert!(final_loss(&network, ids[0]) < 0.02, "{}", final_loss(&network, ids[0]));
}

/// Whoever was cut off has as many neighbours that know what it lacks: they share the work, and one signature is checked for many.
#[test]
fn what_was_missed_behind_a_cut_comes_about_once_and_together() {
    let (mut network, ids) = swarm(6, config(5, 60, &TopK2Bit), &TopK2Bit, Faults::NONE, 7);
    network.run(Time(0) + Span::from_millis(300), |_| false);
    network.cut(&ids[..3], &ids[3..]);
    network.run(network.now + Span::from_secs(20), Network::all_done);
    let heard = |network: &Network| ids.iter().map(|&id| network.peer(id).view().deltas_heard).sum::<u64>();
    let (before, sent, messages) = (heard(&network), network.deltas.len(), network.messages.clone());
    network.heal();
    assert!(network.run(network.now + Span::from_secs(30), agree), "they agree");
    let missed = heard(&network) - before;
    let sent = (network.deltas.len() - sent) as u64;
    let frames = |kind: &str| network.messages.get(kind).unwrap_or(&0) - messages.get(kind).unwrap_or(&0);
    assert!(missed > 20_000, "{missed}");
    assert!(sent < missed + missed / 3, "{sent} sent for {missed} that were missed");
    let frames = frames("delta") + frames("deltas");
    assert!(frames < missed / 20, "{frames} messages for {missed} deltas");
}

#[test]
fn a_silent_neighbour_is_let_go() {
    let (mut network, ids) = swarm(2, config(1, 200, &TopK2Bit), &TopK2Bit, Faults::NONE, 8);
    network.run(Time(0) + Span::from_secs(2), |_| false);
    assert_eq!(network.peer(ids[0]).view().neighbours, 1);
    network.faults.loss_percent = 100;
    network.run(network.now + Span::from_secs(8), |_| false);
    let down = network.events(ids[0]).iter().any(|event| matches!(event, Event::NeighbourDown { .. }));
    assert!(down, "a cut that the transport does not notice");
}

#[test]
fn alone_it_trains_and_its_base_follows_whole() {
    let (mut network, ids) = swarm(1, config(1, 3, &TopK2Bit), &TopK2Bit, Faults::NONE, 9);
    settle(&mut network);
    let view = network.peer(ids[0]).view();
    assert_eq!((view.steps, view.live_peers, view.deltas_heard), (300, 1, 0));
    assert_eq!(view.deltas_said, 150);
}

#[test]
fn without_gossip_nothing_is_said() {
    let mut config = config(3, 3, &TopK2Bit);
    config.gossip.enabled = false;
    let (mut network, ids) = swarm(1, config, &TopK2Bit, Faults::NONE, 10);
    settle(&mut network);
    let view = network.peer(ids[0]).view();
    assert_eq!((view.steps, view.deltas_said), (300, 0));
    assert!(network.messages.is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    /// Any interleaving, duplication, loss and restart ends in the same base.
    #[test]
    fn whatever_the_network_does_all_end_equal(
        seed in any::<u64>(),
        peers in 2usize..6,
        loss_percent in 0u64..30,
        duplicate_percent in 0u64..30,
        jitter_millis in 0u64..200,
        log_bytes in prop_oneof![Just(64usize << 20), (300usize << 10)..(600 << 10)],
        kill in proptest::option::of((0usize..6, 200u64..3000, 0u64..2000)),
    ) {
        let faults = Faults { jitter: Span::from_millis(jitter_millis), loss_percent, duplicate_percent, ..Faults::NONE };
        all_end_equal(seed, peers, faults, log_bytes, kill);
    }
}

/// `kill`: who, after and for how many milliseconds.
fn all_end_equal(seed: u64, peers: usize, faults: Faults, log_bytes: usize, kill: Option<(usize, u64, u64)>) {
    let mut config = config(peers - 1, 15, &TopK2Bit);
    config.gossip.steps = 10;
    config.gossip.log_bytes_max = log_bytes;
    let (mut network, ids) = swarm(peers, config, &TopK2Bit, faults, seed);
    if let Some((index, after_millis, away_millis)) = kill {
        let index = index % peers;
        network.run(Time(0) + Span::from_millis(after_millis), |_| false);
        network.kill(ids[index]);
        network.run(network.now + Span::from_millis(away_millis), |_| false);
        network.start(index, peers, STEP);
    }
    let deadline = network.now + Span::from_secs(120);
    assert!(network.run(deadline, Network::all_done), "training ends");
    settle(&mut network);
}

/// Found by the property above: newcomers that began before they had caught up said longer deltas than the others, and were held.
#[test]
fn newcomers_that_could_not_catch_up_are_not_held_for_their_lengths() {
    let faults = |loss_percent, duplicate_percent, jitter| Faults {
        jitter: Span::from_millis(jitter),
        loss_percent,
        duplicate_percent,
        ..Faults::NONE
    };
    all_end_equal(10419938517004529885, 5, faults(5, 21, 175), 64 << 20, Some((5, 1345, 876)));
    all_end_equal(13135981745900771065, 3, faults(25, 9, 70), 64 << 20, Some((4, 2613, 1017)));
}

/// Found by the property above and not mended: who was killed late, comes back when the others are through, and finds a log that
/// reaches back for 300 kB only, is held for the length of a delta until the hold times out.
#[ignore = "a known weakness, kept to be mended"]
#[test]
fn a_late_newcomer_with_a_short_log_is_not_held_for_its_lengths() {
    let faults = Faults { jitter: Span::from_millis(159), loss_percent: 7, duplicate_percent: 27, ..Faults::NONE };
    all_end_equal(17421292501557974529, 5, faults, 307_203, Some((4, 2362, 1513)));
}

#[test]
fn whoever_is_through_trains_on_until_told_to_rest() {
    let mut config = config(2, 3, &TopK2Bit);
    config.training.overtime = true;
    let mut network = Network::new(config, context(PARAMETERS, &TopK2Bit), Faults::NONE, 11);
    let ids: Vec<_> =
        [2u64, 2, 8].iter().enumerate().map(|(i, &step)| network.start(i, 3, Span::from_millis(step))).collect();
    let finished = |network: &Network| network.living().iter().all(|&id| network.peer(id).view().finished);
    assert!(network.run(Time(0) + Span::from_secs(60), finished), "the slow one gets there");
    assert!(network.peer(ids[0]).view().steps >= 900, "three times as fast, so three times as many steps and more");
    assert!(!network.peer(ids[0]).view().resting);
    ids.iter().for_each(|&id| network.input(id, Input::Rest));
    let rests = |network: &Network| network.living().iter().all(|&id| network.peer(id).view().resting);
    assert!(network.run(network.now + Span::from_secs(5), rests));
    settle(&mut network);
}

/// Deltas said in a run of four peers under this trigger.
fn said(trigger: TriggerRule, spread: f32, change: impl FnOnce(&mut Config)) -> u64 {
    let mut config = config(3, 6, &DenseF32);
    config.gossip.trigger = trigger;
    change(&mut config);
    let epochs = u64::from(config.training.epochs.expect("every run here has an end"));
    let mut network = Network::new(config, context(PARAMETERS, &DenseF32), Faults::NONE, 12);
    network.spread = spread;
    let ids: Vec<_> = (0..4).map(|index| network.start(index, 4, STEP)).collect();
    settle(&mut network);
    assert!(final_loss(&network, ids[0]) < 0.01, "{trigger:?}: {}", final_loss(&network, ids[0]));
    let steps: Vec<_> = ids.iter().map(|&id| network.peer(id).view().steps).collect();
    assert_eq!(steps, [epochs * 100; 4], "no trigger holds a step back");
    ids.iter().map(|&id| network.peer(id).view().deltas_said).sum()
}

#[test]
fn by_drift_less_is_said_where_peers_agree() {
    let always = said(TriggerRule::EveryH, 0.0, |_| ());
    let agreeing = said(TriggerRule::Drift, 0.0, |_| ());
    let quarrelling = said(TriggerRule::Drift, 2.0, |_| ());
    assert!(always >= 4 * 290, "{always}: every second step");
    assert!(agreeing < always / 3, "{agreeing} of {always}");
    assert!(agreeing < quarrelling / 2, "{agreeing} against {quarrelling}");
    let everything = said(TriggerRule::Drift, 0.0, |config| config.gossip.trigger_drift = 0.0);
    assert!(everything > always / 3, "any drift is worth a delta: {everything} of {always}");
}

#[test]
fn by_plateau_less_is_said_while_the_loss_falls() {
    let always = said(TriggerRule::EveryH, 0.0, |_| ());
    let plateau = said(TriggerRule::Plateau, 0.0, |_| ());
    let never_falls = said(TriggerRule::Plateau, 0.0, |config| config.gossip.trigger_plateau = 0.99);
    // The loss of the quadratic falls by 8 % every H = 2 steps until it is 0: mostly the latest moment makes it speak.
    assert!(plateau < always / 4, "{plateau} of {always}");
    assert!(plateau < never_falls / 2, "{plateau} against {never_falls}");
    let short = said(TriggerRule::Plateau, 0.0, |config| config.gossip.trigger_steps_max = Some(4));
    assert!(short > 2 * plateau, "{short} against {plateau}");
}

#[test]
fn by_link_rate_as_much_is_said_as_it_carries() {
    let run = |trigger, rate| {
        said(trigger, 1.0, |config| {
            config.gossip.link_bytes_per_second = rate;
            config.training.epochs = Some(2);
        })
    };
    let always = run(TriggerRule::EveryH, None);
    assert_eq!(run(TriggerRule::Adaptive, None), always, "not known: as configured");
    // 500 steps a second, three times 17.7 kB a delta: a tenth of the time at 20 MB/s is a delta every 14 steps.
    let (slow, fast) = (run(TriggerRule::Adaptive, Some(2e7)), run(TriggerRule::Adaptive, Some(1e10)));
    assert!(slow < always / 4 && fast > always * 3 / 2, "{slow}, {always}, {fast}");
}

#[test]
fn every_partner_rule_mends_what_is_lost() {
    for rule in protocol::partner::ALL {
        let faults = Faults { loss_percent: 20, ..Faults::NONE };
        let mut config = config(4, 6, &TopK2Bit);
        config.gossip.partner = rule.rule();
        // A graph in which everybody reaches everybody; each peer passes over itself.
        config.gossip.partner_graph =
            (1..=5).map(|i| protocol::trust::Identity::from_seed(&[i; 32]).peer_id()).collect();
        let (mut network, _) = swarm(5, config, &TopK2Bit, faults, 13);
        settle(&mut network);
    }
    assert_eq!(protocol::partner::ALL.len(), 5);
    assert_eq!(protocol::partner::of(PartnerRule::default()).name(), "uniform");
}
