//! Data that are dealt anew as peers come and go, by real peers.

use std::fs;
use std::time::Duration;

use harness::{cli, swarm};

/// Training samples of the digits.
const DIGITS: u64 = 1437;

#[test]
fn the_data_are_dealt_among_those_who_live() {
    // It counts as living for ten seconds after its last word.
    let flags = ["--device", "cpu", "--duration", "16s", "--split", "rendezvous", "--kill", "2@1"];
    let (report, _) = swarm::sim(&flags, Duration::from_secs(180));
    swarm::assert_good(&report, 3, 0.93);
    let dealt: Vec<u64> =
        report.peers.iter().filter(|peer| peer.finished()).filter_map(|peer| peer.samples_dealt).collect();
    assert_eq!(dealt.len(), 3, "{dealt:?}");
    // For a moment two may think that a block is theirs, or none; and who ends first leaves its blocks to the others. Without a new deal a quarter
    // would be missing.
    let all: u64 = dealt.iter().sum();
    assert!((DIGITS * 85 / 100..=DIGITS * 3 / 2).contains(&all), "{dealt:?} of {DIGITS}");
}

#[test]
fn every_peer_keeps_checkpoints_of_its_own() {
    let home = tempfile::tempdir().unwrap();
    let kept = home.path().join("kept");
    let kept = kept.to_str().unwrap();
    let flags =
        ["--device", "cpu", "--peers", "2", "--epochs", "60", "--checkpoint", kept, "--checkpoint-every", "20epochs"];
    let (report, _) = swarm::sim(&flags, Duration::from_secs(120));
    assert!(report.peers.iter().all(|peer| peer.checkpoints > 0), "{report:?}");
    let hashes: Vec<String> = (0..2)
        .map(|peer| {
            let dir = format!("{kept}/peer-{peer}");
            let line = ["eval", "--checkpoint", &dir, "--device", "cpu", "--json", "-"];
            let measured = cli::run(home.path(), &line, Duration::from_secs(60));
            measured.assert_succeeds();
            let measured: serde_json::Value = serde_json::from_str(&measured.stdout).unwrap();
            assert!(measured["accuracy"].as_f64().unwrap() > 0.8, "{measured}");
            measured["model_hash"].as_str().unwrap().to_owned()
        })
        .collect();
    assert_eq!(hashes[0], hashes[1], "the last checkpoint is of the base that all agreed on");
    let again = ["sim", "--device", "cpu", "--checkpoint", kept];
    cli::run(home.path(), &again, Duration::from_secs(60)).assert_fails(3, &["--checkpoint", "another simulation"]);
    fs::write(home.path().join("file"), "x").unwrap();
    let file = home.path().join("file");
    let on_file = ["sim", "--device", "cpu", "--checkpoint", file.to_str().unwrap()];
    cli::run(home.path(), &on_file, Duration::from_secs(60)).assert_fails(3, &["--checkpoint", "file"]);
}
