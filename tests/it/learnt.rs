//! What the jobs of `docs/jobs` must come to: figures that take minutes, and that fail when they are missed.
//!
//! `cargo nextest run --workspace --run-ignored only -E 'test(learnt)' --no-capture`, with nothing beside it.

use std::collections::BTreeSet;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use flate2::read::GzDecoder;
use harness::cli;
use harness::documented::root;
use harness::swarm::sim;
use sim::report::SimReport;

/// Must hold, on two cores.
const WALL_MAX: Duration = Duration::from_secs(15 * 60);
/// Letters of a word that chance does not make.
const WORD_LETTERS: usize = 4;
/// Share of such words that stand in the plays. guess: letters in the frequencies of pairs come to a third.
const KNOWN_MIN: f64 = 0.75;

fn job(name: &str) -> PathBuf {
    root().join("docs/jobs").join(name)
}

/// Four peers on the CPU.
fn trained(name: &str, epochs: &str, more: &[&str]) -> SimReport {
    let job = job(name);
    let arguments = ["--peers", "4", "--device", "cpu", "--epochs", epochs, "--job", job.to_str().unwrap()];
    let begun = Instant::now();
    let (report, _) = sim(&[&arguments, more].concat(), 2 * WALL_MAX);
    let loss = report.peers.iter().filter_map(|peer| peer.test_loss).fold(0.0, f32::max);
    let accuracy = report.peers.iter().filter_map(|peer| peer.test_accuracy).fold(1.0, f32::min);
    println!(
        "{name} --epochs {epochs}: {:.1} % and {loss:.3} nats on the worst of {} peers, {:.0} s",
        100.0 * accuracy,
        report.peers.len(),
        begun.elapsed().as_secs_f64()
    );
    assert!(report.base_hashes_equal, "{report:#?}");
    assert!(begun.elapsed() <= WALL_MAX, "{:?}, the limit is {WALL_MAX:?}", begun.elapsed());
    report
}

fn assert_accuracy(report: &SimReport, least: f32) {
    for peer in &report.peers {
        assert!(peer.test_accuracy.unwrap() >= least, "peer {}: {:?}", peer.index, peer.test_accuracy);
    }
}

#[test]
#[ignore = "a figure: half a minute of both cores, and wants Debian's dataset-fashion-mnist"]
fn learnt_fashion_by_a_perceptron() {
    assert_accuracy(&trained("fashion-mlp.toml", "9", &[]), 0.87);
}

#[test]
#[ignore = "a figure: half a minute of both cores, and wants Debian's dataset-fashion-mnist"]
fn learnt_fashion_where_peers_see_different_clothes() {
    assert_accuracy(&trained("fashion-skewed.toml", "8", &[]), 0.85);
}

#[test]
#[ignore = "a figure: minutes of both cores, and wants Debian's dataset-fashion-mnist"]
fn learnt_fashion_by_convolutions() {
    assert_accuracy(&trained("fashion-cnn.toml", "9", &[]), 0.9);
}

#[test]
#[ignore = "a figure: a quarter of an hour of both cores"]
fn learnt_shakespeare_and_writes_in_its_manner() {
    let home = tempfile::tempdir().unwrap();
    let kept = home.path().join("kept");
    let report = trained("shakespeare.toml", "6", &["--checkpoint", kept.to_str().unwrap()]);
    for peer in &report.peers {
        // Bigrams come to 2.47.
        assert!(peer.test_loss.unwrap() <= 1.75, "peer {}: {:?} nats", peer.index, peer.test_loss);
    }
    let written = write(home.path(), &kept.join("peer-0"));
    println!("{written}");
    let known = words(&plays());
    let said: Vec<String> = letters(&written).collect();
    let right = said.iter().filter(|word| known.contains(*word)).count();
    println!("{right} of {} words of {WORD_LETTERS} letters and more stand in the plays", said.len());
    assert!(said.len() >= 100 && right as f64 >= KNOWN_MIN * said.len() as f64);
    assert!(written.lines().count() >= 20, "verses");
}

fn write(home: &Path, kept: &Path) -> String {
    let arguments =
        ["generate", "--checkpoint", kept.to_str().unwrap(), "--prompt", "HAMLET", "--tokens", "2000", "--seed", "1"];
    let done = cli::run(home, &arguments, Duration::from_secs(120));
    done.assert_succeeds();
    done.stdout
}

fn plays() -> String {
    let mut text = String::new();
    let file = std::fs::File::open(root().join("shaders/src/data/shakespeare/plays.txt.gz")).unwrap();
    GzDecoder::new(file).read_to_string(&mut text).unwrap();
    text
}

fn letters(text: &str) -> impl Iterator<Item = String> {
    text.split(|c: char| !c.is_alphabetic()).filter(|word| word.len() >= WORD_LETTERS).map(str::to_lowercase)
}

fn words(text: &str) -> BTreeSet<String> {
    letters(text).collect()
}
