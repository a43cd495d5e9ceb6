//! What may be typed. Values are checked where they are understood (`config::job`), not here: `values.rs` only takes them apart.

mod audit;
mod checkpoint;
mod dashboard;
mod data;
mod device;
mod faults;
mod id;
mod model;
mod network;
mod plot;
mod swarm;
mod top;
mod values;

use std::path::PathBuf;
use std::thread;

use clap::{Args, Parser, Subcommand, ValueEnum};
use protocol::codec;
use protocol::config::Mode;
use shaders::kernels::threads::THREADS_MAX;

pub use audit::{AuditCommand, AuditShowArgs, AuditVerifyArgs};
pub use checkpoint::{EVERY_DEFAULT, KEEP_DEFAULT, Keeping};
pub use dashboard::{Dashboard, DashboardArgs, Places};
pub use data::{DataCommand, DataShowArgs};
pub use device::{DeviceBenchArgs, DeviceCommand, DeviceJob, DeviceProfileArgs};
pub use faults::{FaultArgs, PeerFor, SpanOf};
pub use id::{IdCommand, IdFile};
pub use model::{EvalArgs, ExportArgs, GenerateArgs, ModelAt, PredictArgs};
pub use network::{DoctorArgs, JoinArgs, LsArgs};
pub use plot::PlotArgs;
pub use swarm::{SwarmAllow, SwarmCommand, SwarmDeny, SwarmFile, SwarmPair};
pub use top::TopArgs;
pub use values::{PeerAt, SeedRange, Shard, Widths};

use crate::config::RawJob;
use crate::config::raw::{RawData, RawGossip, RawModel, RawOptimizer, RawTraining};

/// Peers of a simulation when nothing is said.
pub const SIM_PEERS_DEFAULT: u32 = 4;
/// Epochs of a simulation when nothing is said: `run` trains until it is stopped, a simulation has an end.
pub const SIM_EPOCHS_DEFAULT: u32 = 300;
const EXIT_CODES: &str = "\
Exit codes:
  0    done (for `run` without --epochs: stopped by ctrl-c or SIGTERM)
  1    starling itself failed, or a simulation did: a peer died, peers do not agree, an invariant or expectation does not hold
  2    a flag or its value
  3    a file or its content: job, scenario, data, identity, an audit log that is not sound, an output that cannot be written
  4    the network: a port in use, an address that cannot be bound
  5    the device: none of that name, lost, out of memory
  130  stopped by ctrl-c or SIGTERM before the end";

/// Decentralized gossip training: every peer trains on its own data and its own GPU, tells its neighbours what changed,
/// and folds in what it hears. No server.
#[derive(Debug, Parser)]
#[command(name = "starling", version, after_help = EXIT_CODES, max_term_width = 110, arg_required_else_help = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// See [`Cli`].
#[derive(Debug, Subcommand)]
pub enum Command {
    /// One peer: trains, gossips with whom it finds on the LAN, until it is stopped
    #[command(after_help = RUN_EXAMPLES)]
    Run(Box<RunArgs>),
    /// The jobs and peers that are heard on this network
    Ls(LsArgs),
    /// Take part in a job that is heard on this network, or that a peer at an address runs
    #[command(after_help = JOIN_EXAMPLES)]
    Join(Box<JoinArgs>),
    /// Why peers do not meet: this machine, its network, and who is there, each finding with its remedy
    #[command(after_help = DOCTOR_EXAMPLES)]
    Doctor(DoctorArgs),
    /// A swarm of real processes on this machine, with a live table and a summary
    #[command(after_help = SIM_EXAMPLES)]
    Sim(Box<SimArgs>),
    /// Write, check or show a job file: what a swarm trains, and its invitation
    #[command(subcommand)]
    Job(JobCommand),
    /// Who may take part in a job: its key, and whom this machine links with
    #[command(subcommand)]
    Swarm(SwarmCommand),
    /// Show or make the identity of a peer
    #[command(subcommand)]
    Id(IdCommand),
    /// What a trained model says of samples
    Predict(PredictArgs),
    /// Continue a text with a trained language model
    Generate(GenerateArgs),
    /// What a trained model is worth: loss, accuracy, confusion, F1, perplexity
    Eval(EvalArgs),
    /// Write a trained model for other tools
    Export(ExportArgs),
    /// Check or show the log of whom a peer let in and what it took
    #[command(subcommand)]
    Audit(AuditCommand),
    /// What a data set holds, and which sets and formats there are
    #[command(subcommand)]
    Data(DataCommand),
    /// What there is to train on, and what a job would take of it
    #[command(subcommand)]
    Device(DeviceCommand),
    /// Draw curves of runs beside each other, and weights of checkpoints
    #[command(after_help = PLOT_EXAMPLES)]
    Plot(PlotArgs),
    /// How running peers stand, live in this terminal
    #[command(after_help = TOP_EXAMPLES)]
    Top(TopArgs),
    /// Print what a shell needs to complete these words
    #[command(after_help = COMPLETIONS_EXAMPLES)]
    Completions {
        /// Which shell
        #[arg(value_name = "SHELL")]
        shell: clap_complete::Shell,
    },
    /// Write a man page for every command
    Man {
        /// Folder, made when it is not there
        #[arg(value_name = "DIR")]
        dir: PathBuf,
    },
}

const COMPLETIONS_EXAMPLES: &str = "\
Examples:
  starling completions bash > ~/.local/share/bash-completion/completions/starling
  starling completions zsh  > ~/.zfunc/_starling
  starling completions fish > ~/.config/fish/completions/starling.fish";

const PLOT_EXAMPLES: &str = "\
Examples:
  starling sim --epochs 30 --json with.json
  starling sim --epochs 30 --no-gossip --json alone.json
  starling plot with.json alone.json --out both.svg        loss, accuracy, disagreement, bytes of the two, in one picture
  starling plot with.json --out bytes.png --x bytes        over the bytes that a peer has sent
  starling plot metrics.csv --out curves.png               what `run --metrics metrics.csv` writes, while it runs, too
  starling plot kept --out weights.png                     the first and the last layer of the newest checkpoint in kept";

const TOP_EXAMPLES: &str = "\
Examples:
  starling top                                 the peer of this machine, and whom it knows
  starling top 127.0.0.1:7878-7881             the four peers of `starling sim --dashboard 127.0.0.1:7878-7881`
  starling top 192.0.2.7:7878 --dashboard-token identity.token
  starling top --once                          one frame as text
  starling top --json - | jq .[0].status.training
Keys: q quits, p holds the picture, arrows move, ? shows the rest.";

const RUN_EXAMPLES: &str = "\
Examples:
  starling run --open                          the public demo job, with everyone on this LAN who runs it
  starling run --job job.toml                  a job of your own, with every machine that holds the same file
  starling run --job job.toml --listen /ip4/0.0.0.0/tcp/4001
  starling run --job job.toml --peer /ip4/192.0.2.7/tcp/4001
  starling run --job job.toml --peer /dns4/host.example/udp/4001/quic-v1 --peers more.txt
  starling run --job job.toml --epochs 50 --json result.json
  starling run --job job.toml --checkpoint kept          a checkpoint a minute; the newest 3 and the best stay
  starling run --job job.toml --resume kept              go on where it stopped, whatever stopped it";

const JOIN_EXAMPLES: &str = "\
Examples:
  starling ls                                  what is there
  starling join demo                           shows the job file, asks, and trains
  starling join 221de61f --yes --device cpu    by the beginning of the run id; the flags of `run` apply
  starling join /ip4/192.0.2.7/tcp/4001        beyond the LAN
  starling join flock --code 7KQM-4TXD         a private job, whose member has run `starling swarm pair`";

const DOCTOR_EXAMPLES: &str = "\
Examples:
  starling doctor                                              this machine, and who is heard
  starling doctor --job job.toml                               would its peers take this machine as a neighbour?
  starling doctor --job job.toml --peer /ip4/192.0.2.7/tcp/4001
Nothing broken: exit code 0; else that of the worst: 3 a file, 4 the network.";

const SIM_EXAMPLES: &str = "\
Examples:
  starling sim                                             4 peers on loopback, 300 epochs
  starling sim --peers 8 --split dirichlet:0.1 --baseline  what gossip is worth when every peer sees other classes
  starling sim --epochs 5000 --kill 2@5 --restart 2@8      a peer dies without a word and comes back with nothing
  starling sim --peers 8 --duration 1m --kill-every 5s --restart-after 2s --pause 6@12+10
  sudo starling sim --netns --peers 8 --duration 80s --cut 20+60
  sudo starling sim --netns                                a network namespace a peer; they meet by mDNS
  starling sim --json - | jq .bytes_ratio                  the summary as data
  starling sim --peers 8 --twin --device cpu               does the simulation agree with the real thing?
  starling sim --virtual --peers 64 --seeds 0..10          virtual peers in virtual time, ten seeds
  starling sim --virtual sim/scenarios/partition.toml --html partition.html
  starling sim compare before.json after.json              what changed";

/// `starling run`
#[derive(Debug, Args)]
pub struct RunArgs {
    /// The job file (`starling job init` writes one); without it the public demo job, which wants --open
    #[arg(long, value_name = "FILE")]
    pub job: Option<PathBuf>,
    /// Agree to train with everyone: the job has no key
    #[arg(long)]
    pub open: bool,
    /// Listen here (repeatable) [default: every interface, TCP and QUIC on one free port]
    #[arg(long, value_name = "MULTIADDR")]
    pub listen: Vec<String>,
    /// Dial this peer (repeatable); others are found by mDNS and through the peers
    #[arg(long, value_name = "MULTIADDR")]
    pub peer: Vec<String>,
    /// Dial the peers in this file, one address a line, # for comments
    #[arg(long, value_name = "FILE")]
    pub peers: Option<PathBuf>,
    /// Neither announce this peer on the LAN nor look for others there
    #[arg(long)]
    pub no_mdns: bool,
    /// Neither take links that another peer relays, nor relay for others
    #[arg(long)]
    pub no_relay: bool,
    /// Do not ask the router to open a port (UPnP)
    #[arg(long)]
    pub no_upnp: bool,
    /// File of the identity key, made when it is not there [default: identity.key in the user's data directory]
    #[arg(long, value_name = "FILE")]
    pub identity: Option<PathBuf>,
    /// Folder of the audit log, or none [default: identity.audit/RUN, beside the identity]
    #[arg(long, value_name = "DIR|none")]
    pub audit: Option<PathBuf>,
    /// Train on this shard, numbered from 0, of the job's [default: drawn from the identity]
    #[arg(long, value_name = "I[/N]")]
    pub shard: Option<Shard>,
    /// Stop after so many epochs [default: as in the job, else never]
    #[arg(long, value_name = "E")]
    pub epochs: Option<u32>,
    /// Train alone, without a socket
    #[arg(long)]
    pub no_gossip: bool,
    /// Smoke test: train alone on one batch for 200 steps [or --epochs of 50]; exit code 3 unless it was learnt by heart
    #[arg(long, conflicts_with_all = ["child", "company"])]
    pub overfit_one_batch: bool,
    /// What people look at.
    #[command(flatten)]
    pub dashboard: DashboardArgs,
    /// What is kept of it.
    #[command(flatten)]
    pub keeping: Keeping,
    /// What every command understands.
    #[command(flatten)]
    pub common: Common,
    /// Wait for so many neighbours before training, for a while
    #[arg(long, hide = true, value_name = "N")]
    pub company: Option<u16>,
    /// Speak to a launcher: events on stdout, stop when stdin ends
    #[arg(long, hide = true)]
    pub child: bool,
}

/// `starling sim`
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct SimArgs {
    /// Something else than a run.
    #[command(subcommand)]
    pub command: Option<SimCommand>,
    /// Number of peers, 1 to 256 processes or 1 to 100000 virtual peers [default: 4, or as in the scenario]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub peers: Option<u32>,
    /// Virtual peers in virtual time instead of processes, as the scenario file says; without a file, as the flags say
    #[arg(long = "virtual", value_name = "SCENARIO", num_args = 0..=1, conflicts_with_all = ["baseline", "netns", "kill", "restart", "lose_device", "duration", "pause", "no_gossip"])]
    pub scenario: Option<Option<PathBuf>>,
    /// With --virtual: these seeds, in parallel [default: as many as the scenario asks for]
    #[arg(long, value_name = "A..B", requires = "scenario", conflicts_with = "seed")]
    pub seeds: Option<SeedRange>,
    /// With --virtual: only this variant of the scenario
    #[arg(long, value_name = "NAME", requires = "scenario")]
    pub variant: Option<String>,
    /// With --virtual: stop after event number EVENT, to look at what led to a violation
    #[arg(long, value_name = "EVENT", requires = "scenario", value_parser = clap::value_parser!(u64).range(1..))]
    pub until: Option<u64>,
    /// With --virtual: write curves, tables and time line as one page
    #[arg(long, value_name = "FILE", requires = "scenario")]
    pub html: Option<PathBuf>,
    /// Start from this job file instead of the demo job; the other flags go on top
    #[arg(long, value_name = "FILE")]
    pub job: Option<PathBuf>,
    /// Epochs of every peer [default: as in the job, else 300]
    #[arg(long, value_name = "E")]
    pub epochs: Option<u32>,
    /// Optimizer steps between two deltas of a peer
    #[arg(long, value_name = "H")]
    pub steps: Option<u32>,
    /// Hidden widths of the MLP, as 64,64; `none` for a linear model
    #[arg(long, value_name = "WIDTHS")]
    pub model: Option<Widths>,
    /// Learning rate
    #[arg(long, value_name = "RATE", allow_negative_numbers = true)]
    pub lr: Option<f32>,
    /// Samples a step
    #[arg(long, value_name = "B")]
    pub batch: Option<u32>,
    /// sgd, adam, or adam_common (for peers that see different classes)
    #[arg(long, value_name = "NAME")]
    pub optimizer: Option<String>,
    /// iid, dirichlet:ALPHA (the smaller ALPHA, the less alike the data), classes:K (K classes a peer), sizes:ALPHA (some
    /// have much, some little), regions:FILE (as a file says), or rendezvous (dealt by pace, and
    /// anew as peers come and go)
    #[arg(long, value_name = "SPLIT")]
    pub split: Option<String>,
    /// How progress is shared: incremental, full_sync, or pairwise
    #[arg(long, value_name = "NAME", value_parser = mode)]
    pub mode: Option<Mode>,
    /// How deltas are said.
    #[arg(long, value_name = "NAME", help = codec_help())]
    pub codec: Option<String>,
    /// Share of a delta that goes into the shared model, times the number of living peers
    #[arg(long, value_name = "G", allow_negative_numbers = true)]
    pub gain: Option<f32>,
    /// Seed of everything random
    #[arg(long, value_name = "S")]
    pub seed: Option<u64>,
    /// Every peer trains alone
    #[arg(long, conflicts_with_all = ["baseline", "netns"])]
    pub no_gossip: bool,
    /// Run the same again without gossip, and compare
    #[arg(long)]
    pub baseline: bool,
    /// Run the processes with SEEDS seeds [default: 5], each again with virtual peers of the speeds measured, and compare:
    /// mean accuracy within 1 point, mean bytes sent within 10 %, or exit code 1
    #[arg(long, value_name = "SEEDS", num_args = 0..=1, default_missing_value = "5", value_parser = clap::value_parser!(u32).range(1..=1000), conflicts_with_all = ["baseline", "scenario", "no_gossip", "kill", "restart", "lose_device", "duration", "pause", "cut"])]
    pub twin: Option<u32>,
    /// What is done to the peers.
    #[command(flatten)]
    pub faults: FaultArgs,
    /// Every peer keeps an audit log: in DIR/peer-0, DIR/peer-1, ... [default: none of them does]
    #[arg(long, value_name = "DIR", conflicts_with_all = ["scenario", "twin"])]
    pub audit: Option<PathBuf>,
    /// Every peer writes checkpoints: into DIR/peer-0, DIR/peer-1, ... [default: none of them does]
    #[arg(long, value_name = "DIR", conflicts_with_all = ["scenario", "twin"])]
    pub checkpoint: Option<PathBuf>,
    /// How often, as in `run` [default: 1m]
    #[arg(long, value_name = "TIME|EPOCHS", value_parser = checkpoint::every_text, requires = "checkpoint")]
    pub checkpoint_every: Option<String>,
    /// Serve the dashboard of peer 0 there, as in `run`; of a range of ports, as 127.0.0.1:7878-7881, those of the first peers
    /// [default: none of them has one]
    #[arg(long, value_name = "IP:PORT[-LAST]", conflicts_with_all = ["scenario", "twin", "netns"], value_parser = crate::cli::place::to_serve)]
    pub dashboard: Option<Places>,
    /// Put each peer into a network namespace of its own, where they meet by mDNS (needs root)
    #[arg(long)]
    pub netns: bool,
    /// What every command understands.
    #[command(flatten)]
    pub common: Common,
}

/// `starling sim compare`
#[derive(Debug, Subcommand)]
pub enum SimCommand {
    /// What changed between two reports of `sim --virtual --json`
    Compare(CompareArgs),
    /// At how many peers a link cannot carry every delta of everybody, and what groups make of it
    Saturation(SaturationArgs),
}

/// See [`SimCommand`].
#[derive(Debug, Args)]
pub struct SaturationArgs {
    /// Job file; without it, the demo job
    #[arg(long, value_name = "FILE")]
    pub job: Option<PathBuf>,
    /// Sizes of models, parameters
    #[arg(long, value_name = "D", value_delimiter = ',', default_value = "1000000,10000000,100000000",
          value_parser = clap::value_parser!(u64).range(1..=1_000_000_000))]
    pub parameters: Vec<u64>,
    /// Optimizer steps between two deltas; without it, as the job says
    #[arg(long, value_name = "H", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub steps: Option<u32>,
    /// Time of an optimizer step, milliseconds
    #[arg(long, value_name = "MS", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub step_ms: u32,
    /// What a link carries, megabits a second
    #[arg(long, value_name = "MBIT", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub megabits: u32,
}

/// See [`SimCommand`].
#[derive(Debug, Args)]
pub struct CompareArgs {
    /// The earlier report
    #[arg(value_name = "A.json")]
    pub before: PathBuf,
    /// The later report
    #[arg(value_name = "B.json")]
    pub after: PathBuf,
}

impl Common {
    /// Of each of so many processes, or in all.
    #[must_use]
    pub fn threads(&self, processes: u32) -> usize {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let share = || (cores / processes.max(1) as usize).clamp(1, THREADS_MAX);
        self.threads.map_or_else(share, usize::from)
    }
}

/// Flags that mean the same everywhere.
#[derive(Clone, Debug, Args)]
pub struct Common {
    /// Train on this device: auto (the best GPU, else the CPU), cpu, or a part of its name; NAME#2 is the second of that name
    #[arg(long, value_name = "auto|cpu|NAME", default_value = "auto")]
    pub device: String,
    /// Threads that compute on the CPU: of a peer, or of `sim` of every process, or of `sim --virtual` seeds at a time
    /// [default: the cores of this machine, shared out to its processes]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=THREADS_MAX as i64))]
    pub threads: Option<u16>,
    /// Data of your own instead of the job's set: a file or folder (`starling data ls` lists the formats)
    #[arg(long, value_name = "PATH")]
    pub data: Option<PathBuf>,
    /// The column of a table with the label, by its name or number from 0 [default: one named label or class, else the last]
    #[arg(long, value_name = "NAME|INDEX")]
    pub label: Option<String>,
    /// Write the summary as JSON at the end; - is standard output, and people then read standard error
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// What to log on standard error: error, warn, info, debug, trace, or a filter as node=debug,libp2p=info
    #[arg(long, value_name = "LEVEL", default_value = "error")]
    pub log: String,
    /// How to log
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub log_format: LogFormat,
}

/// How to log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One object a line.
    Json,
}

/// `starling job`
#[derive(Debug, Subcommand)]
pub enum JobCommand {
    /// Write a commented job with a fresh swarm key; never overwrites
    Init(JobInitArgs),
    /// Check a job file and the data it names
    Check(JobFileArgs),
    /// Print a job with every default spelled out, and the id of its run
    Show(JobFileArgs),
}

/// `starling job init`
#[derive(Debug, Args)]
pub struct JobInitArgs {
    /// Where to write it
    #[arg(value_name = "FILE", default_value = "job.toml")]
    pub file: PathBuf,
    /// Name of the swarm
    #[arg(long, default_value = "flock")]
    pub name: String,
    /// Without a key: everyone may join
    #[arg(long)]
    pub open: bool,
    /// Print it instead
    #[arg(long)]
    pub stdout: bool,
}

/// `starling job check|show`
#[derive(Debug, Args)]
pub struct JobFileArgs {
    /// The job file; without it the embedded demo job
    #[arg(value_name = "FILE")]
    pub file: Option<PathBuf>,
}

/// One line that names them all; what each does is in the file that `job init` writes.
fn codec_help() -> String {
    let names: Vec<_> = codec::ALL.iter().map(|codec| codec.name()).collect();
    format!("How deltas are said: {}", names.join(", "))
}

fn mode(text: &str) -> Result<Mode, String> {
    let known: Vec<_> = Mode::ALL.iter().map(|mode| mode.name()).collect();
    let found = Mode::ALL.iter().find(|mode| mode.name() == text);
    found.copied().ok_or_else(|| format!("no such mode; one of {}", known.join(", ")))
}

impl SimArgs {
    /// Number of processes.
    #[must_use]
    pub fn peers(&self) -> u32 {
        self.peers.unwrap_or(SIM_PEERS_DEFAULT)
    }

    /// What the flags say about the job.
    #[must_use]
    pub fn job_layer(&self) -> RawJob {
        RawJob {
            model: RawModel { hidden: self.model.clone().map(|widths| widths.0), ..RawModel::default() },
            data: RawData {
                path: self.common.data.clone(),
                label: self.common.label.clone(),
                split: self.split.clone(),
                shards: Some(self.peers()),
                batch: self.batch,
                ..RawData::default()
            },
            optimizer: RawOptimizer { kind: self.optimizer.clone(), learning_rate: self.lr, ..RawOptimizer::default() },
            gossip: RawGossip {
                mode: self.mode,
                codec: self.codec.clone(),
                gain: self.gain,
                steps: self.steps,
                ..RawGossip::default()
            },
            training: RawTraining { epochs: self.epochs, seed: self.seed, ..RawTraining::default() },
            ..RawJob::default()
        }
    }
}

impl RunArgs {
    /// What the flags say about the job.
    #[must_use]
    pub fn job_layer(&self) -> RawJob {
        RawJob {
            data: RawData { path: self.common.data.clone(), label: self.common.label.clone(), ..RawData::default() },
            training: RawTraining { epochs: self.epochs, ..RawTraining::default() },
            ..RawJob::default()
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use std::ffi::OsString;
    use std::path::Path;

    use clap::CommandFactory as _;
    use sim::processes::{Arrangement, Birth, SwarmSpec};

    use std::time::Duration;

    use super::*;

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(line.split_whitespace())
    }

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn help_names_every_codec() {
        let mut command = Cli::command();
        let help = command.find_subcommand_mut("sim").unwrap().render_long_help().to_string();
        assert!(codec::ALL.iter().all(|codec| help.contains(codec.name())), "{help}");
    }

    #[test]
    fn sim_needs_no_flags_and_takes_all_of_them() {
        assert!(parse("starling sim").is_ok());
        let all = "starling sim --peers 8 --epochs 2 --steps 3 --model 32,16 --lr 0.1 --batch 8 --optimizer sgd \
                   --split dirichlet:0.1 --codec dense_f32 --gain 1 --seed 7 --device cpu --baseline --kill 2@5 \
                   --restart 2@8.5 --lose-device 1@3 --pause 3@2+1.5 --cut 4+60 --netns --json - --data x --log debug --log-format json";
        let Command::Sim(sim) = parse(all).unwrap().command else { panic!("sim") };
        assert_eq!(sim.model, Some(Widths(vec![32, 16])));
        assert_eq!(sim.faults.faults(8).unwrap().len(), 7);
        assert_eq!(sim.faults.restart[0], PeerAt { peer: 2, at: Duration::from_millis(8500) });
    }

    #[test]
    fn kills_come_again_and_again_and_leave_a_quiet_end() {
        let line =
            "starling sim --duration 40s --kill-every 5s --restart-after 2s --spare 0,1 --calm 10s --pause 6@12+10";
        let Command::Sim(sim) = parse(line).unwrap().command else { panic!("sim") };
        let faults = sim.faults.faults(8).unwrap();
        // At 5, 10 .. 25 s; the last one is back at 27 s.
        assert_eq!(faults.len(), 2 + 2 * 5);
        assert!(faults.iter().all(|fault| fault.at <= Duration::from_secs(30) && fault.peer > 1));
    }

    #[test]
    fn what_the_launcher_says_to_a_child_is_understood() {
        let spec = SwarmSpec {
            program: "starling".into(),
            peers: 4,
            job: String::new(),
            epochs: 3,
            duration: None,
            gossip: true,
            arguments: vec!["--device".into(), "cpu".into(), "--log".into(), "error".into()],
            faults: Vec::new(),
            arrangement: Arrangement::Loopback,
            audit: None,
            checkpoint: None,
            dashboards: Vec::new(),
        };
        for (gossip, bootstrap) in [(true, None), (true, Some("/ip4/127.0.0.1/tcp/4001")), (false, None)] {
            let spec = SwarmSpec { gossip, ..spec.clone() };
            let birth = Birth { index: 1, home: Path::new("/h"), bootstrap, epochs: 3, lives: 0 };
            let line = [OsString::from("starling")].into_iter().chain(spec.child_arguments(birth));
            let Command::Run(run) = Cli::try_parse_from(line).unwrap().command else { panic!("run") };
            assert!(run.child && run.no_mdns && run.audit.is_some_and(|none| none == Path::new("none")));
            assert_eq!((run.shard, run.epochs), (Some(Shard { index: 1, of: Some(4) }), Some(3)));
            assert_eq!((run.no_gossip, run.peer.len()), (!gossip, usize::from(bootstrap.is_some())));
        }
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for line in [
            "starling sim --peers 0",
            "starling sim --peers 100001",
            "starling sim --kill 2",
            "starling sim --kill two@5",
            "starling sim --kill 2@-1",
            "starling sim --kill 2@NaN",
            "starling sim --lose-device 2",
            "starling sim --pause 2@5",
            "starling sim --cut 20+60",
            "starling sim --netns --cut 20",
            "starling sim --kill-every 5s",
            "starling sim --duration 40s --restart-after 2s",
            "starling sim --duration 40s --epochs 3",
            "starling sim --duration 40d",
            "starling sim --virtual --duration 40s",
            "starling sim --virtual --lose-device 2@5",
            "starling sim --model 64,,64",
            "starling sim --no-gossip --baseline",
            "starling sim --nonsense",
            "starling run --shard 4/4",
            "starling run --log-format xml",
            "starling",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
    }
}
