//! `starling device bench`: one command has every figure, whatever the device, and says what it left out.

use std::fs;
use std::path::Path;
use std::time::Duration;

use harness::cli::{self, Finished};

/// A quick look takes ten seconds on two cores, and other tests run beside it.
const DEADLINE: Duration = Duration::from_secs(180);

fn bench(home: &Path, arguments: &[&str]) -> Finished {
    cli::run(home, &[&["device", "bench"], arguments].concat(), DEADLINE)
}

#[test]
fn a_quick_look_at_the_cpu_has_every_key_and_no_number_that_is_none() {
    let home = tempfile::tempdir().unwrap();
    // A rival that does everything at 1 Gflop/s and one step a second.
    let rival = home.path().join("rival.json");
    let product = r#"{"m": 256, "n": 256, "k": 256, "gflops": 1.0}"#;
    let step = r#"{"model": "mlp 784-512-10", "batch": 128, "steps_per_s": 1.0}"#;
    let text = format!(r#"{{"rival": "slow", "device": "d", "matmul": [{product}], "steps": [{step}]}}"#);
    fs::write(&rival, text).unwrap();
    let arguments =
        ["--device", "cpu", "--threads", "1", "--quick", "--json", "-", "--against", rival.to_str().unwrap()];
    let found = bench(home.path(), &arguments);
    found.assert_succeeds();
    let report: serde_json::Value = serde_json::from_str(&found.stdout).unwrap();
    let positive = |value: &serde_json::Value| value.as_f64().is_some_and(|value| value > 0.0);
    assert_eq!((&report["backend"], &report["threads"]), (&"cpu".into(), &1.into()));
    assert!(positive(&report["copy_gbs"]) && positive(&report["budget_s"]), "{report}");
    for key in ["m", "n", "k", "gflops", "reference_gflops"] {
        assert!(positive(&report["matmul"][0][key]), "{key}: {report}");
    }
    assert!(report["matmul"][0]["reference"].as_str().is_some_and(|name| name.contains("gemm")));
    for (piece, keys) in [("adam", ["parameters", "gbs", "of_copy"]), ("top_k", ["gbs", "of_copy", "encode_s"])] {
        assert!(keys.iter().all(|key| positive(&report[piece][key])), "{piece}: {report}");
    }
    for key in ["batch", "parameters", "steps_per_s", "steps_per_cpu_s"] {
        assert!(positive(&report["steps"][0][key]), "{key}: {report}");
    }
    assert_eq!(report["steps"][0]["model"], "mlp 784-512-10");
    // What is not there is named: the largest model takes minutes a step here.
    let left = report["left_out"].as_array().unwrap();
    assert!(left.iter().any(|left| left["what"].as_str().is_some_and(|what| what.starts_with("lm 124M"))), "{left:?}");
    assert!(left.iter().all(|left| left["why"].as_str().is_some_and(|why| !why.is_empty())));
    assert!(report["against"].as_array().unwrap().iter().all(|pair| positive(&pair["ratio"])));
    assert_eq!(report["against"].as_array().unwrap().len(), 2, "{report}");
    // People read standard error then.
    for line in ["matmul", "left out", "slow on d", "adam beside the copy"] {
        assert!(found.stderr.contains(line), "{line}: {}", found.stderr);
    }
}

#[test]
fn what_cannot_be_meant_is_an_error_before_anything_is_measured() {
    let home = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| bench(home.path(), arguments);
    run(&["--threads", "0"]).assert_fails(2, &["--threads"]);
    run(&["--nonsense"]).assert_fails(2, &["--nonsense"]);
    run(&["--device", "voodoo2"]).assert_fails(5, &["voodoo2", "cpu"]);
    run(&["--json", "/proc/here.json"]).assert_fails(3, &["--json", "/proc/here.json"]);
    run(&["--against", "none.json"]).assert_fails(3, &["--against", "none.json", "pytorch.py"]);
    let rival = home.path().join("rival.json");
    fs::write(&rival, "{\"matmul\": []}").unwrap();
    run(&["--against", rival.to_str().unwrap()]).assert_fails(3, &["rival.json", "missing field"]);
}
