//! `starling sim`, as the README's first command runs it.

use std::time::Duration;

use harness::swarm::{assert_good, sim};

#[test]
fn four_processes_train_one_model_on_the_cpu() {
    let (report, finished) = sim(&["--device", "cpu"], Duration::from_secs(120));
    assert_good(&report, 4, 0.96);
    assert!(report.peers.iter().all(|peer| peer.backend == "cpu"));
    assert!(report.peers.iter().all(|peer| peer.deltas_said > 0 && peer.deltas_heard >= 3 * 10));
    assert!(report.bytes_ratio.unwrap() > 10.0, "{report:#?}");
    // Not a terminal: one plain line a peer and epoch, no escape codes.
    assert!(!finished.stdout.contains('\u{1b}') && !finished.stderr.contains('\u{1b}'));
    let epochs = report.peers.iter().map(|peer| peer.epochs as usize).min().unwrap();
    let model =
        finished.stdout.lines().filter(|line| line.starts_with("mlp of ") && line.ends_with("of memory a peer"));
    assert_eq!(model.count(), 1, "what a peer trains and takes, once for all: {}", finished.stdout);
    assert!(finished.stdout.lines().filter(|line| line.contains(" epoch ")).count() >= 4 * epochs);
}

#[test]
fn and_on_whatever_device_there_is() {
    let (report, _) = sim(&["--epochs", "12"], Duration::from_secs(180));
    assert_good(&report, 4, 0.80);
}

#[test]
fn who_is_quiet_says_the_summary_and_what_is_wrong() {
    let home = tempfile::tempdir().unwrap();
    let say = |arguments: &[&str]| harness::cli::run(home.path(), arguments, Duration::from_secs(120));
    let run = ["run", "--no-gossip", "--dashboard", "none", "--device", "cpu", "--threads", "1", "--epochs", "3"];
    let sim = ["sim", "--device", "cpu", "--peers", "2", "--epochs", "20"];
    for loud in [&run[..], &sim[..]] {
        let [told, quiet] = [say(loud), say(&[loud, &["--quiet"]].concat())];
        told.assert_succeeds();
        quiet.assert_succeeds();
        let epochs =
            |text: &str| text.lines().filter(|line| line.contains("epoch ") && line.contains("steps/s ")).count();
        assert!(epochs(&told.stdout) >= 3 && told.stdout.contains("  left "), "{}", told.stdout);
        assert_eq!(epochs(&quiet.stdout), 0, "{}", quiet.stdout);
        let last = |text: &str| text.lines().last().unwrap_or("").split(' ').next().unwrap_or("").to_owned();
        assert!(!quiet.stdout.is_empty() && last(&quiet.stdout) == last(&told.stdout), "{}", quiet.stdout);
        assert!(quiet.stdout.lines().count() < told.stdout.lines().count() && quiet.stderr.is_empty(), "{quiet:?}");
    }
    let wrong = say(&["run", "--no-gossip", "--dashboard", "none", "--quiet", "--device", "nothing of that name"]);
    wrong.assert_fails(5, &["nothing of that name", "hint"]);
}

#[test]
fn sgd_and_the_dense_codec_train_too() {
    // Long enough that whichever process starts first has not gone half the way alone: 20 epochs take a twentieth of a
    // second, and ended anywhere from 88 to 98 %.
    let arguments =
        ["--device", "cpu", "--optimizer", "sgd", "--codec", "dense_f32", "--peers", "2", "--epochs", "100"];
    let (report, _) = sim(&arguments, Duration::from_secs(120));
    assert_good(&report, 2, 0.93);
}

#[test]
fn gossip_earns_its_keep_where_data_differ() {
    let arguments = ["--device", "cpu", "--split", "dirichlet:0.1", "--peers", "8", "--baseline"];
    let (report, finished) = sim(&arguments, Duration::from_secs(240));
    assert_good(&report, 8, 0.93);
    let alone = report.no_gossip_test_accuracy_mean.unwrap();
    assert!(alone < 0.75, "{alone}");
    assert!(finished.stdout.contains("gossip"), "{}", finished.stdout);
}

#[test]
fn where_the_time_of_a_step_goes_is_told() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("trace.json");
    let arguments = ["device", "profile", "--device", "cpu", "--steps", "3", "--trace", file.to_str().unwrap()];
    let out = harness::cli::run(home.path(), &arguments, Duration::from_secs(60));
    out.assert_succeeds();
    for named in ["linear_forward", "sgd", "of best", "best product", "a step of 16 samples"] {
        assert!(out.stdout.contains(named), "{named} in {}", out.stdout);
    }
    let trace: serde_json::Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    let spans = trace["traceEvents"].as_array().unwrap().iter().filter(|event| event["ph"] == "X");
    assert!(spans.count() > 8, "{trace}");
}

#[test]
fn own_data_are_trained_on() {
    let data = tempfile::tempdir().unwrap();
    harness::data::write_stripes(data.path(), 240);
    let path = data.path().to_str().unwrap();
    let arguments = ["--device", "cpu", "--data", path, "--peers", "3", "--model", "16", "--epochs", "60"];
    let (report, _) = sim(&arguments, Duration::from_secs(60));
    assert_good(&report, 3, 0.99);
}
