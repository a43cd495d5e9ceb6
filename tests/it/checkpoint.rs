//! A run that was stopped, by whatever, and goes on.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use harness::cli::{Finished, binary, command, run, start};
use nix::sys::signal::Signal;
use nix::unistd::Uid;
use serde_json::Value;

const DEADLINE: Duration = Duration::from_secs(60);
/// Alone, on the executor whose bits are the same everywhere.
const ALONE: [&str; 6] = ["run", "--no-gossip", "--device", "cpu", "--audit", "none"];

fn with<'a>(first: &[&'a str], rest: &[&'a str]) -> Vec<&'a str> {
    [first, rest].concat()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// Steps of the checkpoints in a folder, the most first.
fn steps(dir: &Path) -> Vec<u64> {
    let Ok(entries) = fs::read_dir(dir) else { return Vec::new() };
    let name = |entry: std::io::Result<fs::DirEntry>| entry.unwrap().file_name().into_string().unwrap();
    let step = |name: String| name.strip_prefix("step-").map(|rest| rest.split('.').next().unwrap().parse().unwrap());
    let mut steps: Vec<u64> = entries.map(name).filter_map(step).collect();
    steps.sort_unstable_by(|a, b| b.cmp(a));
    steps
}

fn newest(dir: &Path) -> PathBuf {
    dir.join(format!("step-{}", steps(dir)[0]))
}

/// The numbers of a safetensors file, without its header: who wrote it is another matter.
fn numbers(path: &Path) -> Vec<u8> {
    let bytes = fs::read(path).unwrap();
    let header = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    bytes[8 + header..].to_vec()
}

fn assert_same_training(a: &Path, b: &Path) {
    let [model, state] =
        ["model.safetensors", "state.safetensors"].map(|file| [a, b].map(|dir| numbers(&dir.join(file))));
    assert!(model[0] == model[1], "the models differ");
    assert!(state[0] == state[1], "base, theta, moments or order differ");
    assert!(model[0].iter().any(|byte| *byte != 0));
}

#[test]
fn a_resumed_run_ends_as_one_that_was_never_stopped() {
    let home = tempfile::tempdir().unwrap();
    let [straight, stopped] = ["straight", "stopped"].map(|name| home.path().join(name));
    let job = home.path().join("job.toml");
    // A rate that changes on the way, and an optimizer with moments.
    let schedule =
        "[optimizer]\nkind = \"adam\"\nwarm_up_samples = 3000\nschedule = \"cosine\"\ntotal_samples = 15000\n";
    fs::write(&job, schedule).unwrap();
    let alone = |rest: &[&str]| {
        let all = with(&with(&ALONE, &["--job", text(&job)]), rest);
        let finished = run(home.path(), &all, DEADLINE);
        finished.assert_succeeds();
        finished
    };
    alone(&["--epochs", "12", "--checkpoint", text(&straight), "--checkpoint-every", "100epochs"]);
    alone(&["--epochs", "5", "--checkpoint", text(&stopped), "--checkpoint-every", "2epochs", "--keep", "9"]);
    assert_eq!(steps(&stopped).len(), 3, "after epochs 2 and 4, and in the end");
    let again = alone(&["--epochs", "12", "--resume", text(&stopped), "--checkpoint-every", "100epochs"]);
    assert!(again.stdout.contains("going on from"), "{}", again.stdout);
    assert_same_training(&newest(&straight), &newest(&stopped));
    // Another rate would have been seen.
    let other = home.path().join("other");
    fs::write(&job, schedule.replace("15000", "15001")).unwrap();
    alone(&["--epochs", "12", "--checkpoint", text(&other), "--checkpoint-every", "100epochs"]);
    assert!(
        numbers(&newest(&other).join("model.safetensors")) != numbers(&newest(&straight).join("model.safetensors"))
    );
}

#[test]
fn a_peer_that_nobody_has_heard_goes_on_with_its_chain_to_the_bit() {
    let home = tempfile::tempdir().unwrap();
    let [straight, killed] = ["straight", "killed"].map(|name| home.path().join(name));
    let listening = [
        "run",
        "--open",
        "--device",
        "cpu",
        "--no-mdns",
        "--no-upnp",
        "--listen",
        "/ip4/127.0.0.1/tcp/0",
        "--epochs",
        "300",
    ];
    let [first, second] = ["first.json", "second.json"].map(|name| home.path().join(name));
    run(home.path(), &with(&listening, &["--checkpoint", text(&straight), "--json", text(&first)]), DEADLINE)
        .assert_succeeds();
    let begun = start(command(
        home.path(),
        &with(&listening, &["--checkpoint", text(&killed), "--checkpoint-every", "7epochs"]),
    ));
    wait_for("three checkpoints", || steps(&killed).len() >= 3);
    begun.signal(Signal::SIGKILL);
    drop(begun);
    run(home.path(), &with(&listening, &["--resume", text(&killed), "--json", text(&second)]), DEADLINE)
        .assert_succeeds();
    let peer = |path: &Path| json(path)["peers"][0].clone();
    let [first, second] = [peer(&first), peer(&second)];
    assert_eq!(first["base_hash"], second["base_hash"]);
    assert_eq!((&first["steps"], &first["deltas_said"]), (&second["steps"], &second["deltas_said"]), "one chain");
    assert_same_training(&newest(&straight), &newest(&killed));
}

#[test]
fn a_peer_that_was_heard_comes_back_as_a_new_life_and_contradicts_nobody() {
    let [home, other] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let kept = home.path().join("kept");
    let [theirs, ours] = ["theirs.json", "ours.json"].map(|name| home.path().join(name));
    let quiet = [
        "run",
        "--open",
        "--device",
        "cpu",
        "--no-mdns",
        "--no-upnp",
        "--no-relay",
        "--listen",
        "/ip4/127.0.0.1/tcp/0",
    ];
    let mut neighbour = start(command(other.path(), &with(&quiet, &["--epochs", "100000", "--json", text(&theirs)])));
    let line = neighbour.wait_for("an address", DEADLINE, |line| line.contains("listening on"));
    let address = line.split_whitespace().last().unwrap();
    let linked = with(&quiet, &["--peer", address]);
    let first = start(command(
        home.path(),
        &with(&linked, &["--epochs", "100000", "--checkpoint", text(&kept), "--checkpoint-every", "200ms"]),
    ));
    wait_for("some checkpoints", || steps(&kept).first().is_some_and(|steps| *steps > 500));
    first.signal(Signal::SIGKILL);
    drop(first);
    let steps_before = steps(&kept)[0];
    let epochs = (steps_before / 22 + 300).to_string();
    let finished = run(
        home.path(),
        &with(&linked, &["--epochs", &epochs, "--resume", text(&kept), "--json", text(&ours)]),
        DEADLINE,
    );
    finished.assert_succeeds();
    neighbour.signal(Signal::SIGTERM);
    let _ = neighbour.finish(DEADLINE);
    let [theirs, ours] = [theirs, ours].map(|path| json(&path)["peers"][0].clone());
    assert_eq!((&theirs["deltas_refused"], &ours["deltas_refused"]), (&0.into(), &0.into()));
    assert!(theirs["deltas_heard"].as_u64().unwrap() > 0);
    // Its chain is a new one: it has said fewer deltas than the steps of both lives would make.
    let said = ours["deltas_said"].as_u64().unwrap();
    assert!(said > 0 && said <= (ours["steps"].as_u64().unwrap() - steps_before) / 2, "{said} of {}", ours["steps"]);
    // It has stopped as it should, so everything that it said is written down, and this chain may go on; until a life comes of which nothing is kept.
    assert_eq!(marks(home.path()), 1);
    run(home.path(), &with(&ALONE, &["--open", "--epochs", "1"]), DEADLINE).assert_succeeds();
    assert_eq!(marks(home.path()), 1, "it has spoken to nobody");
    run(home.path(), &with(&quiet, &["--epochs", "1"]), DEADLINE).assert_succeeds();
    assert_eq!(marks(home.path()), 0);
}

/// Chains that may go on.
fn marks(home: &Path) -> usize {
    let beside = fs::read_dir(home.join("data/starling/identity.chain")).unwrap();
    beside.filter(|entry| entry.as_ref().unwrap().path().extension().is_some_and(|kind| kind == "json")).count()
}

fn wait_for(what: &str, mut done: impl FnMut() -> bool) {
    let until = Instant::now() + DEADLINE;
    while !done() {
        assert!(Instant::now() < until, "in time: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Kills a peer so many times while it writes a checkpoint every 10 ms, at a moment that wanders through the writing.
fn survives(kills: u32) {
    let home = tempfile::tempdir().unwrap();
    let kept = home.path().join("kept");
    let often = ["--checkpoint-every", "10ms", "--keep", "2"];
    let mut before = 0;
    for kill in 0..=kills {
        let folder = if kill == 0 { ["--checkpoint", text(&kept)] } else { ["--resume", text(&kept)] };
        let mut peer = start(command(home.path(), &with(&with(&ALONE, &["--open"]), &with(&folder, &often))));
        if kill > 0 {
            let line = peer.wait_for("a way on", DEADLINE, |line| line.contains("going on from"));
            let steps = line.split(": ").last().unwrap().split(' ').next().unwrap().parse().unwrap();
            assert!(before <= steps, "kill {kill}: {steps} steps, there were {before}: {line}");
            before = steps;
        }
        wait_for("a further checkpoint", || steps(&kept).first().is_some_and(|steps| *steps > before));
        std::thread::sleep(Duration::from_micros(u64::from(kill * 7919 % 20_000)));
        // What is there now must be there after it.
        before = steps(&kept)[0];
        peer.signal(Signal::SIGKILL);
        drop(peer);
    }
    let last = run(home.path(), &with(&ALONE, &["--open", "--epochs", "1", "--resume", text(&kept)]), DEADLINE);
    last.assert_succeeds();
    assert!(!last.stdout.contains("damaged"), "{}", last.stdout);
}

#[test]
fn twenty_kills_lose_nothing_that_was_written() {
    survives(20);
}

#[test]
#[ignore = "two minutes"]
fn five_hundred_kills_lose_nothing_that_was_written() {
    survives(500);
}

#[test]
fn a_full_disk_stops_no_training_and_leaves_the_checkpoint_before() {
    let small = "mount -t tmpfs -o size=500k none \"$1\"";
    let probe = tempfile::tempdir().unwrap();
    let mounts =
        |script: &str| Command::new("unshare").args(["--mount", "sh", "-c", script, "sh", text(probe.path())]).output();
    if !Uid::effective().is_root() || !mounts(small).is_ok_and(|output| output.status.success()) {
        eprintln!("SKIPPED: a small disk needs root and a kernel that mounts tmpfs");
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let kept = home.path().join("kept");
    fs::create_dir(&kept).unwrap();
    let report = home.path().join("report.json");
    let script = format!(
        "{small} && shift && \"$@\" --checkpoint \"$KEPT\" --checkpoint-every 2epochs --keep 9 --epochs 12 --json \"$REPORT\" && echo RESUMES && \"$@\" --resume \"$KEPT\" --epochs 13"
    );
    let mut inside = Command::new("unshare");
    inside
        .args(["--mount", "sh", "-c", &script, "sh", text(&kept)])
        .arg(binary())
        .args(with(&ALONE, &["--open"]))
        .env("HOME", home.path())
        .env("XDG_DATA_HOME", home.path().join("data"))
        .env("KEPT", &kept)
        .env("REPORT", &report);
    let finished: Finished = start(inside).finish(DEADLINE);
    finished.assert_succeeds();
    let peer = json(&report)["peers"][0].clone();
    let [written, failed] = ["checkpoints", "checkpoints_failed"].map(|key| peer[key].as_u64().unwrap());
    assert!(written >= 1 && failed >= 1, "{written} written, {failed} not: {}", finished.stdout);
    assert_eq!(peer["epochs"], 12, "training went on");
    assert!(finished.stdout.contains("WARNING") && finished.stdout.contains("No space left"), "{}", finished.stdout);
    let after = finished.stdout.split("RESUMES").nth(1).unwrap();
    assert!(after.contains("going on from") && !after.contains("damaged"), "{after}");
}

#[test]
fn what_cannot_be_resumed_is_refused_with_its_reason() {
    let home = tempfile::tempdir().unwrap();
    let kept = home.path().join("kept");
    let alone = |rest: &[&str]| run(home.path(), &with(&with(&ALONE, &["--open"]), rest), DEADLINE);
    alone(&["--epochs", "4", "--checkpoint", text(&kept), "--checkpoint-every", "2epochs"]).assert_succeeds();
    alone(&["--resume", text(&home.path().join("none"))]).assert_fails(3, &["none", "step-N"]);
    alone(&["--resume", text(home.path())]).assert_fails(3, &["no checkpoint is there"]);
    alone(&["--checkpoint", text(&kept)]).assert_fails(3, &["holds checkpoints of an earlier run", "--resume"]);
    alone(&["--keep", "3"]).assert_fails(2, &["--keep", "--checkpoint DIR"]);
    alone(&["--checkpoint-every", "soon", "--checkpoint", "x"]).assert_fails(2, &["10epochs"]);
    let job = home.path().join("other.toml");
    fs::write(&job, "[model]\nkind = \"mlp\"\nhidden = [7]\n").unwrap();
    alone(&["--job", text(&job), "--resume", text(&kept)])
        .assert_fails(3, &["is of run", "model.hidden=64,64", "model.hidden=7"]);
    alone(&["--init", text(&newest(&kept).join("model.safetensors")), "--job", text(&job)])
        .assert_fails(3, &["layers.0.weight", "[64, 64]", "[7, 64]"]);
    alone(&["--init", text(&job)]).assert_fails(3, &["other.toml", "safetensors"]);
    alone(&["--init", "none"]).assert_fails(3, &["--init none"]);
    // A run's name does not say what lies at a path.
    let table = home.path().join("table.csv");
    fs::write(&job, "[data]\npath = \"table.csv\"\nshards = 1\n").unwrap();
    let write = |header: &str, row: &str| {
        let rows: String = (0..40).map(|i| format!("{row}{}\n", i % 2)).collect();
        fs::write(&table, format!("{header}\n{rows}")).unwrap();
    };
    let tables = home.path().join("tables");
    write("a,b,label", "1,2,");
    alone(&["--job", text(&job), "--epochs", "1", "--checkpoint", text(&tables)]).assert_succeeds();
    for (header, row) in [("a,b,c,label", "1,2,3,"), ("a,other,label", "1,2,")] {
        write(header, row);
        alone(&["--job", text(&job), "--resume", text(&tables)])
            .assert_fails(3, &["trained on other data", "table.csv", "columns a, b", "--data PATH"]);
    }
    // The same columns and as many classes, which are others.
    write("a,b,label", "1,2,k");
    alone(&["--job", text(&job), "--resume", text(&tables)])
        .assert_fails(3, &["trained on other data", "class 0 is \"0\" there, \"k0\" here", "--data PATH"]);
    // What was learnt alone is no base of a swarm.
    let own = home.path().join("own");
    alone(&["--epochs", "2", "--checkpoint", text(&own)]).assert_succeeds();
    let swarm =
        ["run", "--open", "--no-mdns", "--listen", "/ip4/127.0.0.1/tcp/0", "--device", "cpu", "--audit", "none"];
    run(home.path(), &with(&swarm, &["--resume", text(&own)]), DEADLINE)
        .assert_fails(3, &["trained alone", "--no-gossip goes on", "--init"]);
    // Another shard has other samples.
    fs::write(&job, "[data]\nset = \"digits\"\nshards = 2\n").unwrap();
    let of = |shard: &str, rest: &[&str]| alone(&with(&["--job", text(&job), "--shard", shard], rest));
    let halves = home.path().join("halves");
    of("0", &["--epochs", "1", "--checkpoint", text(&halves)]).assert_succeeds();
    of("1", &["--resume", text(&halves)]).assert_fails(3, &["other samples", "--shard"]);
    // Cut short: the one before; when there is none, an error.
    let state = newest(&kept).join("state.safetensors");
    fs::OpenOptions::new().write(true).open(&state).unwrap().set_len(100).unwrap();
    let again = alone(&["--resume", text(&kept), "--epochs", "4"]);
    again.assert_succeeds();
    assert!(again.stdout.contains("is damaged") && again.stdout.contains("2 epochs"), "{}", again.stdout);
    for steps in steps(&kept) {
        fs::write(kept.join(format!("step-{steps}/config.json")), "{}").unwrap();
    }
    alone(&["--resume", text(&kept)]).assert_fails(3, &["no checkpoint there is whole", "config.json"]);
}

#[test]
fn a_run_begins_at_given_weights_and_is_another_run_then() {
    let home = tempfile::tempdir().unwrap();
    let [kept, on] = ["kept", "on"].map(|name| home.path().join(name));
    let alone = |rest: &[&str]| {
        let finished = run(home.path(), &with(&with(&ALONE, &["--open"]), rest), DEADLINE);
        finished.assert_succeeds();
        finished
    };
    alone(&["--epochs", "30", "--checkpoint", text(&kept)]);
    let model = newest(&kept).join("model.safetensors");
    let report = home.path().join("report.json");
    alone(&["--epochs", "1", "--init", text(&model), "--checkpoint", text(&on), "--json", text(&report)]);
    let accuracy = json(&report)["peers"][0]["test_accuracy"].as_f64().unwrap();
    assert!(accuracy > 0.9, "after one epoch it is as good as after thirty: {accuracy}");
    let config = json(&newest(&on).join("config.json"));
    assert_ne!(config["starling"]["run"], json(&newest(&kept).join("config.json"))["starling"]["run"]);
    let job = config["starling"]["job"].as_array().unwrap();
    let hash = format!("model.init={}", blake3::hash(&fs::read(&model).unwrap()).to_hex());
    assert!(job.iter().any(|line| *line == hash), "{job:?}");
}

#[test]
fn one_identity_takes_part_once() {
    let home = tempfile::tempdir().unwrap();
    let key = home.path().join("its.key");
    let peer = [
        "run",
        "--open",
        "--no-mdns",
        "--listen",
        "/ip4/127.0.0.1/tcp/0",
        "--device",
        "cpu",
        "--audit",
        "none",
        "--identity",
        text(&key),
    ];
    let mut first = start(command(home.path(), &with(&peer, &["--epochs", "1000000"])));
    first.wait_for("first epoch", DEADLINE, |line| line.contains("epoch"));
    // It trains, and holds its identity still.
    let second = run(home.path(), &with(&peer, &["--epochs", "1"]), DEADLINE);
    second.assert_fails(3, &["another process", "identity"]);
    first.signal(Signal::SIGKILL);
    drop(first.finish(DEADLINE));
    run(home.path(), &with(&peer, &["--epochs", "1"]), DEADLINE).assert_succeeds();
}
