//! `starling sim --virtual`: one seed is one trace, expectations decide the exit code, a page and a report come out.

use std::path::Path;
use std::time::Duration;

use harness::cli::{Finished, command, run, start};
use nix::sys::signal::Signal;
use sim::report::VirtualReport;

const SCENARIO: &str = r#"
name = "small"
about = "six peers and a quadratic, with a cut"
peers = 6
learner = "quadratic"
steps = 200
evaluations = 4
seeds = 2
[quadratic]
parameters = 64
[network]
loss = 0.05
jitter_ms = 20
[[faults]]
at_s = 0.5
action = "cut"
peers = [0, 1]
for_s = 0.5
[[expect]]
metric = "violations"
at_most = 0
every_seed = true
[[expect]]
metric = "base_hashes_equal"
at_least = 1
every_seed = true
"#;

fn sim(home: &Path, scenario: &str, arguments: &[&str]) -> Finished {
    let file = home.join("scenario.toml");
    std::fs::write(&file, scenario).unwrap();
    let mut all = vec!["sim", "--virtual", file.to_str().unwrap()];
    all.extend(arguments);
    run(home, &all, Duration::from_secs(120))
}

fn report(home: &Path, name: &str) -> VirtualReport {
    serde_json::from_slice(&std::fs::read(home.join(name)).unwrap()).unwrap()
}

#[test]
fn the_same_seed_is_the_same_trace_and_another_is_not() {
    let home = tempfile::tempdir().unwrap();
    let (a, b, page) = (home.path().join("a.json"), home.path().join("b.json"), home.path().join("page.html"));
    let flags = ["--json", a.to_str().unwrap(), "--html", page.to_str().unwrap()];
    sim(home.path(), SCENARIO, &flags).assert_succeeds();
    sim(home.path(), SCENARIO, &["--json", b.to_str().unwrap()]).assert_succeeds();
    let (a, b) = (report(home.path(), "a.json"), report(home.path(), "b.json"));
    let traces = |report: &VirtualReport| report.runs.iter().map(|run| run.trace_hash.clone()).collect::<Vec<_>>();
    assert_eq!(traces(&a), traces(&b));
    assert_eq!(a.runs.len(), 2);
    assert_ne!(a.runs[0].trace_hash, a.runs[1].trace_hash);
    let page = std::fs::read_to_string(page).unwrap();
    assert!(page.contains("<svg") && !page.contains("src=\"http"), "one file, nothing fetched");
    let paths = [home.path().join("a.json"), home.path().join("b.json")];
    let compare = ["sim", "compare", paths[0].to_str().unwrap(), paths[1].to_str().unwrap()];
    run(home.path(), &compare, Duration::from_secs(30)).assert_succeeds();
}

#[test]
fn an_expectation_that_does_not_hold_is_a_failure() {
    let home = tempfile::tempdir().unwrap();
    let scenario = format!("{SCENARIO}\n[[expect]]\nmetric = \"loss_mean\"\nat_most = -1\n");
    let finished = sim(home.path(), &scenario, &["--seeds", "1..2"]);
    finished.assert_fails(1, &["1 of 3 expectations do not hold"]);
    assert!(finished.stdout.contains("DOES NOT HOLD"), "{}", finished.stdout);
}

#[test]
fn a_scenario_that_cannot_be_run_is_named() {
    let home = tempfile::tempdir().unwrap();
    sim(home.path(), "peers = 0\n", &[]).assert_fails(3, &["peers"]);
    sim(home.path(), "peeers = 4\n", &[]).assert_fails(3, &["peeers"]);
    sim(home.path(), "[[faults]]\nat_s = 1\naction = \"explode\"\n", &[]).assert_fails(3, &["explode"]);
    sim(home.path(), "[job.gossip]\ngain = 99\n", &[]).assert_fails(3, &["gain"]);
}

#[test]
fn pairwise_peers_come_close_and_one_seed_is_one_trace() {
    let home = tempfile::tempdir().unwrap();
    let own = "[job.gossip]\nmode = \"pairwise\"\n[[expect]]\nmetric = \"agreed\"\nat_least = 1\nevery_seed = true\n\
               [[expect]]\nmetric = \"spread_worst\"\nat_most = 0.1\nevery_seed = true\n";
    let bases = "[[expect]]\nmetric = \"base_hashes_equal\"\nat_least = 1\nevery_seed = true\n";
    let scenario = format!("{}{own}", SCENARIO.replace(bases, ""));
    let traces = ["a.json", "b.json"].map(|name| {
        let path = home.path().join(name);
        sim(home.path(), &scenario, &["--json", path.to_str().unwrap()]).assert_succeeds();
        report(home.path(), name).runs.iter().map(|run| run.trace_hash.clone()).collect::<Vec<_>>()
    });
    assert_eq!(traces[0], traces[1]);
}

#[test]
fn peers_that_do_not_agree_are_a_failure_that_can_be_replayed() {
    let home = tempfile::tempdir().unwrap();
    let deaf = "name = \"deaf\"\npeers = 3\nlearner = \"quadratic\"\nsteps = 100\nevaluations = 1\nagree_s = 2\n\
                [[variants]]\nname = \"all hear\"\n[[variants]]\nname = \"none hears\"\nnetwork.loss = 1\n";
    let finished = sim(home.path(), deaf, &["--seeds", "5..6", "--gain", "2"]);
    finished.assert_fails(1, &["1 runs did not come to agreement", "agree_s"]);
    let replay = finished.stdout.lines().find_map(|line| line.split_once("replay: starling ")).unwrap().1;
    assert!(replay.ends_with("--gain 2 --variant 'none hears' --seed 5"), "{replay}");
    let again = sim(home.path(), deaf, &["--gain", "2", "--variant", "none hears", "--seed", "5"]);
    again.assert_fails(1, &["1 runs did not come to agreement"]);
    sim(home.path(), deaf, &["--variant", "all hear"]).assert_succeeds();
    sim(home.path(), &deaf.replace("agree_s = 2", "agree_s = 0"), &[]).assert_succeeds();
    let dead = "[[faults]]\nat_s = 0.5\naction = \"kill\"\npeers = [0, 1, 2]\n";
    let finished = sim(home.path(), &format!("peers = 3\nlearner = \"quadratic\"\nsteps = 100\n{dead}"), &[]);
    finished.assert_fails(1, &["1 runs did not come to agreement"]);
    assert!(finished.stdout.contains("nobody lives"), "{}", finished.stdout);
}

#[test]
fn a_fault_that_came_too_late_is_named() {
    let home = tempfile::tempdir().unwrap();
    let finished = sim(home.path(), &SCENARIO.replace("at_s = 0.5", "at_s = 500"), &[]);
    finished.assert_succeeds();
    assert!(finished.stdout.contains("cut at 500 s did not happen"), "{}", finished.stdout);
}

#[test]
fn ctrl_c_leaves_a_report_whatever_goes_on() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("scenario.toml");
    // One is still beginning, of the other many seeds are through.
    let beginning = "peers = 50000\nlearner = \"quadratic\"\n[job.gossip]\ngroups = 64\n".to_owned();
    for (name, text, seeds) in [("begin.json", &beginning, "1..2"), ("many.json", &SCENARIO.to_owned(), "1..100000")] {
        std::fs::write(&file, text).unwrap();
        let json = home.path().join(name);
        let arguments =
            ["sim", "--virtual", file.to_str().unwrap(), "--seeds", seeds, "--json", json.to_str().unwrap()];
        let running = start(command(home.path(), &arguments));
        std::thread::sleep(Duration::from_millis(2500));
        running.signal(Signal::SIGINT);
        let finished = running.finish(Duration::from_secs(60));
        finished.assert_fails(130, &["stopped before the end"]);
        let report = report(home.path(), name);
        assert!(report.interrupted && !report.holds && !report.judged && report.wall_s > 0.0, "{name}");
    }
}
