//! The audit log of real peers: sound after a kill, and not after an alteration.

use std::fs;
use std::path::Path;
use std::time::Duration;

use harness::{cli, swarm};
use serde_json::Value;

/// What `audit verify --json -` finds, and its exit code.
fn verify(home: &Path, dir: &Path, more: &[&str]) -> (Value, i32) {
    let all = [&["audit", "verify", dir.to_str().unwrap(), "--json", "-"], more].concat();
    let finished = cli::run(home, &all, Duration::from_secs(60));
    (serde_json::from_str(&finished.stdout).expect("JSON"), finished.code())
}

#[test]
fn the_logs_of_a_swarm_are_sound_after_a_kill_and_show_an_alteration() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("audit");
    let flags = ["--device", "cpu", "--epochs", "3000", "--kill", "2@1.5", "--restart", "2@3"];
    let (report, _) = swarm::sim(&[&flags[..], &["--audit", dir.to_str().unwrap()]].concat(), Duration::from_secs(180));
    swarm::assert_good(&report, 4, 0.93);
    for peer in &report.peers {
        let (found, code) = verify(home.path(), &dir.join(format!("peer-{}", peer.index)), &[]);
        assert_eq!((code, &found["sound"]), (0, &true.into()), "{found:#}");
        assert_eq!(
            (found["peer"].as_str(), found["starts"].as_u64()),
            (Some(peer.id.as_str()), Some(peer.lives.into()))
        );
    }
    // Whom it met, what it took, how it caught up, and that it came to its end.
    let killed = dir.join("peer-2");
    let show = |kind: &str| {
        let finished = cli::run(
            home.path(),
            &["audit", "show", killed.to_str().unwrap(), "--kind", kind],
            Duration::from_secs(60),
        );
        finished.assert_succeeds();
        finished.stdout
    };
    assert!(show("admit").contains(&report.peers[0].id) && show("accept").contains(&report.peers[0].id));
    assert!(show("snapshot").contains("what=taken"));
    assert_eq!(show("stop").lines().count(), 1, "the first life had no time for it");

    let (found, _) = verify(home.path(), &killed, &[]);
    let head = found["head"].as_str().unwrap().to_owned();
    assert_eq!(verify(home.path(), &killed, &["--head", &head]).1, 0);
    let file = killed.join("audit-000001.jsonl");
    let text = fs::read_to_string(&file).unwrap();
    // One neighbour becomes another.
    fs::write(&file, text.replacen(&report.peers[0].id, &report.peers[1].id, 1)).unwrap();
    let (found, code) = verify(home.path(), &killed, &[]);
    assert_eq!(code, 3);
    assert_eq!(found["problems"].as_array().unwrap().len(), 1, "{found:#}");
    // The end is gone, cleanly.
    let cut = text.trim_end().rfind('\n').unwrap() + 1;
    fs::write(&file, &text[..cut]).unwrap();
    assert_eq!(verify(home.path(), &killed, &[]).1, 0, "a chain does not know its end");
    assert_eq!(verify(home.path(), &killed, &["--head", &head]).1, 3);
    // A simulation has new identities, and these logs have theirs.
    let again = ["sim", "--device", "cpu", "--audit", dir.to_str().unwrap()];
    cli::run(home.path(), &again, Duration::from_secs(60)).assert_fails(3, &["--audit", "another simulation"]);
}

#[test]
fn every_checkpoint_is_a_record() {
    let home = tempfile::tempdir().unwrap();
    let [dir, kept] = ["log", "kept"].map(|name| home.path().join(name));
    let flags =
        ["run", "--no-gossip", "--device", "cpu", "--epochs", "4", "--checkpoint-every", "1epochs", "--keep", "9"];
    let places = ["--audit", dir.to_str().unwrap(), "--checkpoint", kept.to_str().unwrap()];
    cli::run(home.path(), &[&flags[..], &places].concat(), Duration::from_secs(60)).assert_succeeds();
    let show = ["audit", "show", dir.to_str().unwrap(), "--kind", "checkpoint"];
    let shown = cli::run(home.path(), &show, Duration::from_secs(60));
    shown.assert_succeeds();
    let written = fs::read_dir(&kept).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut written: Vec<_> = written.filter(|name| name.starts_with("step-")).collect();
    let words = shown.stdout.split_whitespace().filter_map(|word| word.strip_prefix("file="));
    let mut told: Vec<_> = words.map(str::to_owned).collect();
    written.sort();
    told.sort();
    assert_eq!(told, written, "{}", shown.stdout);
    // Between the first and the last the disk may be busy: what is left out then has no record.
    assert!(written.len() >= 2 && shown.stdout.contains("what=written"), "{}", shown.stdout);
    assert_eq!(verify(home.path(), &dir, &[]).1, 0);
}

#[test]
fn a_log_that_cannot_be_kept_or_read() {
    let home = tempfile::tempdir().unwrap();
    let alone = ["run", "--no-gossip", "--device", "cpu", "--epochs", "1", "--audit"];
    let run = |dir: &str| cli::run(home.path(), &[&alone[..], &[dir]].concat(), Duration::from_secs(60));
    run("/proc/audit").assert_fails(3, &["/proc/audit", "--audit"]);
    run("none").assert_succeeds();
    let dir = home.path().join("log");
    run(dir.to_str().unwrap()).assert_succeeds();
    let file = dir.join("audit-000001.jsonl");
    let text = fs::read_to_string(&file).unwrap();
    assert_eq!(text.lines().count(), 3, "file, start, stop: {text}");
    // Half a line of a peer that was killed is mended, a whole one that is altered is not written on.
    fs::write(&file, format!("{text}{{\"seq\":3,\"ti")).unwrap();
    assert_eq!(verify(home.path(), &dir, &[]).1, 3);
    run(dir.to_str().unwrap()).assert_succeeds();
    assert_eq!(verify(home.path(), &dir, &[]).1, 0);
    fs::write(&file, text.replace("done", "dead")).unwrap();
    run(dir.to_str().unwrap()).assert_fails(3, &["damaged", "audit verify"]);
    let audit = |arguments: &[&str]| cli::run(home.path(), &[&["audit"], arguments].concat(), Duration::from_secs(60));
    audit(&["verify", home.path().to_str().unwrap()]).assert_fails(3, &["audit-NNNNNN", "below it"]);
    audit(&["show", "/proc/none"]).assert_fails(3, &["/proc/none"]);
    audit(&["show", "x", "--kind", "nonsense"]).assert_fails(2, &["nonsense", "admit"]);
    audit(&["verify", "x", "--head", "abc"]).assert_fails(2, &["64 hex digits"]);
}
