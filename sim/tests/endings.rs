//! How runs end: who agrees with whom, what is due too late, what heals when, and what is left of a run that is stopped.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use protocol::Config;
use protocol::codec::TopK2Bit;
use protocol::config::{Gossip, Mode, PartnerRule};
use protocol::id::{Hash, RunId};
use protocol::trust::Limits;
use sim::report::VirtualRun;
use sim::virtual_swarm::faults::{Action, FaultSpec};
use sim::virtual_swarm::scenario::{LearnerKind, QuadraticSpec, Scenario};
use sim::virtual_swarm::{Plan, Progress, Task, Until, peer_id, run};

fn plan(peers: u32, groups: u32, change: impl FnOnce(&mut Scenario)) -> Plan {
    let mut scenario = Scenario {
        peers,
        learner: LearnerKind::Quadratic,
        quadratic: QuadraticSpec { parameters: 32, ..QuadraticSpec::default() },
        steps: 1000,
        evaluations: 4,
        trust: false,
        ..Scenario::default()
    };
    change(&mut scenario);
    Plan {
        variant: String::new(),
        graph: Vec::new(),
        task: Task::Quadratic(scenario.quadratic),
        config: Config { gossip: Gossip { groups, ..Gossip::default() }, ..Config::default() },
        codec: &TopK2Bit,
        limits: Limits::OFF,
        run: RunId(Hash([5; 32])),
        job: Vec::new(),
        scenario,
    }
}

fn swarm(change: impl FnOnce(&mut Scenario)) -> VirtualRun {
    run(&plan(4, 1, change), 1, Until::default(), &mut |_| true)
}

fn fault(at_s: f64, action: Action, peers: &[u32], for_s: Option<f64>) -> FaultSpec {
    FaultSpec { at_s, action, peers: peers.to_vec(), for_s }
}

#[test]
fn nobody_agrees_with_nobody() {
    let all = fault(2.0, Action::Kill, &[0, 1, 2, 3], None);
    for groups in [1, 2] {
        let killed = run(&plan(4, groups, |s| s.faults = vec![all.clone()]), 1, Until::default(), &mut |_| true);
        assert!(!killed.agreed && killed.disagreed, "{groups} groups: {:?}", killed.moments);
    }
    let one = swarm(|scenario| scenario.faults = vec![fault(2.0, Action::Kill, &[0, 1, 2], None)]);
    assert!(one.agreed && !one.disagreed, "one is at one with itself");
}

#[test]
fn who_cannot_hear_each_other_disagree_where_agreement_is_asked_for() {
    let deaf = |agree_s: f64| {
        swarm(|scenario| {
            scenario.network.loss = 1.0;
            scenario.agree_s = agree_s;
        })
    };
    let asked = deaf(5.0);
    assert!(!asked.agreed && asked.disagreed);
    let not_asked = deaf(0.0);
    assert!(!not_asked.agreed && !not_asked.disagreed);
}

#[test]
fn what_is_due_after_the_end_prolongs_nothing_and_is_named() {
    let calm = swarm(|_| {});
    let late = swarm(|scenario| scenario.faults = vec![fault(39.5, Action::Kill, &[1], Some(500.0))]);
    assert_eq!((late.virtual_s, &late.trace_hash), (calm.virtual_s, &calm.trace_hash));
    assert_eq!(late.faults_left_out, ["kill at 39.5 s"]);
    let in_time = swarm(|scenario| scenario.faults = vec![fault(5.0, Action::Kill, &[1], Some(500.0))]);
    assert!(in_time.faults_left_out.is_empty() && !in_time.peers[1].alive);
    assert!(in_time.virtual_s < calm.virtual_s + 5.0, "{} s, without the fault {}", in_time.virtual_s, calm.virtual_s);
}

#[test]
fn the_end_of_a_short_fault_does_not_end_a_long_one() {
    for action in [Action::Cut, Action::Silence, Action::Pause] {
        let long = fault(2.0, action, &[0], Some(6.0));
        let both = vec![fault(2.0, action, &[0], Some(6.0)), fault(2.0, action, &[0], Some(1.0))];
        let one = swarm(|scenario| scenario.faults = vec![long]);
        let two = swarm(|scenario| scenario.faults = both);
        assert_eq!(one.trace_hash, two.trace_hash, "{action:?}");
        assert_ne!(one.trace_hash, swarm(|_| {}).trace_hash, "{action:?} does something");
    }
    let killed = swarm(|scenario| {
        scenario.faults = vec![fault(2.0, Action::Kill, &[0], Some(6.0)), fault(3.0, Action::Kill, &[0], Some(1.0))];
    });
    let back = killed.moments.iter().rfind(|moment| moment.peer == 0 && moment.what == "begins to train").unwrap();
    assert!(back.at_s >= 8.0, "back after {} s", back.at_s);
    assert_eq!(killed.peers[0].lives, 2);
}

#[test]
fn who_stands_still_for_ever_is_woken_for_the_end() {
    let paused = swarm(|scenario| scenario.faults = vec![fault(2.0, Action::Pause, &[0], None)]);
    assert!(paused.agreed && paused.violations.is_empty(), "{:?}", paused.violations);
}

#[test]
fn who_left_shortly_before_the_end_does_not_stand_in_the_way() {
    for groups in [1, 2] {
        let leaves = |scenario: &mut Scenario| scenario.faults = vec![fault(9.5, Action::Leave, &[0, 1, 2], None)];
        let left = run(&plan(8, groups, leaves), 1, Until::default(), &mut |_| true);
        assert!(left.agreed && left.violations.is_empty(), "{groups} groups: {:?}", left.violations);
        assert!(left.virtual_s < 19.0, "{groups} groups: nobody waits the 11 s that they take: {} s", left.virtual_s);
        assert!(left.peers[..3].iter().all(|peer| !peer.alive) && left.peers[3..].iter().all(|peer| peer.alive));
    }
}

#[test]
fn everybody_has_come_before_the_end() {
    // Each comes when those before it are through; with groups a term takes an incarnation, too: still all four are of the first moment.
    let slow = run(&plan(4, 2, |scenario| scenario.arrive_over_s = 44.0), 1, Until::default(), &mut |_| true);
    assert!(slow.agreed, "{:?}", slow.moments);
    assert!(slow.peers.iter().all(|peer| peer.alive && peer.lives == 1 && peer.steps >= 1000), "{:?}", slow.peers);
    assert_eq!(slow.peers.len(), 4);
}

#[test]
fn a_run_that_is_stopped_while_it_begins_or_between_two_looks_has_a_report() {
    let large = plan(2000, 1, |_| {});
    let stopped = run(&large, 1, Until::default(), &mut |_| false);
    assert!(stopped.interrupted && stopped.events == 0 && stopped.peers.is_empty(), "{stopped:?}");
    assert!(!stopped.disagreed, "it is not known");
    let mut last = 0;
    let stopped = run(&plan(64, 1, |_| {}), 1, Until::default(), &mut |progress: Progress| {
        assert!(progress.event < last + 100, "{} events went by unwatched", progress.event - last);
        last = progress.event;
        progress.event < 5000
    });
    assert!(stopped.interrupted && stopped.events < 5100, "{}", stopped.events);
}

#[test]
fn a_replay_stops_after_the_event_it_was_asked_for() {
    let whole = swarm(|_| {});
    let until = |event| run(&plan(4, 1, |_| {}), 1, Until { event: Some(event) }, &mut |_| true);
    assert_eq!(until(1234).events, 1234);
    assert_ne!(until(1233).trace_hash, until(1234).trace_hash);
    let last = until(whole.events);
    assert_eq!((last.events, &last.trace_hash), (whole.events, &whole.trace_hash));
}

#[test]
fn a_violation_is_seen_again_at_its_event_and_not_before() {
    // So far apart that weights of 32 bits wrap round.
    let wild = |until: Option<u64>| {
        let plan = plan(4, 1, |scenario| {
            scenario.quadratic = QuadraticSpec { parameters: 8, spread: 120.0, noise: 100.0, learning_rate: 1.0 };
            scenario.step_ms_each = vec![500.0];
            scenario.step_ms = 1.0;
        });
        run(&plan, 1, Until { event: until }, &mut |_| true)
    };
    let first = wild(None).violations[0].clone();
    assert_eq!(wild(Some(first.event)).violations.first(), Some(&first), "the replay sees it");
    assert_eq!(wild(Some(first.event - 1)).violations, [], "and it is this event");
}

#[test]
fn the_rule_fixed_keeps_to_its_graph() {
    let path = |edges: &[(u32, u32)]| {
        let mut plan = plan(4, 1, |_| {});
        plan.config.gossip.mode = Mode::Pairwise;
        plan.config.gossip.gain = 0.4;
        plan.config.gossip.partner = PartnerRule::Fixed;
        plan.codec = *protocol::codec::ALL.iter().find(|codec| codec.name() == "sign").unwrap();
        plan.graph = edges.iter().map(|&(a, b)| (peer_id(a), peer_id(b))).collect();
        run(&plan, 1, Until::default(), &mut |_| true)
    };
    let said = |run: &VirtualRun| run.peers.iter().map(|peer| peer.deltas_said > 0).collect::<Vec<_>>();
    let (whole, half) = (path(&[(0, 1), (1, 2), (3, 2)]), path(&[(0, 1)]));
    assert_eq!(said(&whole), [true; 4]);
    assert!(whole.agreed, "{whole:?}");
    assert_eq!(said(&half), [true, true, false, false]);
    assert!(half.disagreed);
}
