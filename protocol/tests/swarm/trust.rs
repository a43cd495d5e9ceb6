//! Liars in a swarm: 12 honest peers and 4 attackers that sign everything correctly.
//!
//! An attacker is a whole peer whose learner lies about what it learned. It neither votes nor obeys: it does not hear of
//! votes and exclusions, and goes on as before.

use std::collections::BTreeSet;

use protocol::codec::{Codec, Decoded, DenseF32};
use protocol::config::{Gossip, Training, Trust};
use protocol::id::{Origin, PeerId};
use protocol::learner::base_hash;
use protocol::time::{Span, Time};
use protocol::trust::audit::{self, Act};
use protocol::trust::{Equivocation, Exclusion, Identity, Reason, Vote};
use protocol::wire::Message;
use protocol::{Config, Event};

use crate::STEP;
use crate::learner::{Lie, Quadratic};
use crate::network::{Faults, Fork, Network, context};

const PARAMETERS: usize = 300;
const HONEST: usize = 12;
const ATTACKERS: usize = 4;

fn config(enabled: bool) -> Config {
    Config {
        gossip: Gossip {
            gain: 1.0,
            company: 5,
            steps: 10,
            join_grace: Span::from_secs(3),
            neighbours_target: 32,
            ..Gossip::default()
        },
        training: Training { steps_per_epoch: 1000, epochs: Some(5), overtime: true, evaluate_every: None },
        trust: Trust { enabled, ..Trust::default() },
    }
}

fn swarm(enabled: bool, lie: Lie, seed: u64) -> (Network, Vec<PeerId>, Vec<PeerId>) {
    let mut network = Network::new(config(enabled), context(PARAMETERS, &DenseF32), Faults::NONE, seed);
    let honest: Vec<_> = (0..HONEST).map(|index| network.start(index, HONEST, STEP)).collect();
    let attackers = (0..ATTACKERS).map(|i| network.start_attacker(HONEST + i, lie, STEP)).collect();
    (network, honest, attackers)
}

/// The honest ones rest and finish, whatever the attackers do.
fn settle(network: &mut Network, honest: &[PeerId]) {
    honest.iter().for_each(|&id| network.input(id, protocol::Input::Rest));
    let equal = |network: &Network| {
        let heard: Vec<_> = honest.iter().map(|&id| network.peer(id).view().heard).collect();
        let rest = honest.iter().all(|&id| network.peer(id).view().resting);
        rest && heard.windows(2).all(|pair| pair[0] == pair[1])
    };
    assert!(network.run(network.now + Span::from_secs(20), equal), "the honest agree");
}

fn loss(learner: &Quadratic) -> f32 {
    learner.base_loss()
}

/// b0 and every delta that was ever said and is not left out, added up from the frames that crossed the network.
fn expected_base(network: &Network, id: PeerId) -> Vec<i32> {
    let excluded = network.peer(id).trust_view().excluded;
    let out = |origin: Origin, seq: u64| {
        excluded
            .iter()
            .any(|&(about, from)| about.peer == origin.peer && (origin.incarnation, seq) >= (about.incarnation, from))
    };
    let mut base = Quadratic::new(PARAMETERS, 0, HONEST, 0.0).base.clone();
    let mut decoded = Decoded::default();
    let mut seen = BTreeSet::new();
    for signed in &network.deltas {
        let header = &signed.header;
        if out(header.origin, header.seq) || !seen.insert((header.origin, header.seq)) {
            continue;
        }
        let weight = protocol::fixed::Weight::from_raw(header.weight).expect("in range");
        DenseF32.decode(&signed.payload, PARAMETERS, weight, &mut decoded).expect("valid");
        for (i, _, add) in decoded.iter() {
            base[i] = base[i].wrapping_add(add);
        }
    }
    base
}

fn excluded(network: &Network, id: PeerId) -> BTreeSet<PeerId> {
    network.peer(id).trust_view().excluded.iter().map(|(about, _)| about.peer).collect()
}

/// What must hold of the honest peers after an attack that the defence has settled.
fn check(network: &Network, honest: &[PeerId], attackers: &[PeerId]) {
    let expected = base_hash(&expected_base(network, honest[0]));
    for &id in honest {
        assert_eq!(excluded(network, id), attackers.iter().copied().collect(), "the attackers, and nobody else");
        assert_eq!(base_hash(&network.learner(id).base), expected, "b0 and all deltas that are not left out");
        assert!(network.learner(id).unaccounted() < 1e-2, "no progress of its own is lost");
        assert_eq!(network.peer(id).trust_view().holds, []);
        let mismatch = network.events(id).iter().find(|event| matches!(event, Event::BaseMismatch { .. }));
        assert_eq!(mismatch, None);
        check_audit(network, id);
    }
}

fn check_audit(network: &Network, id: PeerId) {
    let records = network.audit(id);
    let genesis = audit::genesis(network.context.run, network.origin(id));
    assert_eq!(audit::verify(genesis, records), Ok(records.last().expect("something happened").hash));
    let excluded = records.iter().filter(|record| record.what == Act::Exclude).count();
    assert!(excluded >= network.peer(id).trust_view().excluded.len());
}

fn attack(lie: Lie, seed: u64) {
    let until = Time(0) + Span::from_secs(5);
    let (mut network, honest, attackers) = swarm(true, lie, seed);
    network.run(until, |_| false);
    settle(&mut network, &honest);
    check(&network, &honest, &attackers);
    let defended = honest.iter().map(|&id| loss(network.learner(id))).fold(0.0, f32::max);

    let (mut network, honest, _) = swarm(false, lie, seed);
    network.run(until, |_| false);
    let open = honest.iter().map(|&id| loss(network.learner(id))).fold(0.0, f32::max);
    assert!(defended < 0.02, "defended: {defended}");
    assert!(open.is_nan() || open > 20.0 * defended, "without the defence {open}, with it {defended}");
}

#[test]
fn whoever_says_far_too_much_is_excluded_and_retracted() {
    attack(Lie::Scale(1e6), 1);
}

#[test]
fn whoever_says_the_opposite_is_excluded_and_retracted() {
    attack(Lie::Scale(-10.0), 2);
}

#[test]
fn whoever_makes_noise_is_excluded_and_retracted() {
    attack(Lie::Noise(2.0), 3);
}

#[test]
fn an_honest_swarm_holds_nobody() {
    let (mut network, honest, others) = swarm(true, Lie::None, 4);
    network.run(Time(0) + Span::from_secs(5), |_| false);
    for &id in honest.iter().chain(&others) {
        let view = network.peer(id).trust_view();
        assert_eq!((view.holds, view.excluded, view.votes), (vec![], vec![], 0));
        let held = network.events(id).iter().find(|event| matches!(event, Event::Held { .. }));
        assert_eq!(held, None);
        let account = view.accounts.get(&honest[1]).copied().unwrap_or_default();
        let credible = account.deltas > 100 && account.steps == 10 * account.deltas && account.bytes_served > 0;
        assert!(id == honest[1] || credible, "{account:?}");
    }
}

/// A header that says something else under a number that is taken.
fn forked(network: &Network, index: usize, id: PeerId) -> Message {
    let genuine = network.deltas.iter().rev().find(|d| d.header.origin == network.origin(id)).expect("it spoke");
    let header = protocol::log::Header { l2_norm: 0.0, ..genuine.header.clone() };
    let mut payload = Vec::new();
    DenseF32.encode(&[0.0; PARAMETERS], &mut payload);
    let identity = Identity::from_seed(&[index as u8 + 1; 32]);
    Message::Delta(protocol::log::Delta::sign(&network.context, header, payload, &identity).signed().clone())
}

#[test]
fn whoever_says_two_things_under_one_number_is_excluded_by_the_proof_alone() {
    let (mut network, honest, attackers) = swarm(true, Lie::None, 5);
    network.run(Time(0) + Span::from_secs(2), |_| false);
    // One peer hears the other version; the proof reaches everybody.
    let message = forked(&network, HONEST, attackers[0]);
    network.inject(attackers[0], honest[3], &message);
    network.run(network.now + Span::from_secs(2), |_| false);
    for &id in &honest {
        assert_eq!(excluded(&network, id), [attackers[0]].into());
    }
    // Whoever obeys nobody rests with the others here, so that what it says comes to an end.
    attackers.iter().for_each(|&id| network.input(id, protocol::Input::Rest));
    settle(&mut network, &honest);
    check(&network, &honest, &attackers[..1]);
}

#[test]
fn replayed_deltas_change_nothing() {
    let (mut network, honest, attackers) = swarm(true, Lie::None, 6);
    network.run(Time(0) + Span::from_secs(2), |_| false);
    for signed in network.deltas.iter().take(500).cloned().collect::<Vec<_>>() {
        network.inject(attackers[0], honest[0], &Message::Delta(signed));
    }
    network.run(network.now + Span::from_secs(1), |_| false);
    attackers.iter().for_each(|&id| network.input(id, protocol::Input::Rest));
    settle(&mut network, &honest);
    check(&network, &honest, &[]);
}

/// Votes of the last `colluders` of 16 against everybody else, to everybody, again and again.
fn collude(colluders: usize) -> (Network, Vec<PeerId>) {
    let mut network = Network::new(config(true), context(PARAMETERS, &DenseF32), Faults::NONE, 7);
    let peers = HONEST + ATTACKERS;
    let ids: Vec<_> = (0..peers).map(|index| network.start(index, peers, STEP)).collect();
    for round in 1..6 {
        network.run(network.now + Span::from_millis(1500), |_| false);
        for index in peers - colluders..peers {
            let identity = Identity::from_seed(&[index as u8 + 1; 32]);
            for victim in &ids[..2] {
                let window = (1, 1 << 40);
                let about = network.origin(*victim);
                let vote = Vote::sign(&network.context, &identity, about, window, Reason::Norm, round);
                ids.iter().for_each(|&to| network.inject(ids[index], to, &Message::Vote(vote.clone())));
            }
        }
    }
    network.run(network.now + Span::from_secs(1), |_| false);
    (network, ids)
}

#[test]
fn five_of_sixteen_exclude_nobody_and_hold_nobody_up() {
    let (network, ids) = collude(5);
    for &id in &ids {
        let view = network.peer(id).trust_view();
        assert_eq!((view.holds, view.excluded), (vec![], vec![]), "votes of others are no evidence");
    }
    assert!(network.peer(ids[9]).trust_view().votes >= 10, "they were heard");
}

#[test]
fn nine_of_sixteen_do() {
    let (network, ids) = collude(9);
    for &id in &ids[2..] {
        assert_eq!(excluded(&network, id), ids[..2].iter().copied().collect());
    }
}

#[test]
fn a_late_joiner_takes_the_exclusions_with_the_snapshot() {
    let (mut network, mut honest, attackers) = swarm(true, Lie::Scale(-10.0), 8);
    network.run(Time(0) + Span::from_secs(4), |_| false);
    assert_eq!(excluded(&network, honest[0]).len(), ATTACKERS);
    honest.push(network.start(HONEST + ATTACKERS, 2 * (HONEST + ATTACKERS) + 1, STEP));
    network.run(network.now + Span::from_secs(6), |_| false);
    let restored = network.events(honest[HONEST]).iter().any(|event| matches!(event, Event::SnapshotRestored { .. }));
    assert!(restored);
    settle(&mut network, &honest);
    let expected = base_hash(&expected_base(&network, honest[0]));
    for &id in &honest {
        assert_eq!(excluded(&network, id), attackers.iter().copied().collect());
        assert_eq!(base_hash(&network.learner(id).base), expected);
    }
}

#[test]
fn a_log_too_short_to_retract_takes_a_snapshot_without_the_lies() {
    // One peer's log holds a few deltas only; the others retract, it cannot.
    let mut network = Network::new(config(true), context(PARAMETERS, &DenseF32), Faults::NONE, 9);
    let mut honest: Vec<_> = (1..HONEST).map(|index| network.start(index, HONEST, STEP)).collect();
    network.config.gossip.log_bytes_max = 256 << 10;
    honest.push(network.start(0, HONEST, STEP));
    network.config = config(true);
    let attacker = network.start_attacker(HONEST, Lie::None, STEP);
    network.run(Time(0) + Span::from_secs(3), |_| false);
    let identity = Identity::from_seed(&[HONEST as u8 + 1; 32]);
    // It contradicts its own first delta.
    let first = network.deltas.iter().find(|d| d.header.origin == network.origin(attacker)).expect("it spoke").clone();
    let header = protocol::log::Header { l2_norm: 0.0, ..first.header.clone() };
    let mut payload = Vec::new();
    DenseF32.encode(&[0.0; PARAMETERS], &mut payload);
    let other = protocol::log::Delta::sign(&network.context, header, payload, &identity);
    network.inject(attacker, honest[0], &Message::Delta(other.signed().clone()));
    network.run(network.now + Span::from_millis(100), |_| false);
    let short = honest[HONEST - 1];
    assert_eq!(network.peer(short).trust_view().pending.len(), 1, "it cannot retract so much");
    network.run(network.now + Span::from_secs(5), |_| false);
    assert_eq!(network.peer(short).trust_view().pending, []);
    settle(&mut network, &honest);
    check_bases(&network, &honest);
    assert_eq!(excluded(&network, short), [attacker].into());
}

fn check_bases(network: &Network, honest: &[PeerId]) {
    let expected = base_hash(&expected_base(network, honest[0]));
    for &id in honest {
        assert_eq!(base_hash(&network.learner(id).base), expected, "b0 and all deltas that are not left out");
    }
}

#[test]
fn whoever_says_one_thing_here_and_another_there_is_found_by_its_marks() {
    let (mut network, honest, attackers) = swarm(true, Lie::None, 10);
    network.fork = Some(Fork {
        identity: Identity::from_seed(&[HONEST as u8 + 1; 32]),
        victims: honest[..6].to_vec(),
        chain: std::collections::BTreeMap::new(),
    });
    let liar: BTreeSet<PeerId> = [attackers[0]].into();
    network.run(Time(0) + Span::from_secs(30), |network| honest.iter().all(|&id| excluded(network, id) == liar));
    for &id in &honest {
        assert_eq!(excluded(&network, id), liar);
    }
    attackers.iter().for_each(|&id| network.input(id, protocol::Input::Rest));
    settle(&mut network, &honest);
    let bases: Vec<_> = honest.iter().map(|&id| base_hash(&network.learner(id).base)).collect();
    assert!(bases.iter().all(|base| *base == bases[0]));
}

#[test]
fn a_hold_without_a_majority_ends_and_what_waited_goes_in() {
    let mut network = Network::new(config(true), context(PARAMETERS, &DenseF32), Faults::NONE, 11);
    let mut ids: Vec<_> = (1..6).map(|index| network.start(index, 6, STEP)).collect();
    // One peer finds everybody suspicious who is longer than a tenth of the median.
    network.config.trust = Trust { suspect_norm_factor: 0.1, hold_max: Span::from_secs(2), ..Trust::default() };
    let nervous = network.start(0, 6, STEP);
    ids.push(nervous);
    network.run(Time(0) + Span::from_millis(4500), |_| false);
    assert!(!network.peer(nervous).trust_view().holds.is_empty());
    network.run(network.now + Span::from_secs(4), |_| false);
    let released = network.events(nervous).iter().filter(|event| matches!(event, Event::Released { .. })).count();
    assert!(released > 0);
    settle(&mut network, &ids);
    check_bases(&network, &ids);
    for &id in &ids {
        assert_eq!(excluded(&network, id), [].into(), "one voice excludes nobody");
    }
    assert_eq!(network.peer(nervous).trust_view().holds, []);
    check_audit(&network, nervous);
}

/// Twelve honest ones of whom the first `long` have the whole past in their logs, and one that contradicts its own first delta, long after
/// it has left the logs of the others.
fn swarm_with_short_logs(long: usize, seed: u64) -> (Network, Vec<PeerId>, PeerId) {
    let mut network = Network::new(config(true), context(PARAMETERS, &DenseF32), Faults::NONE, seed);
    let mut honest: Vec<_> = (0..long).map(|index| network.start(index, HONEST, STEP)).collect();
    network.config.gossip.log_bytes_max = 512 << 10;
    honest.extend((long..HONEST).map(|index| network.start(index, HONEST, STEP)));
    network.config = config(true);
    let liar = network.start_attacker(HONEST, Lie::None, STEP);
    network.run(Time(0) + Span::from_secs(3), |_| false);
    let first = network.deltas.iter().find(|d| d.header.origin == network.origin(liar)).expect("it spoke").clone();
    let identity = Identity::from_seed(&[HONEST as u8 + 1; 32]);
    let statement = |header: protocol::log::Header, value: f32| {
        let mut payload = Vec::new();
        DenseF32.encode(&[value; PARAMETERS], &mut payload);
        protocol::log::Delta::sign(&network.context, header, payload, &identity)
    };
    let rivals = [0.0, 1.0].map(|value| statement(first.header.clone(), value));
    let [a, b] = rivals.map(|rival| [rival.signed().clone()]);
    let proof = Equivocation::of(&network.context, &a, &b).expect("they contradict each other");
    network.inject(liar, honest[0], &Message::Exclusion(Exclusion::of_proof(proof)));
    (network, honest, liar)
}

#[test]
fn a_liar_whose_lie_has_left_every_log_is_left_out_from_where_it_stands() {
    let (mut network, honest, liar) = swarm_with_short_logs(0, 12);
    network.run(network.now + Span::from_secs(5), |_| false);
    for &id in &honest {
        assert_eq!(excluded(&network, id), [liar].into());
        let heard = network.peer(id).trust_view().excluded;
        assert!(heard[0].1 > 100, "what it said before stays: {heard:?}");
        assert!(!network.events(id).iter().any(|event| matches!(event, Event::SnapshotRestored { .. })));
    }
    settle(&mut network, &honest);
    check_bases(&network, &honest);
}

#[test]
fn what_one_log_alone_can_take_back_it_gives_to_the_others() {
    let (mut network, honest, liar) = swarm_with_short_logs(1, 13);
    network.run(network.now + Span::from_secs(20), |_| false);
    for &id in &honest {
        let view = network.peer(id).trust_view();
        assert_eq!((view.excluded, view.pending), (vec![(network.origin(liar), 1)], vec![]));
    }
    settle(&mut network, &honest);
    check_bases(&network, &honest);
}
