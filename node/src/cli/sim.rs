//! `starling sim`: a swarm of real processes of this very binary.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use sim::processes::{
    Arrangement, ChildEvent, Ending, Outcome, PeerFacts, Stop, Swarm, SwarmError, SwarmEvent, SwarmSpec,
};
use sim::report::{
    FaultReport, PeerReport, SimReport, TWIN_ACCURACY_MAX, TWIN_BYTES_MAX, TwinReport, TwinRun, TwinSide,
};
use sim::virtual_swarm::{self, Until};

use super::args::{LogFormat, SIM_EPOCHS_DEFAULT, SimArgs, SimCommand};
use super::files::JsonTarget;
use super::table::Screen;
use super::{fault_words, job as job_command, logging, signals, summary, virtual_sim};
use crate::config::checks::SEED_MAX;
use crate::config::{Job, RawJob};
use crate::error::{Error, Kind};
use crate::store::audit;
use crate::text::escape;

/// Most processes at a time.
const PROCESSES_MAX: u32 = 256;
/// Fewest peers that twins can be made of.
const TWIN_PEERS_MIN: u32 = 2;

pub(super) fn run(args: &SimArgs) -> Result<(), Error> {
    match &args.command {
        Some(SimCommand::Compare(args)) => return virtual_sim::compare(args),
        Some(SimCommand::Saturation(args)) => return virtual_sim::saturation(args),
        None => {}
    }
    if args.scenario.is_some() {
        return virtual_sim::run(args);
    }
    if args.peers() > PROCESSES_MAX {
        let message = format!("--peers {}: at most {PROCESSES_MAX} processes", args.peers());
        return Err(Error::new(Kind::Usage, message).hint("--virtual takes up to 100000 virtual peers"));
    }
    logging::init(&args.common)?;
    let json = JsonTarget::new("--json", args.common.json.as_deref())?;
    let job = job_of(args)?;
    let spec = spec_of(args, &job)?;
    spec.check_faults().map_err(|why| Error::new(Kind::Usage, why).hint("peers are named as in --kill 2@5"))?;
    if !args.faults.lose_device.is_empty() && args.common.device == "cpu" {
        return Err(Error::new(Kind::Usage, "--lose-device: the CPU is no device that could be lost")
            .hint("leave --device out, or name a GPU or a software driver; `starling device ls` shows what there is"));
    }
    let stop = Stop::default();
    let gone = Arc::new(AtomicBool::new(false));
    let (wish, nobody_left) = (stop.clone(), Arc::clone(&gone));
    signals::watch(move |_| {
        wish.request();
        if nobody_left.load(Ordering::SeqCst) {
            signals::exit_after(signals::READ_MAX);
        }
    })?;

    let mut show = Show::new(args, &job, json.is_stdout());
    if let Some(seeds) = args.twin {
        let done = twins(args, &job, seeds, &stop, &mut show);
        gone.store(true, Ordering::SeqCst);
        let done = done.and_then(|report| {
            let written = json.write(&report);
            show.screen.last_word(&summary::twins(&report));
            written.and(agreement(&report))
        });
        let shown = show.screen.drain();
        return done.and(shown);
    }
    let done = simulate(args, &job, spec, &stop, &mut show);
    // All children are reaped; what remains waits for readers, and after a signal not for long.
    gone.store(true, Ordering::SeqCst);
    if stop.requested() {
        signals::exit_after(signals::READ_MAX);
    }
    let done = done.and_then(|(outcome, report)| {
        let written = json.write(&report);
        show.screen.last_word(&summary::text(&report, outcome.agreed));
        written.and(verdict(&outcome, &report))
    });
    let shown = show.screen.drain();
    done.and(shown)
}

/// The swarm, and its baseline where one is asked for.
fn simulate(
    args: &SimArgs,
    job: &Job,
    spec: SwarmSpec,
    stop: &Stop,
    show: &mut Show,
) -> Result<(Outcome, SimReport), Error> {
    let outcome = show.run(&spec, stop)?;
    let mut report = report_of(job, &spec, &outcome);
    if args.baseline && !stop.requested() {
        show.screen.line("now the same without gossip");
        let alone = SwarmSpec {
            gossip: false,
            faults: Vec::new(),
            arrangement: Arrangement::Loopback,
            // Other identities, which have no place in the logs of these.
            audit: None,
            checkpoint: None,
            dashboards: Vec::new(),
            ..spec
        };
        report.no_gossip_peers = peers_of(&show.run(&alone, stop)?);
    }
    report.interrupted = stop.requested();
    Ok((outcome, report.derive()))
}

/// Seed after seed: the processes, then virtual peers as fast as they were.
fn twins(args: &SimArgs, job: &Job, seeds: u32, stop: &Stop, show: &mut Show) -> Result<TwinReport, Error> {
    let mut runs = Vec::new();
    if args.peers() < TWIN_PEERS_MIN {
        let message = format!("--twin with --peers {}: one peer says nothing to anybody", args.peers());
        return Err(Error::new(Kind::Usage, message).hint("there is something to compare from --peers 2 on"));
    }
    if SEED_MAX - job.seed < u64::from(seeds) {
        let message = format!("--twin {seeds} from --seed {}: the last seed there is, is {SEED_MAX}", job.seed);
        return Err(Error::new(Kind::Usage, message).hint("begin with a smaller one"));
    }
    for i in 0..seeds {
        let job = Job { seed: job.seed + u64::from(i), ..job.clone() };
        let spec = spec_of(args, &job)?;
        let outcome = show.run(&spec, stop)?;
        let report = report_of(&job, &spec, &outcome).derive();
        verdict(&outcome, &SimReport { interrupted: stop.requested(), ..report.clone() })?;
        let plan = virtual_sim::twin(&job, spec.epochs, &report)?;
        show.screen.line(&format!("seed {}: now {} virtual peers as fast as these were", job.seed, spec.peers));
        let run = virtual_swarm::run(&plan, job.seed, Until::default(), &mut |_| !stop.requested());
        if run.interrupted {
            return Err(Error::new(Kind::Interrupted, "stopped before the end"));
        }
        if let Some(violation) = run.violations.first() {
            return Err(Error::new(
                Kind::Internal,
                format!("the virtual peers broke an invariant: {}", violation.what),
            ));
        }
        if run.disagreed {
            return Err(Error::new(Kind::Internal, "the virtual peers did not agree in the end"));
        }
        let (processes, virtual_peers) = (TwinSide::of_processes(&report), TwinSide::of_virtual(&run));
        let none = || Error::new(Kind::Internal, "no peer got to its end: there is nothing to compare");
        let (processes, virtual_peers) = processes.zip(virtual_peers).ok_or_else(none)?;
        runs.push(TwinRun { seed: job.seed, processes, virtual_peers });
    }
    Ok(TwinReport::of(runs))
}

/// What the exit code says of twins.
fn agreement(report: &TwinReport) -> Result<(), Error> {
    if report.holds {
        return Ok(());
    }
    let (accuracy, bytes) = (report.accuracy_difference, report.bytes_difference);
    let message = format!(
        "the virtual peers are {:+.1} points and {:+.1} % of the bytes off, the limits are {:.0} and {:.0}",
        100.0 * accuracy,
        100.0 * bytes,
        100.0 * TWIN_ACCURACY_MAX,
        100.0 * TWIN_BYTES_MAX
    );
    Err(Error::new(Kind::Internal, message).hint("one run is off by half a point by chance: give --twin more seeds"))
}

/// What the exit code says of a run that came to its end.
fn verdict(outcome: &Outcome, report: &SimReport) -> Result<(), Error> {
    if report.interrupted {
        return Err(Error::new(Kind::Interrupted, "stopped before the end"));
    }
    if let Some((peer, ending)) = outcome.failed().next() {
        return Err(Error::new(Kind::Internal, format!("peer {peer} {}", describe(ending))));
    }
    if outcome.peers.iter().all(|facts| facts.ending == Ending::Killed) {
        return Err(Error::new(Kind::Internal, "every peer was killed and none came back: there is no model")
            .hint("--restart PEER@SECONDS brings one back"));
    }
    // Peers that do not speak have nothing to agree on, and dead ones hold no base.
    if !report.gossip || !report.peers.iter().any(PeerReport::finished) {
        return Ok(());
    }
    if !outcome.agreed {
        return Err(
            Error::new(Kind::Internal, "the peers did not agree in time").hint("--log debug shows what they wait for")
        );
    }
    if !report.base_hashes_equal && !summary::is_pairwise(report) {
        return Err(Error::new(Kind::Internal, "the bases are not equal"));
    }
    Ok(())
}

/// The job of the flags, private to this simulation.
fn job_of(args: &SimArgs) -> Result<Job, Error> {
    let mut file = job_command::read(args.job.as_deref())?;
    // Nor do its peers have the identities of a list.
    (file.swarm.key, file.swarm.allow) = (None, None);
    let below = RawJob {
        training: crate::config::raw::RawTraining { epochs: Some(SIM_EPOCHS_DEFAULT), ..Default::default() },
        ..RawJob::default()
    };
    let mut job = Job::layered(args.job_layer(), file.over(below))?;
    super::run::refuse_groups(&job)?;
    // Nobody else on this machine gets in, and two simulations at a time do not meet.
    job.key = Some(job_command::fresh_key()?);
    Ok(job)
}

/// Where the peers' audit logs go. Every simulation makes new identities, and a log has one.
fn audit_dir(args: &SimArgs) -> Result<Option<PathBuf>, Error> {
    let Some(dir) = &args.audit else { return Ok(None) };
    let first = dir.join("peer-0");
    if audit::files(&first).is_ok_and(|files| !files.is_empty()) {
        let message = format!("--audit {}: there are the logs of another simulation", dir.display());
        return Err(Error::new(Kind::Input, message).hint("name a folder that is empty, or not there yet"));
    }
    Ok(Some(dir.clone()))
}

/// Where the peers' checkpoints go: every peer begins anew, and no two runs mix in a folder.
fn checkpoint_dir(dir: &Path) -> Result<PathBuf, Error> {
    let failed = |error: std::io::Error| {
        Error::new(Kind::Input, format!("--checkpoint {}: {error}", dir.display()))
            .hint("it names a folder that you may write to")
    };
    std::fs::create_dir_all(dir).map_err(failed)?;
    let earlier = |name: OsString| name.to_str().is_some_and(|name| name.starts_with("peer-"));
    for entry in std::fs::read_dir(dir).map_err(failed)? {
        if earlier(entry.map_err(failed)?.file_name()) {
            let message = format!("--checkpoint {}: there are those of another simulation", dir.display());
            return Err(Error::new(Kind::Input, message).hint("name a folder that is empty, or not there yet"));
        }
    }
    std::path::absolute(dir).map_err(failed)
}

fn spec_of(args: &SimArgs, job: &Job) -> Result<SwarmSpec, Error> {
    let program = std::env::current_exe()
        .map_err(|error| Error::new(Kind::Internal, format!("cannot find the path of this program: {error}")))?;
    // Children run in the launcher's folder; a relative data folder means the same for them only when it is made absolute.
    let mut written = job.clone();
    if let crate::config::Data::Folder(path) = &mut written.data {
        *path = std::path::absolute(&*path)
            .map_err(|error| Error::new(Kind::Input, format!("data folder {}: {error}", path.display())))?;
    }
    if let shaders::data::split::SplitRule::Regions { path } = &mut written.split {
        *path = std::path::absolute(&*path)
            .map_err(|error| Error::new(Kind::Input, format!("file of regions {}: {error}", path.display())))?;
    }
    let format = match args.common.log_format {
        LogFormat::Text => "text",
        LogFormat::Json => "json",
    };
    let threads = args.common.threads(args.peers()).to_string();
    let arguments = ["--device", &args.common.device, "--threads", &threads, "--log", &args.common.log];
    let every = args.checkpoint_every.iter().flat_map(|every| ["--checkpoint-every", every.as_str()]);
    let arguments = arguments.into_iter().chain(["--log-format", format]).chain(every).map(OsString::from).collect();
    Ok(SwarmSpec {
        program,
        peers: args.peers(),
        job: job_command::to_toml(&written, job.key),
        epochs: job.epochs.unwrap_or(SIM_EPOCHS_DEFAULT),
        gossip: !args.no_gossip,
        arguments,
        duration: args.faults.duration,
        faults: args.faults.faults(args.peers()).map_err(|why| Error::new(Kind::Usage, why))?,
        arrangement: if args.netns { Arrangement::Namespaces } else { Arrangement::Loopback },
        audit: audit_dir(args)?,
        checkpoint: args.checkpoint.as_deref().map(checkpoint_dir).transpose()?,
        dashboards: dashboards(args)?,
    })
}

/// Where the peers serve theirs.
fn dashboards(args: &SimArgs) -> Result<Vec<String>, Error> {
    let places = args.dashboard.iter().flat_map(|places| &places.0);
    let dashboards: Vec<String> = places.map(ToString::to_string).collect();
    if dashboards.len() > args.peers() as usize {
        let message = format!("--dashboard: {} ports for {} peers", dashboards.len(), args.peers());
        return Err(Error::new(Kind::Usage, message).hint("as many ports as there are peers, or fewer"));
    }
    Ok(dashboards)
}

/// Longest message of a dying child in one line, characters.
const DYING_WORDS_CHARS_MAX: usize = 400;

/// What a person sees of it.
struct Show {
    screen: Screen,
    json_logs: bool,
    notes: BTreeSet<String>,
}

impl Show {
    fn new(args: &SimArgs, job: &Job, to_stderr: bool) -> Self {
        Self {
            screen: Screen::new(args.peers(), job.epochs, to_stderr, args.quiet),
            json_logs: args.common.log_format == LogFormat::Json,
            notes: BTreeSet::new(),
        }
    }

    fn run(&mut self, spec: &SwarmSpec, stop: &Stop) -> Result<Outcome, Error> {
        self.screen.open();
        let outcome = Swarm::new(spec.clone()).and_then(|swarm| swarm.run(stop, &mut |event| self.event(&event)));
        self.screen.close();
        outcome.map_err(|error| failure(&error))
    }

    fn event(&mut self, event: &SwarmEvent<'_>) {
        match event {
            // Every process says it; a person needs it once.
            SwarmEvent::Said { event: ChildEvent::Note(note), .. } if !self.notes.insert(note.text.clone()) => {}
            // Before it is ready, a peer speaks of the machine and not of itself.
            SwarmEvent::Said { event: ChildEvent::Note(note), facts, .. } if facts.ready.is_none() => {
                self.screen.note(&note.text);
            }
            SwarmEvent::Said { peer, event, facts } => self.screen.said(*peer, event, facts),
            // What a child says of its own death is shown with its death.
            SwarmEvent::Log { line, .. } if line.starts_with("error: ") || line.starts_with("hint: ") => {}
            SwarmEvent::Log { line, .. } if self.json_logs => self.screen.log(line),
            SwarmEvent::Log { peer, line } => self.screen.log(&format!("[peer {peer}] {line}")),
            SwarmEvent::Died { peer, ending } => {
                let text = self.screen.about(*peer, &describe(ending));
                self.screen.warn(&text);
            }
            SwarmEvent::Settling => {}
            SwarmEvent::Disagreed => self.screen.warn(&format!(
                "THE PEERS DO NOT AGREE: {} s after the last step they have not heard the same deltas",
                sim::processes::launcher::AGREE_MAX.as_secs()
            )),
            fault => match fault_words::told(fault) {
                Some((Some(peer), text)) => self.tell(peer, &text),
                Some((None, text)) => self.screen.line(&text),
                None => {}
            },
        }
    }

    fn tell(&self, peer: u32, text: &str) {
        let text = self.screen.about(peer, text);
        self.screen.line(&text);
    }
}

fn describe(ending: &Ending) -> String {
    match ending {
        Ending::Died { signal: Some(signal), .. } => format!("died of signal {signal}"),
        Ending::Died { code, stderr, .. } => {
            let code = code.map_or_else(|| "?".into(), |code| code.to_string());
            let said = said_error(stderr).0.unwrap_or_else(|| "it said nothing".into());
            format!("died with exit code {code}: {}", escape(&said, DYING_WORDS_CHARS_MAX))
        }
        Ending::Silent { seconds } => format!("said nothing for {seconds} s: overdue, and killed"),
        Ending::Overdue => "did not end in time and was killed".into(),
        other => other.word().into(),
    }
}

fn failure(error: &SwarmError) -> Error {
    match error {
        // The child has said it in full: its words and its exit code are those of the launcher.
        SwarmError::NotReady { code, stderr, .. } => {
            let (message, hint) = said_error(stderr);
            let kind = kind_of(*code);
            Error { kind, message: message.unwrap_or_else(|| error.to_string()), hint }
        }
        SwarmError::Namespaces(_) => Error::new(Kind::Network, error),
        SwarmError::Pause(_) => Error::new(Kind::Usage, error).hint("--kill and --restart work everywhere"),
        SwarmError::Stopped => Error::new(Kind::Interrupted, error),
        SwarmError::Silent { .. } => {
            Error::new(Kind::Device, error).hint("--log debug shows how far it came; --device cpu needs no driver")
        }
        SwarmError::Io { .. } => Error::new(Kind::Internal, error),
    }
}

/// Whose turn it is, from a child's exit code.
fn kind_of(code: Option<i32>) -> Kind {
    match code {
        Some(2) => Kind::Usage,
        Some(3) => Kind::Input,
        Some(4) => Kind::Network,
        Some(5) => Kind::Device,
        Some(130) => Kind::Interrupted,
        _ => Kind::Internal,
    }
}

/// The `error:` and `hint:` lines of a child.
fn said_error(stderr: &str) -> (Option<String>, Option<String>) {
    // The last one is the child's own: libraries write such lines too.
    let begins = |line: &&str| line.starts_with("error: ");
    let Some(line) = stderr.lines().rfind(begins) else {
        return ((!stderr.trim().is_empty()).then(|| stderr.trim().to_owned()), None);
    };
    let at = stderr.rfind(line).unwrap_or(0) + "error: ".len();
    let said = &stderr[at..];
    match said.split_once("\nhint: ") {
        Some((message, hint)) => (Some(message.trim_end().to_owned()), Some(hint.trim_end().to_owned())),
        None => (Some(said.trim_end().to_owned()), None),
    }
}

fn peers_of(outcome: &Outcome) -> Vec<PeerReport> {
    (0..).zip(&outcome.peers).map(|(index, facts): (u32, &PeerFacts)| facts.report(index)).collect()
}

fn report_of(job: &Job, spec: &SwarmSpec, outcome: &Outcome) -> SimReport {
    SimReport {
        wall_s: outcome.wall.as_secs_f64(),
        peers: peers_of(outcome),
        parameters: outcome
            .peers
            .iter()
            .filter_map(|facts| facts.ready.as_ref())
            .map(|ready| ready.parameters)
            .next()
            .unwrap_or(0),
        gossip: spec.gossip,
        seed: job.seed,
        run: job.run_id().0.to_string(),
        job: job.canonical().lines().map(str::to_owned).collect(),
        faults: Some(outcome.faults.clone()).filter(FaultReport::any),
        agreed_after_s: outcome.agreed_after.map(|after| after.as_secs_f64()),
        ..SimReport::default()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn outcome(endings: &[Ending], agreed: bool) -> Outcome {
        let peers = endings.iter().map(|ending| PeerFacts { ending: ending.clone(), ..PeerFacts::default() }).collect();
        Outcome {
            peers,
            agreed,
            interrupted: false,
            wall: Duration::ZERO,
            agreed_after: None,
            faults: FaultReport::default(),
        }
    }

    fn report(endings: &[(&str, &str)], gossip: bool) -> SimReport {
        let peer = |&(ending, base): &(&str, &str)| PeerReport {
            ending: ending.into(),
            base_hash: gossip.then(|| base.into()),
            ..PeerReport::default()
        };
        SimReport { peers: endings.iter().map(peer).collect(), gossip, ..SimReport::default() }.derive()
    }

    #[test]
    fn deaths_on_request_are_no_failure() {
        let killed = [("killed", "a"), ("killed", "b")];
        let none = verdict(&outcome(&[Ending::Killed, Ending::Killed], true), &report(&killed, true)).unwrap_err();
        assert!(none.message.contains("none came back"), "that leaves no model: {}", none.message);
        let half = [("killed", "a"), ("finished", "b")];
        assert!(verdict(&outcome(&[Ending::Killed, Ending::Finished], true), &report(&half, true)).is_ok());
    }

    #[test]
    fn bases_are_compared_only_where_there_was_gossip() {
        let finished = [Ending::Finished, Ending::Finished];
        let unequal = [("finished", "a"), ("finished", "b")];
        assert!(verdict(&outcome(&finished, true), &report(&unequal, true)).is_err());
        assert!(verdict(&outcome(&finished, false), &report(&unequal, true)).is_err());
        assert!(verdict(&outcome(&finished, false), &report(&unequal, false)).is_ok());
        let died = [Ending::Finished, Ending::Overdue];
        assert!(
            verdict(&outcome(&died, true), &report(&unequal, false)).is_err(),
            "a failure is one without gossip, too"
        );
    }

    #[test]
    fn the_error_of_a_child_is_taken_over_whole() {
        let (message, hint) =
            said_error("[log] something\nerror: of a driver\nerror: no such device: \"x\"\nhint: starling has cpu");
        assert_eq!(message.as_deref(), Some("no such device: \"x\""));
        assert_eq!(hint.as_deref(), Some("starling has cpu"));
        assert_eq!(said_error("thread panicked").0.as_deref(), Some("thread panicked"));
        assert_eq!(said_error(" ").0, None);
    }
}
