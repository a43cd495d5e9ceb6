//! The launcher against shell scripts that speak as a peer would.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::*;
use crate::report::PeerReport;

/// A peer that takes its steps at once, then waits for its leash. `$PEER` is its number.
const PEER: &str = r#"#!/bin/sh
ALL="$*"
while [ "$1" != --shard ]; do shift; done
PEER=${2%%/*}
echo "{\"event\":\"ready\",\"peer\":\"p$PEER\",\"addresses\":[\"/ip4/127.0.0.1/tcp/1\"],\"device\":\"d\",\"backend\":\"cpu\",\"parameters\":10,\"steps_per_epoch\":2}"
"#;
const FINISHED: &str = r#"STATUS
while read -r line; do
  if [ "$line" = finish ]; then echo "FINAL"; exit 0; fi
done
exit 9
"#;

/// A script made of the opening, `middle`, and the end of an orderly peer.
fn program(folder: &Path, middle: &str) -> PathBuf {
    let status = super::super::event::Status {
        steps: 6,
        epoch: 3,
        heard: "same".into(),
        finished: true,
        resting: true,
        ..Default::default()
    };
    let last = PeerReport { base_hash: Some("aa".into()), steps: 6, ..PeerReport::default() };
    let shell = |event: ChildEvent| event.to_line().trim_end().replace('"', "\\\"");
    let end = FINISHED
        .replace("STATUS", &format!("echo \"{}\"", shell(ChildEvent::Status(status))))
        .replace("FINAL", &shell(ChildEvent::Final(Box::new(last))));
    let path = folder.join("peer.sh");
    fs::write(&path, format!("{PEER}{middle}\n{end}")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
    path
}

fn spec(program: PathBuf, faults: Vec<Fault>) -> SwarmSpec {
    SwarmSpec {
        program,
        peers: 3,
        job: "# a job".into(),
        epochs: 3,
        duration: None,
        gossip: true,
        arguments: Vec::new(),
        faults,
        arrangement: Arrangement::Loopback,
        audit: None,
        checkpoint: None,
        dashboards: Vec::new(),
    }
}

/// Training that lasts longer than the faults take.
const BUSY: &str = "sleep 3";
/// Limits that no test reaches.
const PATIENT: Patience = Patience { starting: READY_MAX, running: SILENCE_MAX };

fn run(middle: &str, faults: Vec<Fault>) -> (Result<Outcome, SwarmError>, Vec<String>) {
    run_with(PATIENT, middle, faults)
}

fn run_with(patience: Patience, middle: &str, faults: Vec<Fault>) -> (Result<Outcome, SwarmError>, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    let mut swarm = Swarm::new(spec(program(folder.path(), middle), faults)).unwrap();
    swarm.patience = patience;
    let mut seen = Vec::new();
    let outcome = swarm.run(&Stop::default(), &mut |event| {
        seen.push(match event {
            SwarmEvent::Said { .. } | SwarmEvent::Log { .. } => return,
            SwarmEvent::Killed { peer } => format!("killed {peer}"),
            SwarmEvent::DeviceLost { peer } => format!("device of {peer} lost"),
            SwarmEvent::Restarted { peer, .. } => format!("restarted {peer}"),
            SwarmEvent::Paused { peer } => format!("paused {peer}"),
            SwarmEvent::Resumed { peer } => format!("resumed {peer}"),
            SwarmEvent::Cut { first } => format!("cut at {first}"),
            SwarmEvent::Healed => "healed".into(),
            SwarmEvent::Died { peer, .. } => format!("died {peer}"),
            SwarmEvent::TooLate { fault } => format!("too late {}", fault.peer),
            SwarmEvent::Settling => "settling".into(),
            SwarmEvent::Disagreed => "disagreed".into(),
        });
    });
    (outcome, seen)
}

fn fault(millis: u64, peer: u32, action: Action) -> Fault {
    Fault { at: Duration::from_millis(millis), peer, action }
}

#[test]
fn a_swarm_that_agrees_ends_with_a_word_from_everyone() {
    let (outcome, seen) = run("", vec![]);
    let outcome = outcome.unwrap();
    assert!(outcome.agreed && !outcome.interrupted);
    assert!(outcome.peers.iter().all(|facts| facts.ending == Ending::Finished && facts.last.is_some()));
    assert_eq!(seen, ["settling"]);
}

#[test]
fn a_killed_peer_comes_back_and_the_swarm_waits_for_it() {
    let (outcome, seen) = run(BUSY, vec![fault(100, 2, Action::Kill), fault(200, 2, Action::Restart)]);
    let outcome = outcome.unwrap();
    assert_eq!(&seen[..2], ["killed 2", "restarted 2"]);
    assert_eq!(outcome.peers[2].lives, 2);
    assert_eq!(outcome.peers[2].ending, Ending::Finished);
    assert_eq!(outcome.failed().count(), 0, "a death on request is no failure");
}

#[test]
fn a_peer_whose_device_is_taken_away_lives_on() {
    let (outcome, seen) = run(BUSY, vec![fault(100, 1, Action::LoseDevice)]);
    let outcome = outcome.unwrap();
    assert_eq!(seen[0], "device of 1 lost");
    assert!(outcome.peers.iter().all(|facts| facts.ending == Ending::Finished && facts.lives == 1));
}

#[test]
fn a_peer_that_is_stopped_for_a_while_is_waited_for() {
    let faults = vec![fault(100, 1, Action::Pause), fault(1500, 1, Action::Resume)];
    let (outcome, seen) = run("sleep 1.2", faults);
    let outcome = outcome.unwrap();
    assert_eq!(seen, ["paused 1", "resumed 1", "settling"]);
    assert_eq!(outcome.peers[1].ending, Ending::Finished);
    assert_eq!((outcome.faults.pauses, outcome.faults.kills), (1, 0));
}

#[test]
fn a_swarm_that_is_given_a_time_takes_it() {
    let folder = tempfile::tempdir().unwrap();
    let faults = vec![fault(1000, 1, Action::Pause), fault(2000, 1, Action::Resume)];
    let spec = SwarmSpec { duration: Some(Duration::from_secs(2)), ..spec(program(folder.path(), ""), faults) };
    let mut late = 0;
    let mut watch = |event: SwarmEvent<'_>| late += usize::from(matches!(event, SwarmEvent::TooLate { .. }));
    let outcome = Swarm::new(spec).unwrap().run(&Stop::default(), &mut watch).unwrap();
    assert_eq!(late, 0, "what is mended at the very end is mended");
    assert!(outcome.wall >= Duration::from_secs(2), "they were through at once: {:?}", outcome.wall);
    assert!(outcome.agreed && outcome.agreed_after.is_some());
}

#[test]
fn a_peer_that_is_killed_for_good_is_not_waited_for() {
    let (outcome, _) = run(BUSY, vec![fault(50, 1, Action::Kill)]);
    let outcome = outcome.unwrap();
    assert_eq!(outcome.peers[1].ending, Ending::Killed);
    assert_eq!(outcome.failed().count(), 0);
}

#[test]
fn a_peer_that_dies_is_reported_and_the_others_go_on() {
    let (outcome, seen) = run("if [ $PEER = 1 ]; then echo 'error: alas' >&2; exit 7; fi", vec![]);
    let outcome = outcome.unwrap();
    assert!(seen.contains(&"died 1".to_owned()));
    let died = Ending::Died { code: Some(7), signal: None, stderr: "error: alas".into() };
    assert_eq!(outcome.failed().collect::<Vec<_>>(), [(1, &died)]);
    assert_eq!(outcome.peers[2].ending, Ending::Finished);
}

#[test]
fn what_is_due_after_the_end_prolongs_nothing() {
    let day = 86_400_000;
    let (outcome, seen) = run("", vec![fault(day, 1, Action::Kill), fault(day + 1, 1, Action::Restart)]);
    let outcome = outcome.unwrap();
    assert_eq!(seen, ["too late 1", "too late 1", "settling"]);
    assert!(outcome.agreed && outcome.peers.iter().all(|facts| facts.ending == Ending::Finished));
}

#[test]
fn a_swarm_that_was_killed_whole_finds_itself_again() {
    let folder = tempfile::tempdir().unwrap();
    let births = folder.path().join("births");
    let all = |at: u64, action: Action| (0..3).map(move |peer| fault(at, peer, action));
    let faults = all(300, Action::Kill).chain(all(400, Action::Restart)).collect();
    let (outcome, seen) = run(&format!("echo \"$ALL\" >> {}; {BUSY}", births.display()), faults);
    assert!(outcome.unwrap().peers.iter().all(|facts| facts.lives == 2 && facts.ending == Ending::Finished));
    assert_eq!(seen.iter().filter(|event| event.starts_with("restarted")).count(), 3, "{seen:?}");
    let births = fs::read_to_string(births).unwrap();
    let second_lives: Vec<_> = births.lines().filter(|line| line.contains("--company 1")).collect();
    assert_eq!(second_lives.len(), 3, "{births}");
    let on_their_own = second_lives.iter().filter(|line| !line.contains("--peer ")).count();
    assert_eq!(on_their_own, 1, "the first listens, the others are told where: {births}");
}

#[test]
fn a_peer_that_never_comes_up_is_overdue() {
    let patience = Patience { starting: Duration::from_secs(5), ..PATIENT };
    let (outcome, seen) = run_with(patience, "if [ $PEER = 1 ]; then kill -STOP $$; fi", vec![]);
    let outcome = outcome.unwrap();
    assert_eq!(seen, ["died 1", "settling"]);
    assert_eq!((outcome.peers[1].ending.word(), outcome.failed().count()), ("overdue", 1));
    assert_eq!(outcome.peers[2].ending, Ending::Finished);
}

#[test]
fn a_peer_that_falls_silent_is_overdue() {
    // Far from both: a machine that is busy with other things delays a line by a second now and then.
    let patience = Patience { running: Duration::from_secs(3), ..PATIENT };
    let status = ChildEvent::Status(super::super::event::Status::default()).to_line().trim_end().to_owned();
    let say = format!("echo '{status}'");
    let middle = format!(
        "{say}; if [ $PEER = 1 ]; then kill -STOP $$; fi; for i in 1 2 3 4 5 6 7 8 9 10; do sleep 0.5; {say}; done"
    );
    let (outcome, seen) = run_with(patience, &middle, vec![]);
    let outcome = outcome.unwrap();
    assert_eq!(seen, ["died 1", "settling"]);
    assert!(matches!(outcome.peers[1].ending, Ending::Silent { seconds: 1.. }));
    assert_eq!(outcome.failed().count(), 1);
    assert_eq!(outcome.peers[2].ending, Ending::Finished);
}

#[test]
fn the_first_peer_fails_for_all() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("peer.sh");
    fs::write(&path, "#!/bin/sh\necho 'error: no data' >&2\nexit 3\n").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
    let swarm = Swarm::new(spec(path, vec![])).unwrap();
    let error = swarm.run(&Stop::default(), &mut |_| {}).unwrap_err();
    assert!(matches!(error, SwarmError::NotReady { peer: 0, code: Some(3), stderr } if stderr == "error: no data"));
}

#[test]
fn a_stop_ends_a_busy_swarm_soon_and_leaves_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let pids = folder.path().join("pids");
    // They never finish and do not listen.
    let busy = format!("echo $$ >> {}; exec sleep 600", pids.display());
    let swarm = Swarm::new(spec(program(folder.path(), &busy), vec![])).unwrap();
    let stop = Stop::default();
    let wish = stop.clone();
    let noted = pids.clone();
    let wisher = std::thread::spawn(move || {
        let by = Instant::now() + Duration::from_secs(30);
        while Instant::now() < by && fs::read_to_string(&noted).map_or(0, |text| text.lines().count()) < 3 {
            std::thread::sleep(Duration::from_millis(20));
        }
        wish.request();
        Instant::now()
    });
    let outcome = swarm.run(&stop, &mut |_| {}).unwrap();
    let begun = wisher.join().unwrap();
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
    assert!(outcome.interrupted);
    let pids = fs::read_to_string(&pids).unwrap();
    assert_eq!(pids.lines().count(), 3);
    for pid in pids.lines() {
        assert!(!Path::new(&format!("/proc/{pid}")).exists(), "{pid} is left behind");
    }
}

#[test]
fn a_missing_program_is_an_error() {
    let swarm = Swarm::new(spec("/no/such/program".into(), vec![])).unwrap();
    assert!(matches!(swarm.run(&Stop::default(), &mut |_| {}), Err(SwarmError::Io { .. })));
}
