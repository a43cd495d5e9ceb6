//! Two machines on one network, nothing configured: network namespaces, real mDNS.

use std::time::Duration;

use harness::cli;
use harness::netns::{Lan, available};
use harness::swarm::{assert_good, read, sim};

const FIND_MAX: Duration = Duration::from_secs(60);

#[test]
fn two_peers_that_hold_one_job_file_meet_and_others_do_not() {
    if !available() {
        return;
    }
    let lan = Lan::new(3);
    let home = tempfile::tempdir().unwrap();
    let path = |name: &str| home.path().join(name).to_str().unwrap().to_owned();
    for job in ["ours.toml", "theirs.toml"] {
        cli::run(home.path(), &["job", "init", &path(job)], FIND_MAX).assert_succeeds();
    }
    let start = |host: u8, job: &str| {
        let own = home.path().join(format!("host{host}"));
        let report = path(&format!("{host}.json"));
        let arguments = ["run", "--job", &path(job), "--device", "cpu", "--epochs", "2000", "--json", &report];
        cli::start(lan.starling(host, &own, &arguments))
    };
    let stranger = start(3, "theirs.toml");
    let mut left = start(1, "ours.toml");
    let mut right = start(2, "ours.toml");
    for peer in [&mut left, &mut right] {
        peer.wait_for("neighbour", FIND_MAX, |line| line.contains("neighbour"));
    }
    for (host, peer) in [(1, left), (2, right)] {
        peer.finish(Duration::from_secs(120)).assert_succeeds();
        let report = read(&home.path().join(format!("{host}.json")));
        // They end when their own epochs are over, not together, so their last bases are not those of one moment.
        assert!(report.peers[0].deltas_heard > 0 && report.peers[0].test_accuracy > Some(0.9), "{report:#?}");
    }
    let alone = stranger.finish(Duration::from_secs(120));
    alone.assert_succeeds();
    let report = read(&home.path().join("3.json"));
    assert_eq!(report.peers[0].deltas_heard, 0, "peers of different jobs never mix");
}

#[test]
fn a_simulation_in_namespaces_finds_itself_by_mdns() {
    if !available() {
        return;
    }
    let (report, _) = sim(&["--netns", "--device", "cpu", "--peers", "3", "--epochs", "40"], Duration::from_secs(120));
    assert_good(&report, 3, 0.90);
    assert!(report.peers.iter().all(|peer| peer.deltas_heard > 0));
}
