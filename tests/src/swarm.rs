//! Looking at the report of a `sim`.

use std::path::Path;
use std::time::Duration;

use sim::report::SimReport;

use crate::cli::{self, Finished};

/// Runs `starling sim` with these arguments and reads its report.
///
/// # Panics
/// When it fails, or writes no report.
#[must_use]
pub fn sim(arguments: &[&str], deadline: Duration) -> (SimReport, Finished) {
    let (report, finished) = sim_to_any_end(arguments, deadline);
    finished.assert_succeeds();
    (report, finished)
}

/// The same, whatever its exit code.
///
/// # Panics
/// When there is no report.
#[must_use]
pub fn sim_to_any_end(arguments: &[&str], deadline: Duration) -> (SimReport, Finished) {
    let home = tempfile::tempdir().expect("a directory");
    let report = home.path().join("report.json");
    let mut all = vec!["sim", "--json", report.to_str().expect("UTF-8")];
    all.extend(arguments);
    let finished = cli::run(home.path(), &all, deadline);
    (read(&report), finished)
}

/// Reads a report.
///
/// # Panics
/// When there is none.
#[must_use]
pub fn read(path: &Path) -> SimReport {
    let text = std::fs::read_to_string(path).expect("the report was written");
    serde_json::from_str(&text).expect("the report is what it says it is")
}

/// Asserts that all peers that finished hold one base, and that this base is good.
pub fn assert_good(report: &SimReport, peers: usize, accuracy_min: f32) {
    let finished: Vec<_> = report.peers.iter().filter(|peer| peer.finished()).collect();
    assert_eq!(finished.len(), peers, "{report:#?}");
    assert!(report.base_hashes_equal, "{report:#?}");
    for peer in finished {
        let accuracy = peer.test_accuracy.unwrap_or(0.0);
        assert!(accuracy >= accuracy_min, "peer {}: {accuracy} < {accuracy_min}", peer.index);
    }
}
