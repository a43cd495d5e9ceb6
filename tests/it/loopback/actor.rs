//! The other processes of these tests: this program again, with its part in an environment variable. What it sees it says line by
//! line, with the time of the machine's clock.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use harness::bare::{self, Carrier};
use harness::costs::Process;
use harness::still::Still;
use harness::timed::{Did, Timed};
use nix::unistd::Pid;
use node::driver::{Control, NetworkSetup, Observation, PeerSetup};
use node::store::audit::Audit;
use protocol::codec::TopK2Bit;
use protocol::config::{Config, Gossip, Training};
use protocol::event::Event;
use protocol::id::{Hash, RunId, SchemaHash};
use protocol::learner::{Learner, LearnerError};
use protocol::log::Context;
use protocol::time::Span;
use protocol::trust::Limits;
use protocol::trust::admission::Guests;
use shaders::data;
use shaders::engine::cpu::CpuExecutor;
use shaders::models::ModelSpec;
use shaders::optim::OptimizerSpec;
use shaders::optim::schedule::Schedule;
use shaders::{LearnerSpec, TrainingLearner};

/// Where a process finds its part.
const PART: &str = "STARLING_LOOPBACK_PART";
/// Begins each line that is meant for the test: the test harness of Rust writes lines of its own.
const MARK: &str = "loopback: ";
/// No wait for another process is longer.
pub(super) const WAIT_MAX: Duration = Duration::from_secs(120);

/// What a peer computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mind {
    /// Nothing, on so many parameters.
    Still(usize),
    /// A perceptron with two hidden layers of so many units, on the digits.
    Trains(usize),
}

/// Samples a step of [`Mind::Trains`].
const BATCH: usize = 32;

impl Mind {
    fn parameters(self) -> usize {
        match self {
            Self::Still(parameters) => parameters,
            Self::Trains(_) => self.spec(0).expect("it trains").model.parameters(),
        }
    }

    fn spec(self, id: u8) -> Option<LearnerSpec> {
        let Self::Trains(hidden) = self else { return None };
        let dataset = data::named("digits", &data::Options::default()).expect("embedded");
        let model = ModelSpec::Mlp { hidden: vec![hidden as u32; 2] };
        let model = model.build(&dataset.shape, dataset.classes).expect("a model");
        let shard = (0..dataset.train.len() as u32).collect();
        Some(LearnerSpec {
            model: model.into(),
            optimizer: OptimizerSpec::Sgd { learning_rate: 1e-3, momentum: 0.0, nesterov: false },
            schedule: Schedule::default(),
            clip: None,
            batch: BATCH,
            init_seed: [7; 32],
            order_seed: id.into(),
            shard,
            dealt: None,
            dataset: dataset.into(),
        })
    }

    fn make(self, id: u8, step: Duration) -> Result<Box<dyn Learner>, LearnerError> {
        let told = |did: Did, hash: &Hash| {
            let word = if did == Did::Take { "took" } else { "applied" };
            tell(&format!("{word} {} {}", hash.short(), micros()));
        };
        Ok(match self.spec(id) {
            None => Box::new(Timed::new(Still::new(self.parameters(), step, &TopK2Bit, id.into()), told)),
            Some(spec) => Box::new(Timed::new(TrainingLearner::new(spec, Box::new(CpuExecutor::new(None)))?, told)),
        })
    }
}

/// One of the peers.
#[derive(Clone, Debug)]
pub(super) struct Part {
    /// Number of its identity.
    pub(super) id: u8,
    pub(super) mind: Mind,
    /// Steps between two deltas.
    pub(super) steps: u32,
    /// What a step of a still mind takes; `None`: none is taken.
    pub(super) step: Option<Duration>,
    /// Bytes of deltas that it keeps.
    pub(super) log_bytes: usize,
    /// Peers to wait for before it begins.
    pub(super) company: usize,
    /// Whom it dials.
    pub(super) peer: Option<String>,
}

impl Part {
    fn to_words(&self) -> String {
        let step = self.step.map_or(0, |step| step.as_micros());
        let peer = self.peer.as_deref().unwrap_or("-");
        let (kind, size) = match self.mind {
            Mind::Still(parameters) => ("still", parameters),
            Mind::Trains(hidden) => ("trains", hidden),
        };
        let Self { id, steps, log_bytes, company, .. } = self;
        format!("peer {id} {kind} {size} {steps} {step} {log_bytes} {company} {peer}")
    }

    fn from_words(words: &[&str]) -> Self {
        let number = |i: usize| words[i].parse::<usize>().expect("a number");
        let step = number(4);
        Self {
            id: number(0) as u8,
            mind: if words[1] == "still" { Mind::Still(number(2)) } else { Mind::Trains(number(2)) },
            steps: number(3) as u32,
            step: (step > 0).then(|| Duration::from_micros(step as u64)),
            log_bytes: number(5),
            company: number(6),
            peer: (words[7] != "-").then(|| words[7].to_owned()),
        }
    }
}

/// Does what the environment says, until its standard input is closed; at once when it says nothing.
pub(super) fn act() {
    let Ok(part) = std::env::var(PART) else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("threads");
    std::thread::spawn(|| {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(0);
    });
    let words: Vec<&str> = part.split_whitespace().collect();
    match words[0] {
        "sink" => {
            let carrier = Carrier::named(words[1]).expect("a carrier");
            runtime.block_on(bare::sink(carrier, |address| tell(&format!("listens {address}")))).expect("it listens");
        }
        _ => runtime.block_on(live(Part::from_words(&words[1..]))),
    }
}

fn tell(line: &str) {
    println!("{MARK}{line}");
}

pub(super) fn micros() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_micros()
}

async fn live(part: Part) {
    let (control, controls) = tokio::sync::mpsc::channel(4);
    if part.step.is_none() {
        control.send(Control::Pause).await.expect("room for one");
    }
    let mut observe = |seen| match seen {
        Observation::Listening(addresses) => tell(&format!("listens {}", addresses[0])),
        Observation::Event(Event::DeltaSaid { seq, .. }) => tell(&format!("said {seq} {}", micros())),
        Observation::Event(Event::DeltaHeard { origin, seq }) => {
            tell(&format!("heard {} {seq} {}", origin.peer.short(), micros()));
        }
        Observation::Event(Event::SnapshotRestored { bytes, fetched_in, witness, .. }) => {
            let confirmed = witness.is_some();
            tell(&format!("restored {bytes} {} {confirmed} {}", fetched_in.0, micros()));
        }
        Observation::Event(Event::SnapshotFailed { reason, .. }) => tell(&format!("failed {reason}")),
        Observation::Event(Event::BaseMismatch { .. }) => tell("mismatch"),
        _ => {}
    };
    node::driver::run(setup(part), &mut observe, controls).await.expect("it lives until it is ended");
}

fn setup(part: Part) -> PeerSetup {
    let Part { id, mind, steps, step, log_bytes, company, peer } = part;
    let parameters = mind.parameters();
    let gossip = Gossip { steps, company, join_grace: COMPANY_GRACE, log_bytes_max: log_bytes, ..Gossip::default() };
    let training = Training { steps_per_epoch: u32::MAX, epochs: None, overtime: false, evaluate_every: None };
    let step = step.unwrap_or(Duration::from_millis(10));
    PeerSetup {
        config: Config { gossip, training, ..Config::default() },
        context: Context {
            run: RunId(Hash([1; 32])),
            schema: SchemaHash(Hash([7; 32])),
            parameters,
            codec: &TopK2Bit,
            limits: Limits::OFF,
        },
        identity_seed: [id; 32].into(),
        incarnation: 1,
        seed: id.into(),
        swarm_key: [3; 32],
        guests: Guests::default(),
        network: Some(NetworkSetup {
            listen: vec!["/ip4/127.0.0.1/tcp/0".to_owned()],
            peers: peer.into_iter().collect(),
            ..NetworkSetup::default()
        }),
        learner: Box::new(move || mind.make(id, step)),
        device: None,
        audit: Audit::default(),
        resume: None,
        checkpoints: None,
    }
}

/// How long peers that are to begin together wait for each other.
const COMPANY_GRACE: Span = Span::from_secs(20);

/// A snapshot that arrived.
#[derive(Clone, Copy, Debug)]
pub(super) struct Restored {
    pub(super) bytes: u64,
    pub(super) fetched_in: Duration,
    /// Whether a second peer has found the same base.
    pub(super) confirmed: bool,
}

/// Such a process; killed when it is dropped.
pub(super) struct Actor {
    child: Child,
    lines: Receiver<String>,
    pub(super) address: String,
    /// Seq and time of what it said.
    pub(super) said: BTreeMap<u64, u128>,
    /// The same of what it heard, by origin.
    pub(super) heard: BTreeMap<(String, u64), u128>,
    /// Deltas by hash: when the learner had taken its own, and when it had applied another's.
    pub(super) took: BTreeMap<String, u128>,
    pub(super) applied: BTreeMap<String, u128>,
    pub(super) restored: Option<Restored>,
    /// Why snapshots were given up.
    pub(super) failed: Vec<String>,
}

impl Actor {
    pub(super) fn peer(part: &Part) -> Self {
        Self::start(&part.to_words())
    }

    pub(super) fn sink(carrier: Carrier) -> Self {
        Self::start(&format!("sink {}", carrier.name()))
    }

    fn start(part: &str) -> Self {
        let program = std::env::current_exe().expect("a test knows its own path");
        let mut command = Command::new(program);
        command.args(["--exact", "loopback::a_process_of_the_others", "--ignored", "--nocapture"]).env(PART, part);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it starts");
        let output = child.stdout.take().expect("piped");
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                // The first line stands behind what the harness has written.
                let Some((_, line)) = line.split_once(MARK) else { continue };
                if sender.send(line.to_owned()).is_err() {
                    return;
                }
            }
        });
        let (said, heard, took, applied) = Default::default();
        let (address, restored, failed) = Default::default();
        let mut actor = Self { child, lines, address, said, heard, took, applied, restored, failed };
        actor.until("it listens", |actor| !actor.address.is_empty());
        actor
    }

    /// Listens until `done`.
    pub(super) fn until(&mut self, what: &str, mut done: impl FnMut(&Self) -> bool) {
        let until = Instant::now() + WAIT_MAX;
        while !done(self) {
            match self.lines.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(line) => self.hear(&line),
                Err(RecvTimeoutError::Disconnected) => panic!("it ended before: {what}"),
                Err(RecvTimeoutError::Timeout) => panic!("in time: {what}; failed: {:?}", self.failed),
            }
        }
    }

    /// Takes in what it has said already.
    pub(super) fn catch_up(&mut self) {
        while let Ok(line) = self.lines.try_recv() {
            self.hear(&line);
        }
    }

    fn hear(&mut self, line: &str) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let number = |i: usize| words[i].parse::<u64>().expect("a number");
        let time = || words[words.len() - 1].parse::<u128>().expect("a time");
        match words[0] {
            "listens" => words[1].clone_into(&mut self.address),
            "said" => drop(self.said.insert(number(1), time())),
            "heard" => drop(self.heard.insert((words[1].to_owned(), number(2)), time())),
            "took" => drop(self.took.insert(words[1].to_owned(), time())),
            "applied" => drop(self.applied.insert(words[1].to_owned(), time())),
            "restored" => {
                let fetched_in = Duration::from_micros(number(2));
                self.restored = Some(Restored { bytes: number(1), fetched_in, confirmed: words[3] == "true" });
            }
            "failed" => self.failed.push(words[1..].join(" ")),
            other => panic!("{other}: equal sets of deltas, unequal bases"),
        }
    }

    pub(super) fn process(&self) -> Process {
        Process(Pid::from_raw(self.child.id() as i32))
    }
}

impl Drop for Actor {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
