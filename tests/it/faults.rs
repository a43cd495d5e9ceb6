//! Peers that die, and peers that come back with nothing.

use std::time::Duration;

use harness::swarm::{assert_good, sim, sim_to_any_end};

/// Enough that the training lasts longer than the faults take: what is due after its end does not happen.
const EPOCHS: &str = "3000";

#[test]
fn the_others_go_on_when_one_is_killed() {
    let arguments = ["--device", "cpu", "--epochs", EPOCHS, "--kill", "2@1.5"];
    let (report, _) = sim(&arguments, Duration::from_secs(120));
    assert_good(&report, 3, 0.93);
    assert_eq!(report.peers[2].ending, "killed");
    let living = [0, 1, 3].map(|i| &report.peers[i]);
    assert!(living.iter().all(|peer| peer.epochs >= EPOCHS.parse().unwrap()), "nobody waited, everybody finished");
}

#[test]
fn a_killed_peer_comes_back_from_nothing_by_snapshot() {
    let arguments = ["--device", "cpu", "--epochs", EPOCHS, "--kill", "2@1.5", "--restart", "2@3"];
    let (report, _) = sim(&arguments, Duration::from_secs(180));
    assert_good(&report, 4, 0.93);
    assert_eq!(report.peers[2].lives, 2);
    assert!(report.peers[2].caught_up_deltas.is_some_and(|deltas| deltas > 0), "{report:#?}");
}

#[test]
fn the_first_peer_may_die_too() {
    let arguments = ["--device", "cpu", "--epochs", EPOCHS, "--kill", "0@1.5"];
    let (report, _) = sim(&arguments, Duration::from_secs(120));
    assert_good(&report, 3, 0.93);
}

#[test]
fn a_swarm_that_was_killed_whole_comes_back_as_one() {
    let mut arguments = vec!["--device", "cpu", "--peers", "3", "--epochs", EPOCHS];
    for (kill, restart) in [("0@1.5", "0@2"), ("1@1.5", "1@2"), ("2@1.5", "2@2")] {
        arguments.extend(["--kill", kill, "--restart", restart]);
    }
    let (report, _) = sim(&arguments, Duration::from_secs(180));
    assert_good(&report, 3, 0.93);
    assert!(report.peers.iter().all(|peer| peer.lives == 2), "{report:#?}");
}

#[test]
fn a_swarm_that_was_killed_for_good_has_no_model_and_says_so() {
    let mut arguments = vec!["--device", "cpu", "--peers", "2", "--epochs", EPOCHS];
    arguments.extend(["--kill", "0@1.5", "--kill", "1@1.5"]);
    let (report, finished) = sim_to_any_end(&arguments, Duration::from_secs(60));
    finished.assert_fails(1, &["every peer was killed and none came back", "--restart"]);
    assert!(report.peers.iter().all(|peer| peer.ending == "killed") && !report.base_hashes_equal, "{report:#?}");
    assert!(finished.stdout.contains("unknown: no peer got to its end"), "{}", finished.stdout);
}

#[test]
fn peers_without_gossip_are_not_compared() {
    let (report, finished) = sim(&["--device", "cpu", "--no-gossip", "--epochs", "5"], Duration::from_secs(60));
    assert!(report.peers.iter().all(|peer| peer.finished() && peer.base_hash.is_none()), "{report:#?}");
    assert!(finished.stdout.contains("they did not gossip"), "{}", finished.stdout);
}

#[test]
fn a_synchronous_swarm_survives_a_kill_and_takes_the_peer_back() {
    let arguments =
        ["--device", "cpu", "--mode", "full_sync", "--epochs", EPOCHS, "--kill", "2@1.5", "--restart", "2@3"];
    let (report, _) = sim(&arguments, Duration::from_secs(180));
    assert_good(&report, 4, 0.93);
    assert_eq!(report.peers[2].lives, 2);
    // Rounds: nobody who lived through it has said more than the others.
    let said = [0, 1, 3].map(|i| report.peers[i].deltas_said);
    assert!(said.iter().all(|other| other.abs_diff(said[0]) <= 2), "{said:?}");
}

/// On a real device of wgpu, lavapipe where there is nothing else: training goes on, and the peers end with one base.
#[test]
fn a_peer_whose_device_is_lost_opens_it_again_and_agrees_with_the_others() {
    let arguments = ["--peers", "3", "--epochs", "150", "--lose-device", "1@2", "--lose-device", "2@2.5"];
    let (report, finished) = sim(&arguments, Duration::from_secs(300));
    if report.peers[0].backend == "cpu" {
        eprintln!("SKIPPED: there is no GPU and no software Vulkan here");
        return;
    }
    assert_good(&report, 3, 0.9);
    let lost: Vec<u32> = report.peers.iter().map(|peer| peer.devices_lost).collect();
    assert_eq!(lost, [0, 1, 1], "{}", finished.stdout);
    assert!(report.peers.iter().all(|peer| peer.device == report.peers[0].device), "{report:#?}");
    assert!(finished.stdout.contains("it was opened again"), "{}", finished.stdout);
}
