//! Groups with delegates: inside a group equal sets are equal bases (every run is checked for it after every command), and all
//! groups come to the optimum of all, whoever dies.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use protocol::Config;
use protocol::codec::TopK2Bit;
use protocol::config::Gossip;
use protocol::id::{Hash, RunId};
use protocol::trust::Limits;
use sim::report::VirtualRun;
use sim::virtual_swarm::faults::{Action, FaultSpec};
use sim::virtual_swarm::scenario::{LearnerKind, QuadraticSpec, Scenario};
use sim::virtual_swarm::{Plan, Task, Until, run};

fn swarm(peers: u32, groups: u32, change: impl FnOnce(&mut Scenario)) -> VirtualRun {
    let mut scenario = Scenario {
        peers,
        learner: LearnerKind::Quadratic,
        // Peers differ in what they pull towards: a group alone does not find the mean of all.
        quadratic: QuadraticSpec { parameters: 64, spread: 0.3, noise: 0.02, learning_rate: 0.02 },
        steps: 3000,
        evaluations: 4,
        agree_s: 120.0,
        trust: false,
        ..Scenario::default()
    };
    change(&mut scenario);
    let plan = Plan {
        variant: String::new(),
        graph: Vec::new(),
        task: Task::Quadratic(scenario.quadratic),
        config: Config { gossip: Gossip { groups, ..Gossip::default() }, ..Config::default() },
        codec: &TopK2Bit,
        limits: Limits::OFF,
        run: RunId(Hash([5; 32])),
        job: Vec::new(),
        scenario,
    };
    run(&plan, 1, Until::default(), &mut |_| true)
}

fn assert_sound(run: &VirtualRun) {
    assert!(run.violations.is_empty(), "{:?}", run.violations);
    assert!(run.agreed, "{:?}", run.moments);
}

fn fault(at_s: f64, action: Action, peers: &[u32], for_s: Option<f64>) -> FaultSpec {
    FaultSpec { at_s, action, peers: peers.to_vec(), for_s }
}

#[test]
fn groups_of_unequal_size_come_to_the_optimum_of_all() {
    let flat = swarm(16, 1, |_| {});
    let grouped = swarm(16, 4, |_| {});
    assert_sound(&grouped);
    let spread = grouped.spread_worst.unwrap();
    assert!(spread < 0.02, "groups are {spread} apart");
    let (loss, reference) = (grouped.loss_worst.unwrap(), flat.loss_worst.unwrap());
    assert!(loss < reference + 2e-3, "{loss}, without groups {reference}");
    assert!(grouped.bytes_received_mean < 0.7 * flat.bytes_received_mean, "{grouped:?}");
    let groups: std::collections::BTreeSet<_> = grouped.peers.iter().map(|peer| &peer.base_hash).collect();
    assert!(groups.len() <= 4, "a base a group, at most: {}", groups.len());
}

#[test]
fn delegates_that_die_are_followed_by_others() {
    let killed = swarm(16, 4, |scenario| {
        scenario.faults = vec![
            fault(6.0, Action::KillDelegates, &[], Some(3.0)),
            fault(14.0, Action::KillDelegates, &[], None),
            fault(20.0, Action::Join, &[0, 1], None),
        ];
    });
    assert_sound(&killed);
    let terms = killed.moments.iter().filter(|moment| moment.what.starts_with("speaks for group")).count();
    assert!(terms >= 8, "{terms} terms");
    let (loss, spread) = (killed.loss_worst.unwrap(), killed.spread_worst.unwrap());
    assert!(spread < 0.02, "groups are {spread} apart");
    assert!(loss < 0.01, "{loss}");
}

#[test]
fn groups_of_one_and_faults_of_every_kind_keep_the_account() {
    let run = swarm(6, 4, |scenario| {
        scenario.steps = 1500;
        scenario.network.loss = 0.05;
        scenario.network.duplicate = 0.05;
        scenario.network.jitter_ms = 50.0;
        scenario.faults = vec![
            fault(3.0, Action::Cut, &[0, 1, 2], Some(2.0)),
            fault(7.0, Action::Crash, &[3, 4], Some(1.0)),
            fault(9.0, Action::Pause, &[5], Some(1.0)),
        ];
    });
    assert_sound(&run);
}
