//! Whatever dies first, no process is left behind, and stopping is quick.

use std::path::Path;
use std::time::{Duration, Instant};

use harness::cli;
use nix::sys::signal::Signal;

/// Processes whose command line names `marker`.
fn processes_with(marker: &str) -> Vec<u32> {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|pid| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).into_owned();
        line.contains(marker) && line.contains("--child")
    })
    .collect()
}

/// A long sim whose children are told apart from those of other tests by the temporary directory in their arguments.
fn long_sim(home: &Path) -> (cli::Running, String) {
    let mut command = cli::command(home, &["sim", "--device", "cpu", "--epochs", "100000", "--peers", "3"]);
    command.env("TMPDIR", home);
    let mut running = cli::start(command);
    running.wait_for("first epoch", Duration::from_secs(60), |line| line.contains("epoch"));
    let marker = home.to_str().unwrap().to_owned();
    // A child may be between two programs for a moment.
    let until = Instant::now() + Duration::from_secs(30);
    while processes_with(&marker).len() != 3 {
        assert!(Instant::now() < until, "{:?}", processes_with(&marker));
        std::thread::sleep(Duration::from_millis(20));
    }
    (running, marker)
}

fn assert_all_gone(marker: &str, deadline: Duration) {
    let until = Instant::now() + deadline;
    while !processes_with(marker).is_empty() {
        assert!(Instant::now() < until, "left behind: {:?}", processes_with(marker));
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn ctrl_c_ends_everything_within_two_seconds() {
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let home = tempfile::tempdir().unwrap();
        let (running, marker) = long_sim(home.path());
        let since = Instant::now();
        running.signal(signal);
        let finished = running.finish(Duration::from_secs(30));
        let took = since.elapsed();
        assert_eq!(finished.code(), 130, "{}", finished.stderr);
        // Two seconds, and a margin for a machine that runs other tests at the same time.
        assert!(took < Duration::from_secs(12), "{took:?}");
        assert_all_gone(&marker, Duration::from_secs(3));
    }
}

#[test]
fn a_killed_launcher_takes_its_children_with_it() {
    let home = tempfile::tempdir().unwrap();
    let (running, marker) = long_sim(home.path());
    running.signal(Signal::SIGKILL);
    assert_all_gone(&marker, Duration::from_secs(15));
    drop(running);
}

#[test]
fn a_peer_by_itself_stops_gracefully() {
    let home = tempfile::tempdir().unwrap();
    let arguments = ["run", "--open", "--no-mdns", "--listen", "/ip4/127.0.0.1/tcp/0", "--device", "cpu"];
    let mut running = cli::start(cli::command(home.path(), &arguments));
    running.wait_for("first epoch", Duration::from_secs(60), |line| line.contains("epoch"));
    let since = Instant::now();
    running.signal(Signal::SIGTERM);
    let finished = running.finish(Duration::from_secs(30));
    finished.assert_succeeds();
    assert!(since.elapsed() < Duration::from_secs(12), "{:?}", since.elapsed());
}
