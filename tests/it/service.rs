//! A peer under a service manager: the unit of `packaging/` as systemd would start it, with a socket of the test in place of systemd's.

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use harness::cli::{self, Running};
use harness::documented::root;
use nix::sys::signal::Signal;

/// Generous: the machine may be busy with other tests.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// The value of a line of the unit.
fn line(key: &str) -> String {
    let unit = fs::read_to_string(root().join("packaging/starling.service")).unwrap();
    let found: Vec<_> = unit.lines().filter_map(|line| line.strip_prefix(key)?.strip_prefix('=')).collect();
    assert_eq!(found.len(), 1, "{key} stands there once");
    found[0].to_owned()
}

/// What the unit starts, in a folder that stands for `/var/lib/starling`; the peer trains by itself, on the CPU, and shows nothing.
fn started(home: &Path, socket: &Path) -> Running {
    let start = line("ExecStart");
    let script =
        start.strip_prefix("/bin/sh -c '").and_then(|rest| rest.strip_suffix('\'')).expect("a line for a shell");
    let alone = "run --no-gossip --device cpu --threads 1 --dashboard none --checkpoint-every 5epochs";
    let script = script
        .replace("$$", "$")
        .replace("/usr/local/bin/starling run", &format!("{} {alone}", cli::binary().display()))
        .replace("/etc/starling/job.toml", &home.join("job.toml").display().to_string());
    let mut command = Command::new("/bin/sh");
    command.args(["-c", &script]).current_dir(home).env("HOME", home).env("NO_COLOR", "1");
    command.env("NOTIFY_SOCKET", socket).env("WATCHDOG_USEC", "2000000");
    cli::start(command)
}

/// Listens until this is said; everything that came before it too.
fn heard(socket: &UnixDatagram, word: &str) -> Vec<String> {
    socket.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
    let (begun, mut words) = (Instant::now(), Vec::new());
    let mut bytes = [0; 1024];
    while words.last().is_none_or(|last: &String| !last.starts_with(word)) {
        assert!(begun.elapsed() < WAIT_MAX, "{word} in time: {words:?}");
        if let Ok(read) = socket.recv(&mut bytes) {
            words.push(String::from_utf8_lossy(&bytes[..read]).into_owned());
        }
    }
    words
}

#[test]
fn a_service_says_how_it_is_and_goes_on_where_it_was_stopped() {
    let home = tempfile::tempdir().unwrap();
    let job = home.path().join("job.toml");
    cli::run(home.path(), &["job", "init", job.to_str().unwrap()], WAIT_MAX).assert_succeeds();
    let path = home.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    for life in ["the first", "the second"] {
        let mut peer = started(home.path(), &path);
        let words = heard(&socket, "STATUS=");
        assert_eq!(words.first().map(String::as_str), Some("READY=1"), "{life}: {words:?}");
        assert!(words.last().unwrap().contains("steps"), "{words:?}");
        // Twice within what is allowed, by the loop itself.
        heard(&socket, "WATCHDOG=1");
        heard(&socket, "WATCHDOG=1");
        peer.wait_for("an epoch", WAIT_MAX, |line| line.contains("epoch"));
        peer.signal(Signal::SIGTERM);
        heard(&socket, "STOPPING=1");
        let done = peer.finish(WAIT_MAX);
        done.assert_succeeds();
        assert_eq!(done.stdout.contains("going on from"), life == "the second", "{life}: {}", done.stdout);
    }
}

#[test]
fn the_unit_is_one_that_systemd_takes() {
    let unit = root().join("packaging/starling.service");
    // A binary that is not installed here is no mistake of the unit.
    let home = tempfile::tempdir().unwrap();
    let copy = home.path().join("starling.service");
    let text = fs::read_to_string(unit).unwrap();
    fs::write(&copy, text.replace("Documentation=man:starling-run(1)\n", "")).unwrap();
    let Ok(verified) = Command::new("systemd-analyze").arg("verify").arg(&copy).output() else {
        eprintln!("SKIPPED: no systemd-analyze");
        return;
    };
    let said = String::from_utf8_lossy(&verified.stderr).into_owned();
    let ours: Vec<&str> = said.lines().filter(|line| line.contains("starling.service")).collect();
    assert!(ours.is_empty(), "{ours:?}");
    assert_eq!(line("Type"), "notify");
}
