//! The shared model answers while it is trained.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use harness::peer::Peer;
use harness::{cli, http};
use serde_json::{Value, json};
use shaders::data;

const WAIT_MAX: Duration = Duration::from_secs(90);
/// Issue 6: an answer of the MLP, at the 99th of 100.
const P99_MAX: Duration = Duration::from_millis(20);
/// Issue 6: training while somebody asks.
const SLOWER_MAX: f64 = 0.05;
/// Requests while it is measured.
const ASK_EVERY: Duration = Duration::from_millis(20);
/// Issue 7: memory of the dashboard with ten viewers, kB.
const DASHBOARD_KB_MAX: i64 = 30 * 1024;

/// A peer with a dashboard, alone on its machine.
fn peer(home: &Path, more: &[&str]) -> (Peer, String) {
    let key = home.join("peer.key");
    let mut arguments = vec!["run", "--child", "--no-mdns", "--listen", "/ip4/127.0.0.1/tcp/0", "--device", "cpu"];
    arguments.extend(["--threads", "1", "--epochs", "1000000", "--identity", key.to_str().unwrap()]);
    arguments.extend(["--dashboard", "127.0.0.1:0"]);
    arguments.extend(more);
    let mut peer = Peer::start(cli::command(home, &arguments));
    peer.until("it trains", WAIT_MAX, |peer| peer.status.steps > 0);
    let note = peer.notes.iter().find_map(|note| note.split_once("dashboard on "));
    let address = note.expect("it says where").1.split(' ').next().unwrap().to_owned();
    (peer, address)
}

fn samples(n: usize) -> (Value, Vec<u32>) {
    let set = data::embedded("digits").unwrap();
    let inputs: Vec<&[f32]> = set.test.features.resident().unwrap().chunks(set.features()).take(n).collect();
    (json!({ "inputs": inputs }), set.test.labels[..n].to_vec())
}

#[test]
fn a_peer_predicts_with_the_base_it_names() {
    let home = tempfile::tempdir().unwrap();
    let (mut peer, server) = peer(home.path(), &["--open"]);
    peer.until("it has learnt something", WAIT_MAX, |peer| peer.status.epoch >= 60);
    let (inputs, labels) = samples(200);
    let asked = Instant::now();
    // What answers may be a second old, and in a second all is learnt.
    let first = loop {
        let first = http::json(&http::post(&server, "/v1/predict", &inputs.to_string()));
        let predictions = first["predictions"].as_array().unwrap_or_else(|| panic!("{first}"));
        let right = predictions.iter().zip(&labels).filter(|(said, label)| said["class"] == **label).count();
        if right > 160 {
            break first;
        }
        assert!(asked.elapsed() < WAIT_MAX, "{right} of {} right", labels.len());
        std::thread::sleep(ASK_EVERY);
    };
    let predictions = first["predictions"].as_array().unwrap();
    let sum: f64 = predictions[0]["probabilities"].as_array().unwrap().iter().filter_map(Value::as_f64).sum();
    assert!((sum - 1.0).abs() < 1e-6, "{sum}");
    assert!(
        first["model"]["samples"].as_u64().unwrap() > 0 && first["model"]["base_hash"].as_str().unwrap().len() == 64
    );
    // The model goes on, and so do the answers.
    let begun = Instant::now();
    loop {
        let then = http::json(&http::post(&server, "/v1/predict", &inputs.to_string()));
        if then["model"]["base_hash"] != first["model"]["base_hash"] {
            break;
        }
        assert!(begun.elapsed() < WAIT_MAX, "answers follow the training");
        std::thread::sleep(Duration::from_millis(300));
    }
    for (path, body, wanted) in
        [("/v1/predict", "{\"inputs\":[[1,2]]}", "the model takes 64"), ("/v1/generate", "{\"prompt\":\"a\"}", "422")]
    {
        let answer = http::post(&server, path, body);
        assert!(answer.contains("422") && answer.contains(wanted) && answer.contains("hint"), "{answer}");
    }
}

#[test]
fn numbers_of_a_table_are_asked_about_as_they_stand_there() {
    let home = tempfile::tempdir().unwrap();
    let [table, job] = ["table.csv", "job.toml"].map(|name| home.path().join(name));
    // Far from 0, with two kinds that lie 60 apart.
    let row = |i: u32| format!("{},{}\n", 5000 + i % 2 * 60 + i % 7, i % 2);
    fs::write(&table, format!("size,label\n{}", (0..200).map(row).collect::<String>())).unwrap();
    let data = format!("[data]\npath = \"{}\"\n[optimizer]\nkind = \"adam\"\nlearning_rate = 0.01\n", table.display());
    fs::write(&job, format!("[model]\nkind = \"mlp\"\nhidden = [8]\n{data}")).unwrap();
    let (mut peer, server) = peer(home.path(), &["--open", "--job", job.to_str().unwrap()]);
    peer.until("it has learnt something", WAIT_MAX, |peer| peer.status.epoch >= 60);
    let asked = Instant::now();
    loop {
        let said = http::json(&http::post(&server, "/v1/predict", "{\"inputs\":[[5002],[5064],[5001],[5066]]}"));
        let classes: Vec<&Value> = said["predictions"].as_array().unwrap().iter().map(|one| &one["class"]).collect();
        if classes == [0, 1, 0, 1] {
            break;
        }
        assert!(asked.elapsed() < WAIT_MAX, "{said}");
        std::thread::sleep(ASK_EVERY);
    }
}

#[test]
fn a_language_model_continues_a_text_while_it_trains() {
    let home = tempfile::tempdir().unwrap();
    let text = home.path().join("text.txt");
    fs::write(&text, "to be or not to be, that is the question. ".repeat(400)).unwrap();
    let job = home.path().join("job.toml");
    let model = "[model]\nkind = \"lm\"\ncontext = 16\nwidth = 32\nlayers = 1\nheads = 2\n";
    let data = format!("[data]\npath = \"{}\"\nbatch = 8\n", text.display());
    fs::write(&job, format!("{model}\n{data}\n[training]\nepochs = 1000000\n")).unwrap();
    let (_peer, server) = peer(home.path(), &["--job", job.to_str().unwrap()]);
    let wish = json!({ "prompt": "to be ", "bytes": 40, "temperature": 0.5, "seed": 1 }).to_string();
    let answer = http::post(&server, "/v1/generate", &wish);
    assert!(answer.contains("text/event-stream") && answer.contains("event: model"), "{answer}");
    assert!(answer.contains("event: text") && answer.contains("event: end"), "{answer}");
    let refused = http::post(&server, "/v1/predict", "{\"inputs\":[[0]]}");
    assert!(refused.contains("422"), "{refused}");
}

fn steps(server: &str) -> f64 {
    http::json(&http::get(server, "/v1/status"))["training"]["steps"].as_f64().unwrap()
}

/// Steps a second over that time.
fn pace(server: &str, time: Duration) -> f64 {
    let (begun, first) = (Instant::now(), steps(server));
    std::thread::sleep(time);
    (steps(server) - first) / begun.elapsed().as_secs_f64()
}

/// Answers of a server that is asked every so often, for that long; and steps a second of the peer meanwhile.
fn asked(server: &str, body: &str, time: Duration, took: &mut Vec<Duration>) -> f64 {
    let (all, first) = (Instant::now(), steps(server));
    while all.elapsed() < time {
        let begun = Instant::now();
        let answer = http::post(server, "/v1/predict", body);
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        took.push(begun.elapsed());
        std::thread::sleep(ASK_EVERY.saturating_sub(begun.elapsed()));
    }
    (steps(server) - first) / all.elapsed().as_secs_f64()
}

/// `cargo nextest run -p tests --run-ignored only predictions_are_fast --no-capture`: a window without requests and one with them take turns, so
/// that what else the machine does is in both.
#[test]
#[ignore = "a measurement: wants a machine that does nothing else"]
fn predictions_are_fast_and_training_hardly_notices() {
    const WINDOW: Duration = Duration::from_secs(4);
    const ROUNDS: usize = 8;
    let home = tempfile::tempdir().unwrap();
    let job = home.path().join("job.toml");
    fs::write(&job, "[model]\nkind = \"mlp\"\nhidden = [128]\n").unwrap();
    let (_peer, server) = peer(home.path(), &["--job", job.to_str().unwrap()]);
    let body = samples(1).0.to_string();
    // The first one waits for a model to be made.
    asked(&server, &body, Duration::from_millis(1), &mut Vec::new());
    let (mut took, mut ratios) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        // Whichever comes first may have the calmer half of the round.
        let mut pair = [0.0; 2];
        for with in if round % 2 == 0 { [false, true] } else { [true, false] } {
            pair[usize::from(with)] =
                if with { asked(&server, &body, WINDOW, &mut took) } else { pace(&server, WINDOW) };
        }
        println!("round {round}: {:.0} steps/s alone, {:.0} while asked", pair[0], pair[1]);
        ratios.push(pair[1] / pair[0]);
    }
    took.sort();
    ratios.sort_by(f64::total_cmp);
    let at = |share: usize| took[took.len() * share / 100];
    let (p50, p99, most) = (at(50), at(99), took[took.len() - 1]);
    let slower = 1.0 - f64::midpoint(ratios[(ROUNDS - 1) / 2], ratios[ROUNDS / 2]);
    let verdict = |held| if held { "held" } else { "MISSED" };
    println!(
        "{} answers: p50 {p50:?}, p99 {p99:?}, most {most:?} (p99 of at most {P99_MAX:?}: {})",
        took.len(),
        verdict(p99 <= P99_MAX)
    );
    println!(
        "training while asked every {ASK_EVERY:?}: {:.1} % slower in the median of {ROUNDS} rounds, {:.1} to {:.1} % (less than {:.0} %: {})",
        100.0 * slower,
        100.0 * (1.0 - ratios[ROUNDS - 1]),
        100.0 * (1.0 - ratios[0]),
        100.0 * SLOWER_MAX,
        verdict(slower < SLOWER_MAX)
    );
    assert!(p99 <= P99_MAX && slower < SLOWER_MAX, "what must hold is missed: see above");
}

#[test]
#[ignore = "a measurement: wants a machine that does nothing else"]
fn ten_viewers_cost_next_to_nothing() {
    use std::io::{Read as _, Write as _};
    const WINDOW: Duration = Duration::from_secs(8);
    let home = tempfile::tempdir().unwrap();
    let (peer, server) = peer(home.path(), &["--open"]);
    let memory = || {
        let status = fs::read_to_string(format!("/proc/{}/status", peer.pid())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap().to_owned();
        line.split_whitespace().nth(1).unwrap().parse::<i64>().unwrap()
    };
    let (before, memory_before) = (pace(&server, WINDOW), memory());
    let host = server.trim_start_matches("http://").trim_end_matches('/').to_owned();
    for _ in 0..10 {
        let mut stream = std::net::TcpStream::connect(&host).unwrap();
        write!(stream, "GET /v1/events HTTP/1.1\r\nhost: {host}\r\n\r\n").unwrap();
        let server = server.clone();
        std::thread::spawn(move || {
            let (mut bytes, mut last) = ([0; 4096], Instant::now());
            while stream.read(&mut bytes).is_ok_and(|n| n > 0) {
                // As the page does.
                if last.elapsed() > Duration::from_secs(2) {
                    last = Instant::now();
                    let _ = http::get(&server, "/v1/history");
                }
            }
        });
    }
    let (during, memory_during) = (pace(&server, WINDOW), memory());
    println!(
        "steps/s {before:.0} alone, {during:.0} with ten viewers; resident {memory_before} kB, {memory_during} kB"
    );
    assert!(memory_during - memory_before < DASHBOARD_KB_MAX);
    assert!(during > 0.98 * before, "{:.1} % slower", 100.0 * (1.0 - during / before));
}
