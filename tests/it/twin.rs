//! `starling sim --twin`: the real thing agrees with the simulation.

use std::time::Duration;

use harness::cli::run;
use sim::report::TwinReport;

/// Of a machine with more processes than cores: short runs are not those that the claim is made for.
const BYTES_OFF_MAX: f64 = 0.25;
/// The same frames for each delta, whatever the machine does.
const BYTES_A_DELTA_OFF_MAX: f64 = 0.1;

#[test]
fn processes_and_virtual_peers_send_the_same_and_learn_the_same() {
    let home = tempfile::tempdir().unwrap();
    let json = home.path().join("twin.json");
    let arguments = ["sim", "--twin", "2", "--peers", "8", "--device", "cpu", "--json", json.to_str().unwrap()];
    let finished = run(home.path(), &arguments, Duration::from_secs(240));
    let report: TwinReport = serde_json::from_slice(&std::fs::read(&json).unwrap()).unwrap();
    assert_eq!(report.runs.len(), 2);
    assert_eq!(report.runs[1].seed, report.runs[0].seed + 1);
    assert!(finished.stdout.contains("virtual less real"), "{}", finished.stdout);
    let code = if report.holds { 0 } else { 1 };
    assert_eq!(finished.code(), code, "{}", finished.stderr);
    assert!(report.processes.deltas_said > 100.0, "{report:#?}");
    assert!(report.accuracy_difference.abs() < 0.03, "{report:#?}");
    assert!(report.bytes_difference.abs() < BYTES_OFF_MAX, "{report:#?}");
    assert!(report.bytes_a_delta_difference.abs() < BYTES_A_DELTA_OFF_MAX, "{report:#?}");
}

#[test]
fn what_twins_cannot_be_compared_in_is_refused() {
    let home = tempfile::tempdir().unwrap();
    for other in [&["--no-gossip"][..], &["--baseline"], &["--virtual"], &["--kill", "1@1"]] {
        let arguments = [&["sim", "--twin"][..], other].concat();
        run(home.path(), &arguments, Duration::from_secs(30)).assert_fails(2, &["--twin"]);
    }
}
