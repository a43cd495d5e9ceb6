//! `starling plot` of what runs leave: reports, metrics, checkpoints.

use std::time::Duration;

use harness::cli;

/// Generous: the machine may be busy with other tests.
const WAIT_MAX: Duration = Duration::from_secs(120);

#[test]
fn everything_that_a_run_leaves_can_be_drawn() {
    let home = tempfile::tempdir().unwrap();
    let at = |name: &str| home.path().join(name).to_str().unwrap().to_owned();
    let [swarm, virtual_swarm, metrics, kept] = ["swarm.json", "virtual.json", "metrics.csv", "kept"].map(at);
    let starling = |line: &str| cli::run(home.path(), &line.split(' ').collect::<Vec<_>>(), WAIT_MAX);
    starling(&format!("sim --peers 2 --epochs 6 --device cpu --json {swarm}")).assert_succeeds();
    starling(&format!("sim --virtual --peers 4 --epochs 3 --json {virtual_swarm}")).assert_succeeds();
    let run = "run --open --no-gossip --epochs 5 --device cpu --audit none --dashboard none --threads 1";
    starling(&format!("{run} --identity {} --metrics {metrics} --checkpoint {kept}", at("key"))).assert_succeeds();

    let report: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(&swarm).unwrap()).unwrap();
    for peer in report["peers"].as_array().unwrap() {
        let curve = peer["curve"].as_array().unwrap();
        assert!(curve.len() >= 6, "an evaluation an epoch: {curve:?}");
        let last = curve.last().unwrap();
        // It trains on until all have done their part.
        assert_eq!((&last["epoch"], &last["test_accuracy"]), (&peer["epochs"], &peer["test_accuracy"]));
        assert!(last["bytes_sent"].as_u64() <= peer["bytes_sent"].as_u64(), "{peer}");
    }

    let (svg, png) = (at("all.svg"), at("all.png"));
    let drawn = starling(&format!("plot {swarm} {virtual_swarm} {metrics} {kept} --out {svg}"));
    drawn.assert_succeeds();
    let text = std::fs::read_to_string(&svg).unwrap();
    for words in [
        ">swarm</text>",
        ">virtual</text>",
        ">metrics</text>",
        "test accuracy",
        "bytes sent",
        "kept: ",
        "each as an image",
    ] {
        assert!(text.contains(words), "{words}");
    }
    assert!(text.contains("<polygon") && text.matches("<image").count() > 10, "a spread of peers, and images");
    starling(&format!("plot {swarm} {kept} --x seconds --scale 1 --out {png}")).assert_succeeds();
    let bytes = std::fs::read(&png).unwrap();
    assert!(bytes.starts_with(b"\x89PNG\r\n\x1a\n") && bytes.len() > 20_000, "{} bytes", bytes.len());

    starling(&format!("plot {swarm} --out {}", at("all.gif"))).assert_fails(2, &["all.gif", ".svg or .png"]);
    starling(&format!("plot {virtual_swarm} --x epochs --out {svg}"))
        .assert_fails(2, &["no run has figures", "seconds"]);
    starling(&format!("plot {} --out {svg}", at("none.json"))).assert_fails(3, &["none.json"]);
    starling(&format!("plot {} --out {svg}", home.path().display())).assert_fails(3, &["checkpoint"]);
    assert!(!home.path().join("all.gif").exists(), "what is refused leaves nothing");
}
