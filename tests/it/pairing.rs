//! `starling swarm pair` and `starling join --code`: real processes on loopback.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use harness::cli::{self, Finished, Running};

/// Enough for a process that starts on a busy machine.
const DEADLINE: Duration = Duration::from_secs(60);
/// No code at all; the chance that one is drawn is one in 10^12.
const WRONG: &str = "0000-0000";

/// A member who shows a code.
struct Member {
    running: Running,
    code: String,
    address: String,
}

impl Member {
    fn begin(home: &Path, job: &str, more: &[&str]) -> Self {
        let arguments = ["swarm", "pair", job, "--listen", "/ip4/127.0.0.1/tcp/0"];
        let mut running = cli::start(cli::command(home, &[&arguments, more].concat()));
        let word = |line: &str, i: usize| line.split_whitespace().nth(i).unwrap().to_owned();
        let code = word(&running.wait_for("a code", DEADLINE, |line| line.starts_with("code ")), 1);
        let address = word(&running.wait_for("an address", DEADLINE, |line| line.starts_with("or ")), 3);
        Self { running, code, address }
    }

    /// A newcomer of that home who types that code.
    fn join(&self, home: &Path, code: &str, file: &str) -> Finished {
        let arguments = ["join", &self.address, "--code", code, "--save", file, "--fetch-only", "--yes"];
        cli::run(home, &arguments, DEADLINE)
    }
}

/// A home with a private job; the job's path.
fn home() -> (tempfile::TempDir, String) {
    let home = tempfile::tempdir().unwrap();
    let job = home.path().join("job.toml").to_str().unwrap().to_owned();
    cli::run(home.path(), &["job", "init", &job], DEADLINE).assert_succeeds();
    (home, job)
}

fn key_line(file: &str) -> String {
    fs::read_to_string(file).unwrap().lines().find(|line| line.starts_with("key = ")).unwrap().to_owned()
}

fn audit(home: &Path) -> String {
    let logs = home.join("data/starling/identity.audit");
    let log = fs::read_dir(logs).unwrap().next().unwrap().unwrap().path();
    let dir = log.to_str().unwrap();
    cli::run(home, &["audit", "verify", dir], DEADLINE).assert_succeeds();
    fs::read_to_string(log.join("audit-000001.jsonl")).unwrap()
}

#[test]
fn the_code_of_a_member_is_good_for_one_job_file() {
    let (home, job) = home();
    let newcomer = tempfile::tempdir().unwrap();
    let file = newcomer.path().join("got.toml").to_str().unwrap().to_owned();
    let member = Member::begin(home.path(), &job, &[]);

    let found = member.join(newcomer.path(), WRONG, &file);
    found.assert_fails(4, &["wrong code", "2 more"]);
    assert!(!Path::new(&file).exists(), "nothing is kept");
    let unknown = cli::run(newcomer.path(), &["join", &member.address, "--fetch-only", "--yes"], DEADLINE);
    unknown.assert_fails(3, &["private", "swarm pair"]);

    let found = member.join(newcomer.path(), &member.code.to_lowercase(), &file);
    found.assert_succeeds();
    assert_eq!(key_line(&file), key_line(&job));
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(!found.stdout.contains(&key_line(&job)[8..24]), "the key is not shown: {}", found.stdout);
    let run = |home: &Path, file: &str| {
        let shown = cli::run(home, &["job", "show", file], DEADLINE);
        shown.stdout.lines().next().unwrap().to_owned()
    };
    assert_eq!(run(newcomer.path(), &file), run(home.path(), &job));

    let (address, code) = (member.address.clone(), member.code.clone());
    member.running.finish(DEADLINE).assert_succeeds();
    let again = ["join", &address, "--code", &code, "--save", "again.toml", "--fetch-only", "--yes"];
    cli::run(newcomer.path(), &again, DEADLINE).assert_fails(4, &["no pairing", "swarm pair"]);

    let log = audit(home.path());
    for what in ["shown", "wrong code", "paired"] {
        assert!(log.contains(&format!("\"what\":\"{what}\"")), "{what}: {log}");
    }
    assert!(!log.contains(&code), "codes are in no log");
}

#[test]
fn a_code_that_was_guessed_at_three_times_or_is_too_old_is_dead() {
    let (home, job) = home();
    let member = Member::begin(home.path(), &job, &[]);
    let file = home.path().join("got.toml").to_str().unwrap().to_owned();
    for left in ["2 more", "1 more", "last try"] {
        member.join(home.path(), WRONG, &file).assert_fails(4, &["wrong code", left]);
    }
    member.join(home.path(), &member.code, &file).assert_fails(4, &[]);
    member.running.finish(DEADLINE).assert_fails(4, &["nobody was paired", "guessed"]);

    let member = Member::begin(home.path(), &job, &["--valid", "1"]);
    let (address, code) = (member.address.clone(), member.code.clone());
    member.running.finish(DEADLINE).assert_fails(4, &["nobody was paired", "too old"]);
    let late = ["join", &address, "--code", &code, "--save", &file, "--fetch-only", "--yes"];
    cli::run(home.path(), &late, DEADLINE).assert_fails(4, &["no pairing"]);
    assert!(!Path::new(&file).exists());
}

#[test]
fn what_cannot_be_paired_is_an_error_at_once() {
    let (home, job) = home();
    let run = |arguments: &[&str]| cli::run(home.path(), arguments, DEADLINE);
    let open = home.path().join("open.toml").to_str().unwrap().to_owned();
    run(&["job", "init", "--open", &open]).assert_succeeds();
    run(&["swarm", "pair", &open]).assert_fails(2, &["open", "without a code"]);
    run(&["swarm", "pair", "none.toml"]).assert_fails(3, &["none.toml"]);
    run(&["swarm", "pair", &job, "--valid", "0"]).assert_fails(2, &["--valid"]);
    run(&["swarm", "pair", &job, "--listen", "nonsense"]).assert_fails(2, &["nonsense"]);
    run(&["join", "/ip4/127.0.0.1/tcp/1", "--code", "short"]).assert_fails(2, &["8 letters and digits"]);
}
