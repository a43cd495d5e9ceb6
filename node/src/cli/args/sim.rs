//! `starling sim`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use protocol::codec;
use protocol::config::Mode;

use super::{Common, FaultArgs, Places, SeedRange, Widths};
use crate::config::RawJob;
use crate::config::raw::{RawData, RawGossip, RawModel, RawOptimizer, RawTraining};

/// Peers of a simulation when nothing is said.
pub const SIM_PEERS_DEFAULT: u32 = 4;
/// Epochs of a simulation when nothing is said: `run` trains until it is stopped, a simulation has an end.
pub const SIM_EPOCHS_DEFAULT: u32 = 300;

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
    /// Epochs of every peer [default: as in the job, else 300]; who is through sooner trains on until all are
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
    #[arg(long, value_name = "TIME|EPOCHS", value_parser = super::checkpoint::every_text, requires = "checkpoint")]
    pub checkpoint_every: Option<String>,
    /// Serve the dashboard of peer 0 there, as in `run`; of a range of ports, as 127.0.0.1:7878-7881, those of the first peers
    /// [default: none of them has one]
    #[arg(long, value_name = "IP:PORT[-LAST]", conflicts_with_all = ["scenario", "twin", "netns"], value_parser = crate::cli::place::to_serve)]
    pub dashboard: Option<Places>,
    /// Neither bars nor a line of an epoch: the summary, warnings and errors stay
    #[arg(long, short)]
    pub quiet: bool,
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
