//! `starling top` at a running swarm, as a person and as a script see it.

use std::io::{Read as _, Write as _};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use harness::cli;
use serde_json::Value;

use crate::dashboard::swarm;

/// Generous: the machine may be busy with other tests.
const WAIT_MAX: Duration = Duration::from_secs(60);

#[test]
fn a_frame_of_a_running_swarm_names_every_peer() {
    let home = tempfile::tempdir().unwrap();
    let token = home.path().join("token");
    let token = token.to_str().unwrap();
    let (mut peers, dashboard) = swarm(home.path(), &["--dashboard-token", token]);
    let top = |more: &[&str]| cli::run(home.path(), &[&["top", dashboard.as_str()], more].concat(), WAIT_MAX);

    top(&[]).assert_fails(2, &["wants a terminal", "--once"]);
    top(&["--once"]).assert_fails(4, &["asks for a token: --dashboard-token FILE"]);
    let once = top(&["--once", "--dashboard-token", token]);
    once.assert_succeeds();
    assert!(!once.stdout.contains('\u{1b}'), "no escape codes into a pipe");
    for peer in &mut peers {
        peer.address(WAIT_MAX);
        let id = &peer.ready.as_ref().unwrap().peer[..8];
        assert!(once.stdout.contains(id), "{id} in\n{}", once.stdout);
    }
    for words in ["training", "linked", "accuracy", "training begins"] {
        assert!(once.stdout.contains(words), "{words} in\n{}", once.stdout);
    }

    let json = top(&["127.0.0.1:1", "--json", "-", "--dashboard-token", token]);
    json.assert_succeeds();
    let written: Value = serde_json::from_str(&json.stdout).unwrap();
    assert!(written[0]["status"]["training"]["steps"].as_u64().unwrap() > 0, "{written}");
    assert_eq!((&written[0]["error"], &written[1]["status"]), (&Value::Null, &Value::Null));
    assert_eq!(written[1]["error"], "nobody listens there");
    cli::run(home.path(), &["top", "127.0.0.1:1", "--once"], WAIT_MAX)
        .assert_fails(4, &["127.0.0.1:1: nobody listens"]);
    cli::run(home.path(), &["top", "nowhere"], WAIT_MAX).assert_fails(2, &["IP:PORT"]);

    // In a terminal of its own, until a key ends it.
    let line = format!("{} top {dashboard} --dashboard-token {token}", cli::binary().display());
    let mut script = Command::new("script");
    script.args(["-qec", &line, "/dev/null"]).env("TERM", "xterm-256color");
    let Ok(mut terminal) = script.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn() else {
        eprintln!("SKIPPED: a terminal: there is no script(1)");
        return;
    };
    let (mut keys, mut screen) = (terminal.stdin.take().unwrap(), terminal.stdout.take().unwrap());
    let drawn = std::thread::spawn(move || {
        let mut drawn = Vec::new();
        let _ = screen.read_to_end(&mut drawn);
        String::from_utf8_lossy(&drawn).into_owned()
    });
    let begun = Instant::now();
    let status = loop {
        // Keys that come before it looks at them are lost or kept, as the terminal likes.
        let _ = keys.write_all(b"q");
        if let Some(status) = terminal.try_wait().unwrap() {
            break status;
        }
        if begun.elapsed() > WAIT_MAX {
            let _ = terminal.kill();
            panic!("q ends it");
        }
        std::thread::sleep(Duration::from_millis(500));
    };
    let drawn = drawn.join().unwrap();
    assert!(status.success(), "{drawn}");
    assert!(drawn.contains("\u{1b}[?1049h") && drawn.contains("\u{1b}[?1049l"), "the screen is given back: {drawn:?}");
}
