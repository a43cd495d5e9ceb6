//! Readers that stop reading: a pager, a terminal under ctrl-s, a full pipe.

use std::time::{Duration, Instant};

use harness::cli;
use harness::swarm::read;
use nix::sys::signal::Signal;

#[test]
fn a_peer_trains_on_and_keeps_its_last_word_for_the_reader() {
    let home = tempfile::tempdir().unwrap();
    let report = home.path().join("report.json");
    let network = ["run", "--open", "--no-mdns", "--listen", "/ip4/127.0.0.1/tcp/0", "--device", "cpu"];
    // Several times what a pipe holds, on both.
    let task = ["--epochs", "2000", "--log", "debug", "--json", report.to_str().unwrap()];
    let mut peer = cli::start_unread(cli::command(home.path(), &[&network[..], &task[..]].concat()));
    let until = Instant::now() + Duration::from_secs(120);
    while !std::fs::read(&report).is_ok_and(|bytes| bytes.ends_with(b"}\n")) {
        assert!(Instant::now() < until, "the training waits for the reader");
        std::thread::sleep(Duration::from_millis(50));
    }
    let said = peer.read();
    assert!(said.lines().last().unwrap().starts_with("finished: 2000 epochs"), "{said}");
    assert!(peer.wait(Duration::from_secs(10)).success());
    assert_eq!(read(&report).peers[0].epochs, 2000);
}

#[test]
fn a_simulation_ends_when_it_is_told_to() {
    let home = tempfile::tempdir().unwrap();
    // Epochs of a few steps: much to say.
    let arguments = ["sim", "--device", "cpu", "--peers", "3", "--batch", "256", "--epochs", "1000000"];
    let mut sim = cli::start_unread(cli::command(home.path(), &arguments));
    std::thread::sleep(Duration::from_secs(8));
    sim.signal(Signal::SIGTERM);
    // Two seconds for the children, one for the reader, and a margin for a busy machine.
    let status = sim.wait(Duration::from_secs(10));
    assert_eq!(status.code(), Some(130));
    // 64 KiB less what a line leaves free in every page.
    let held = sim.read().len();
    assert!(held >= 56 * 1024, "the pipe was not full: {held} bytes");
}

/// As in `tail -f rows.csv | starling predict - | head`: what is asked goes on without end, and nobody reads the answers.
#[test]
fn answers_to_a_pipe_end_with_their_reader() {
    use std::io::{Read as _, Write as _};
    let home = tempfile::tempdir().unwrap();
    let [table, kept] = ["table.csv", "kept"].map(|name| home.path().join(name).to_str().unwrap().to_owned());
    let rows: String = (0..40).map(|i| format!("{i},1,{}\n", i % 2)).collect();
    std::fs::write(&table, format!("a,b,label\n{rows}")).unwrap();
    let train = ["run", "--no-gossip", "--device", "cpu", "--audit", "none", "--epochs", "1"];
    let train = [&train[..], &["--data", &table, "--checkpoint", &kept]].concat();
    cli::run(home.path(), &train, Duration::from_secs(60)).assert_succeeds();
    let mut command = cli::command(home.path(), &["predict", "--checkpoint", &kept, "--device", "cpu", "-"]);
    let piped = std::process::Stdio::piped;
    command.stdin(piped()).stdout(piped()).stderr(std::process::Stdio::null());
    let mut predict = command.spawn().unwrap();
    let mut asks = predict.stdin.take().unwrap();
    let asker = std::thread::spawn(move || while asks.write_all(b"1,2\n").is_ok() {});
    let mut reader = predict.stdout.take().unwrap();
    reader.read_exact(&mut [0; 100]).unwrap();
    drop(reader);
    let until = Instant::now() + Duration::from_secs(30);
    let status = loop {
        match predict.try_wait().unwrap() {
            Some(status) => break status,
            None if Instant::now() > until => {
                predict.kill().unwrap();
                panic!("it answers nobody");
            }
            None => std::thread::sleep(Duration::from_millis(20)),
        }
    };
    assert_eq!(status.code(), Some(0), "as of any program whose reader has read enough");
    asker.join().unwrap();
}
