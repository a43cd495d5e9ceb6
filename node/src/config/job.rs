//! A complete, checked job, its canonical form, and the name of the run that follows from it.
//!
//! Two peers belong to one run when their [`Job::run_id`] is equal: blake3 over the canonical form and the swarm key. The
//! canonical form is everything that must be the same on all peers for their deltas to make sense together. Not part of
//! it: where a peer keeps its data (its content may even differ, that is what federated means; the schema hash makes sure
//! that the shapes agree), and how many epochs this peer wants to take.

use std::fmt::{self, Write as _};
use std::path::PathBuf;

use protocol::codec::{self, Codec};
use protocol::config::{Distance, Gossip, MergeRule, Mode, PartnerRule, TriggerRule, Trust};
use protocol::groups::GROUPS_MAX;
use protocol::id::{Hash, PeerId, RunId, parse_hex};
use protocol::time::Span;
use protocol::trust::Limits;
use protocol::trust::admission::SwarmKey;
use protocol::{partner, trigger};
use shaders::data::split::{self, SplitError, SplitRule};
use shaders::models::ModelSpec;
use shaders::models::network::Loss;
use shaders::optim;
use shaders::optim::schedule::{self, Curve, Schedule};

use super::model;
use super::raw::{RawJob, RawOptimizer};
use crate::error::{Error, Kind};

/// Most samples a step.
pub const BATCH_MAX: u32 = 65_536;
/// Most shards, and so most peers with data of their own.
pub const SHARDS_MAX: u32 = 256;
/// Largest gain; measured: 8 diverges with every codec so far.
pub const GAIN_MAX: f32 = 16.0;
/// Most steps between two deltas.
pub const GOSSIP_STEPS_MAX: u32 = 100_000;
/// Largest alpha of the partner rule `exponential`: beyond it only the nearest is ever chosen.
pub const PARTNER_ALPHA_MAX: f32 = 1e6;
/// Largest relative drift or fall of the loss that a trigger may wait for.
pub const TRIGGER_SHARE_MAX: f32 = 1.0;
/// Fastest link that is no typing error, bytes a second.
pub const LINK_BYTES_PER_SECOND_MAX: f32 = 1e12;
/// Largest learning rate that is no typing error.
pub const LEARNING_RATE_MAX: f32 = 100.0;
/// Longest clipped gradient that is no typing error.
pub const CLIP_MAX: f32 = 1e6;
/// Largest weight decay that is no typing error.
pub const WEIGHT_DECAY_MAX: f32 = 10.0;
/// Of adamw where a job gives none, as in its paper and in PyTorch.
const WEIGHT_DECAY_DEFAULT: f32 = 0.01;
/// Most samples of a warm-up or a schedule.
pub const SAMPLES_MAX: u64 = 1 << 53;
/// Largest seed: TOML integers are signed, and one beyond could not be written into a job file.
pub const SEED_MAX: u64 = i64::MAX as u64;
/// Longest name, characters.
pub const NAME_CHARS_MAX: usize = 64;
/// Probation of a job that names none, deltas. measured (sim/scenarios/attackers.toml): 5 of 16 that speak against the mean ten
/// times as loud from their first delta on kill the model before anybody can tell them apart; with this they do not.
const PROBATION_DEFAULT: u32 = 16;
/// Longest probation, deltas.
pub const PROBATION_MAX: u32 = 1_000_000;
/// Longest wait of a round, seconds: an hour.
pub const ROUND_DEADLINE_S_MAX: f32 = 3600.0;
/// Most peers on an allow list.
pub const ALLOW_MAX: usize = 4096;
/// Share of the way that each of two peers goes in the mode `pairwise`. measured with `sign` (docs/algorithms.md): 0.4 agrees
/// soonest, in 5 rounds among 8 peers and 9 among 100 (0.1: 14 and 31; 0.5: 6 and 13), and digits end best.
const PAIRWISE_GAIN: f32 = 0.4;
/// Most epochs.
pub const EPOCHS_MAX: u32 = 1_000_000;

/// A job as all its peers understand it.
#[derive(Clone, Debug)]
pub struct Job {
    /// For people; part of the run.
    pub name: String,
    /// Who knows it may join; `None`: everybody.
    pub key: Option<SwarmKey>,
    /// What is trained.
    pub model: ModelSpec,
    /// What is made small.
    pub loss: Loss,
    /// On what.
    pub data: Data,
    /// How the training samples are split.
    pub split: SplitRule,
    /// Into how many shards.
    pub shards: u32,
    /// Samples a step.
    pub batch: u32,
    /// Which optimizer.
    pub optimizer: OptimizerKind,
    /// Its step size.
    pub learning_rate: f32,
    /// Longest gradient, over all parameters together; `None`: any.
    pub clip: Option<f32>,
    /// How that changes with the progress of the swarm.
    pub schedule: Schedule,
    /// How progress is shared.
    pub mode: Mode,
    /// Of the mode `incremental`: groups of peers; 1: none.
    pub groups: u32,
    /// Of the mode `full_sync`: how long a round waits for a peer.
    pub round_deadline: Span,
    /// Of the mode `pairwise`: how models are merged.
    pub merge: MergeRule,
    /// How deltas are said.
    pub codec: &'static dyn Codec,
    /// w * live peers.
    pub gain: f32,
    /// Optimizer steps between two deltas.
    pub gossip_steps: u32,
    /// How the anti-entropy partner is chosen.
    pub partner: PartnerRule,
    /// Of the partner rule `exponential`: how much nearness counts.
    pub partner_alpha: f32,
    /// Of the partner rule `exponential`: what near means.
    pub partner_distance: Distance,
    /// Of the partner rule `fixed`: edges, each with the smaller id first, in order.
    pub partner_graph: Vec<(PeerId, PeerId)>,
    /// What decides that a delta is due.
    pub trigger: TriggerRule,
    /// Of the trigger `drift`.
    pub trigger_drift: f32,
    /// Of the trigger `plateau`.
    pub trigger_plateau: f32,
    /// Of the trigger `adaptive`: what the link of this machine carries. Not part of the run.
    pub link_bytes_per_second: Option<f32>,
    /// Whether to suspect, vote and exclude.
    pub trust_enabled: bool,
    /// The first so many deltas of every life of a peer weigh little.
    pub trust_probation: u32,
    /// Whose deltas count, in order; empty: everybody's.
    pub trust_allow: Vec<PeerId>,
    /// Whether this machine computes activations again in place of keeping them. Not part of the run: the bits are the same.
    pub recompute: bool,
    /// Epochs to take; `None`: until stopped. Not part of the run.
    pub epochs: Option<u32>,
    /// Of the split and of the order of samples.
    pub seed: u64,
}

/// Where the samples come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Data {
    /// A set inside the binary.
    Embedded(String),
    /// A folder of this machine.
    Folder(PathBuf),
}

/// Which optimizer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum OptimizerKind {
    /// Adam with its usual moments.
    Adam,
    /// Adam with one second moment for all parameters.
    AdamCommon,
    /// Adam with decoupled weight decay.
    AdamW {
        /// 0 or more.
        weight_decay: f32,
    },
    /// SGD with momentum.
    Sgd {
        /// 0 to below 1.
        momentum: f32,
        /// Whether it is Nesterov's.
        nesterov: bool,
    },
}

impl OptimizerKind {
    /// Where a job gives none.
    #[must_use]
    pub fn learning_rate_default(self) -> f32 {
        match self {
            Self::Adam | Self::AdamW { .. } => 0.003, // measured on digits: 97 % after 30 epochs of an IID shard
            Self::AdamCommon => 0.002,                // measured on Fashion-MNIST (docs/algorithms.md, Unequal classes)
            Self::Sgd { .. } => 0.01, // measured on digits, 8 peers, Dirichlet 0.1: 0.005 slower, 0.02 less steady
        }
    }
}

/// Floor of a cosine where a job gives none: a peer trains until it is stopped, so the rate does not fall to nothing. Guess, of
/// the size that is usual for language models.
pub const FLOOR_DEFAULT: f32 = 0.1;
/// Momentum of sgd where a job gives none.
const MOMENTUM_DEFAULT: f32 = 0.9;

impl Job {
    /// The job that these layers describe, the demo job below them.
    ///
    /// # Errors
    /// The first value that is out of place: key, value, limit and remedy.
    pub fn new(raw: RawJob) -> Result<Self, Error> {
        let raw = raw.over(RawJob::demo()?);
        let optimizer = optimizer(&raw.optimizer)?;
        let default = Gossip::default();
        let mode = raw.gossip.mode.unwrap_or_default();
        let codec = codec_named(raw.gossip.codec.as_deref().unwrap_or_else(|| codec_default(mode)))?;
        let partner = raw.gossip.partner.unwrap_or_default();
        Ok(Self {
            name: name(raw.swarm.name.unwrap_or_default())?,
            key: raw.swarm.key.as_deref().map(key).transpose()?,
            loss: raw.model.loss.unwrap_or_default(),
            model: model::model(raw.model)?,
            data: data(raw.data.set, raw.data.path)?,
            split: split(raw.data.split.as_deref().unwrap_or("iid"))?,
            shards: within("data.shards", raw.data.shards.unwrap_or(1), 1, SHARDS_MAX)?,
            batch: within("data.batch", raw.data.batch.unwrap_or(1), 1, BATCH_MAX)?,
            learning_rate: positive(
                "optimizer.learning_rate",
                raw.optimizer.learning_rate.unwrap_or_else(|| optimizer.learning_rate_default()),
                LEARNING_RATE_MAX,
            )?,
            optimizer,
            clip: raw.optimizer.clip.map(|limit| positive("optimizer.clip", limit, CLIP_MAX)).transpose()?,
            schedule: schedule(mode, &raw.optimizer)?,
            mode,
            groups: groups(mode, raw.gossip.groups, &raw.optimizer)?,
            round_deadline: round_deadline(mode, raw.gossip.round_deadline_s)?,
            merge: merge(mode, raw.gossip.merge)?,
            gain: positive(
                "gossip.gain",
                raw.gossip.gain.unwrap_or_else(|| gain_default(mode, codec)),
                if mode == Mode::Pairwise { 1.0 } else { GAIN_MAX },
            )?,
            codec,
            gossip_steps: within("gossip.steps", raw.gossip.steps.unwrap_or(1), 1, GOSSIP_STEPS_MAX)?,
            partner_graph: graph(partner, raw.gossip.partner_graph.unwrap_or_default())?,
            partner,
            partner_alpha: positive(
                "gossip.partner_alpha",
                raw.gossip.partner_alpha.unwrap_or(default.partner_alpha),
                PARTNER_ALPHA_MAX,
            )?,
            partner_distance: raw.gossip.partner_distance.unwrap_or_default(),
            trigger: raw.gossip.trigger.unwrap_or_default(),
            trigger_drift: positive(
                "gossip.trigger_drift",
                raw.gossip.trigger_drift.unwrap_or(default.trigger_drift),
                TRIGGER_SHARE_MAX,
            )?,
            trigger_plateau: positive(
                "gossip.trigger_plateau",
                raw.gossip.trigger_plateau.unwrap_or(default.trigger_plateau),
                TRIGGER_SHARE_MAX,
            )?,
            link_bytes_per_second: raw
                .gossip
                .link_bytes_per_second
                .map(|rate| positive("gossip.link_bytes_per_second", rate, LINK_BYTES_PER_SECOND_MAX))
                .transpose()?,
            trust_enabled: raw.trust.enabled.unwrap_or(true),
            trust_probation: within(
                "trust.probation",
                raw.trust.probation.unwrap_or_else(|| probation_default(mode)),
                0,
                PROBATION_MAX,
            )?,
            trust_allow: allow(raw.trust.allow.unwrap_or_default())?,
            recompute: raw.training.recompute.unwrap_or(false),
            epochs: raw.training.epochs.map(|epochs| within("training.epochs", epochs, 1, EPOCHS_MAX)).transpose()?,
            seed: seed(raw.training.seed.unwrap_or(0))?,
        })
    }

    /// A job from a file's layer and the command line's. What is wrong in the file is the file's fault (exit code 3), what
    /// is wrong only with the flags on top is theirs (exit code 2).
    ///
    /// # Errors
    /// As [`Job::new`].
    pub fn layered(flags: RawJob, file: RawJob) -> Result<Self, Error> {
        Self::new(file.clone())?;
        Self::new(flags.over(file)).map_err(|error| Error { kind: Kind::Usage, ..error })
    }

    /// Everything that all peers of a run share, the key apart: one `key=value` a line, in fixed order, floats by their
    /// bits. A change of this form is a change of every run id.
    #[must_use]
    pub fn canonical(&self) -> String {
        let mut text = String::from("starling=1\n");
        let mut line = |key: &str, value: &dyn fmt::Display| {
            let _ = writeln!(text, "{key}={value}");
        };
        line("swarm.name", &self.name);
        model::canonical(&self.model, &mut line);
        if self.loss != Loss::default() {
            line("model.loss", &self.loss.name());
        }
        line(
            "data.set",
            &match &self.data {
                Data::Embedded(set) => set.as_str(),
                Data::Folder(_) => "folder",
            },
        );
        line("data.split", &self.split);
        line("data.shards", &self.shards);
        line("data.batch", &self.batch);
        line("optimizer.kind", &self.optimizer.name());
        match self.optimizer {
            OptimizerKind::Adam | OptimizerKind::AdamCommon => {}
            OptimizerKind::AdamW { weight_decay } => line("optimizer.weight_decay", &Bits(weight_decay)),
            OptimizerKind::Sgd { momentum, nesterov } => {
                line("optimizer.momentum", &Bits(momentum));
                if nesterov {
                    line("optimizer.nesterov", &nesterov);
                }
            }
        }
        line("optimizer.learning_rate", &Bits(self.learning_rate));
        if let Some(limit) = self.clip {
            line("optimizer.clip", &Bits(limit));
        }
        // Only what is there: a job without a schedule keeps its run.
        if self.schedule.warm_up_samples > 0 {
            line("optimizer.warm_up_samples", &self.schedule.warm_up_samples);
        }
        if let Curve::Cosine { total_samples, floor } = self.schedule.curve {
            line("optimizer.schedule", &self.schedule.curve.name());
            line("optimizer.total_samples", &total_samples);
            line("optimizer.floor", &Bits(floor));
        }
        // As above: the default mode is not named.
        if self.mode != Mode::default() {
            line("gossip.mode", &self.mode.name());
        }
        if self.groups > 1 {
            line("gossip.groups", &self.groups);
        }
        if self.mode == Mode::FullSync {
            line("gossip.round_deadline_us", &self.round_deadline.0);
        }
        if self.mode == Mode::Pairwise {
            line("gossip.merge", &protocol::merge::of(self.merge).name());
        }
        line("gossip.codec", &self.codec.name());
        line("gossip.gain", &Bits(self.gain));
        line("gossip.steps", &self.gossip_steps);
        line("gossip.partner", &partner::of(self.partner).name());
        line("gossip.partner_alpha", &Bits(self.partner_alpha));
        line("gossip.partner_distance", &self.partner_distance.name());
        for (a, b) in &self.partner_graph {
            line("gossip.partner_graph", &format_args!("{a},{b}"));
        }
        line("gossip.trigger", &trigger::of(self.trigger).name());
        line("gossip.trigger_drift", &Bits(self.trigger_drift));
        line("gossip.trigger_plateau", &Bits(self.trigger_plateau));
        line("trust.enabled", &self.trust_enabled);
        line("trust.probation", &self.trust_probation);
        for peer in &self.trust_allow {
            line("trust.allow", peer);
        }
        line("training.seed", &self.seed);
        text
    }

    /// How its peers gossip; the partners that a graph gives to a single peer are [`Job::partners_of`].
    #[must_use]
    pub fn gossip(&self) -> Gossip {
        Gossip {
            mode: self.mode,
            groups: self.groups,
            merge: self.merge,
            round_deadline: self.round_deadline,
            gain: self.gain,
            steps: self.gossip_steps,
            partner: self.partner,
            partner_alpha: self.partner_alpha,
            partner_distance: self.partner_distance,
            trigger: self.trigger,
            trigger_drift: self.trigger_drift,
            trigger_plateau: self.trigger_plateau,
            ..Gossip::default()
        }
    }

    /// What its peers believe of each other.
    #[must_use]
    pub fn trust(&self) -> Trust {
        Trust { enabled: self.trust_enabled, allow: self.trust_allow.clone(), ..Trust::default() }
    }

    /// Bounds on a delta, the same on every peer.
    #[must_use]
    pub fn limits(&self) -> Limits {
        Limits { probation: u64::from(self.trust_probation), ..Limits::OFF }
    }

    /// Whom the graph of the partner rule `fixed` joins to a peer.
    #[must_use]
    pub fn partners_of(&self, peer: PeerId) -> Vec<PeerId> {
        let other = |&(a, b): &(PeerId, PeerId)| if a == peer { Some(b) } else { (b == peer).then_some(a) };
        self.partner_graph.iter().filter_map(other).collect()
    }

    /// Name of the run: peers of different runs never mix.
    #[must_use]
    pub fn run_id(&self) -> RunId {
        let mut hasher = blake3::Hasher::new_derive_key("starling 1 run");
        hasher.update(self.canonical().as_bytes());
        hasher.update(&self.swarm_key());
        RunId(Hash(*hasher.finalize().as_bytes()))
    }

    /// The key of the handshake; all zero for an open job.
    #[must_use]
    pub fn swarm_key(&self) -> SwarmKey {
        self.key.unwrap_or_default()
    }

    /// Seed of the initial weights: the same on every peer, and the same for two runs that differ by their key alone, so
    /// that a private simulation can be repeated.
    #[must_use]
    pub fn init_seed(&self) -> [u8; 32] {
        blake3::derive_key("starling 1 initial weights", self.canonical().as_bytes())
    }

    /// Seed of the order in which a peer sees its shard; `salt` tells apart peers that share one.
    #[must_use]
    pub fn order_seed(&self, shard: u32, salt: &[u8]) -> u64 {
        seed_from("starling 1 sample order", &[&self.seed.to_le_bytes(), &shard.to_le_bytes(), salt])
    }

    /// Optimizer steps of an epoch: the same on every peer whatever the size of its shard, so that epochs of equal peers
    /// end together.
    #[must_use]
    pub fn steps_per_epoch(&self, training_samples: usize) -> u32 {
        let samples_a_step = u64::from(self.shards) * u64::from(self.batch);
        u32::try_from(training_samples as u64 / samples_a_step).unwrap_or(u32::MAX).max(1)
    }
}

/// The first 8 bytes of a derived hash.
fn seed_from(context: &str, parts: &[&[u8]]) -> u64 {
    let mut hasher = blake3::Hasher::new_derive_key(context);
    for part in parts {
        hasher.update(part);
    }
    let bytes = hasher.finalize();
    bytes.as_bytes()[..8].iter().fold(0, |seed, &byte| seed << 8 | u64::from(byte))
}

/// A float by its bits: `0.1` and `1e-1` are one number, and no two numbers are one text.
struct Bits(f32);

impl fmt::Display for Bits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{:08x}", self.0, self.0.to_bits())
    }
}

impl OptimizerKind {
    /// As in the job file.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Adam => "adam",
            Self::AdamCommon => "adam_common",
            Self::AdamW { .. } => "adamw",
            Self::Sgd { .. } => "sgd",
        }
    }
}

/// `[64, 32]` as `64,32`.
#[must_use]
pub fn list(widths: &[u32]) -> String {
    widths.iter().map(u32::to_string).collect::<Vec<_>>().join(",")
}

/// The flag that says the same as a key, for messages.
fn flag(key: &str) -> Option<&'static str> {
    Some(match key {
        "model.hidden" => "--model",
        "data.split" => "--split",
        "data.shards" => "--peers",
        "data.batch" => "--batch",
        "optimizer.kind" => "--optimizer",
        "optimizer.learning_rate" => "--lr",
        "gossip.mode" => "--mode",
        "gossip.codec" => "--codec",
        "gossip.gain" => "--gain",
        "gossip.steps" => "--steps",
        "training.epochs" => "--epochs",
        "training.seed" => "--seed",
        _ => return None,
    })
}

pub(super) fn invalid(key: &str, value: &str, why: &str) -> Error {
    let named = flag(key).map_or_else(|| key.to_owned(), |flag| format!("{key} ({flag})"));
    Error::new(Kind::Input, format!("{named} = {value}: {why}"))
}

pub(super) fn within(key: &str, value: u32, low: u32, high: u32) -> Result<u32, Error> {
    if (low..=high).contains(&value) {
        return Ok(value);
    }
    Err(invalid(key, &value.to_string(), &format!("must be from {low} to {high}")))
}

fn positive(key: &str, value: f32, high: f32) -> Result<f32, Error> {
    if value > 0.0 && value <= high {
        return Ok(value);
    }
    Err(invalid(key, &value.to_string(), &format!("must be above 0 and at most {high}")))
}

/// A name of a swarm, checked.
///
/// # Errors
/// One that is empty, too long, or has other characters.
pub fn name(name: String) -> Result<String, Error> {
    let plain = |c: char| c.is_ascii_alphanumeric() || " ._-".contains(c);
    if name.chars().all(plain) && (1..=NAME_CHARS_MAX).contains(&name.len()) {
        return Ok(name);
    }
    Err(invalid("swarm.name", &format!("{name:?}"), "no name for a swarm")
        .hint(format!("1 to {NAME_CHARS_MAX} of A-Z a-z 0-9 space . _ -")))
}

fn key(text: &str) -> Result<SwarmKey, Error> {
    // The key itself is not repeated: messages end up in logs.
    let refuse =
        |why: &str| invalid("swarm.key", "(hidden)", why).hint("`starling job init` makes a job with a fresh key");
    let key = parse_hex(text).ok_or_else(|| refuse("must be 64 hex digits"))?;
    if key == SwarmKey::default() {
        return Err(refuse("all zero is the key of open jobs: leave the line out to say that"));
    }
    Ok(key)
}

fn split(text: &str) -> Result<SplitRule, Error> {
    text.parse().map_err(|error: SplitError| {
        let forms: Vec<String> = split::ALL.iter().map(|(form, about)| format!("{form}: {about}")).collect();
        invalid("data.split", &format!("{text:?}"), &error.to_string()).hint(forms.join("; "))
    })
}

/// The allow list in order, so that two files that list the same peers are one job.
fn allow(mut peers: Vec<PeerId>) -> Result<Vec<PeerId>, Error> {
    if peers.len() > ALLOW_MAX {
        return Err(invalid("trust.allow", &format!("{} peers", peers.len()), &format!("at most {ALLOW_MAX}")));
    }
    peers.sort_unstable();
    peers.dedup();
    Ok(peers)
}

fn seed(seed: u64) -> Result<u64, Error> {
    if seed <= SEED_MAX {
        return Ok(seed);
    }
    Err(invalid("training.seed", &seed.to_string(), &format!("must be at most {SEED_MAX}")))
}

fn data(set: Option<String>, path: Option<PathBuf>) -> Result<Data, Error> {
    match (set, path) {
        (Some(_), Some(_)) => Err(Error::new(Kind::Input, "data.set and data.path are both given")
            .hint("`set` names an embedded set, `path` a folder: keep one of them")),
        (_, Some(path)) => Ok(Data::Folder(path)),
        (Some(set), None) if set == "digits" => Ok(Data::Embedded(set)),
        (set, None) => Err(invalid("data.set", &format!("{:?}", set.unwrap_or_default()), "no such embedded set")
            .hint("`digits`, or `path = \"FOLDER\"` for idx files of your own")),
    }
}

/// The edges of a graph in their one order. Given if and only if the rule is `fixed`.
fn graph(rule: PartnerRule, edges: Vec<(PeerId, PeerId)>) -> Result<Vec<(PeerId, PeerId)>, Error> {
    let found = format!("{} pairs", edges.len());
    match (rule, edges.is_empty()) {
        (PartnerRule::Fixed, true) => {
            return Err(invalid("gossip.partner_graph", &found, "partner = \"fixed\" wants to know who meets whom")
                .hint("partner_graph = [[\"ID\", \"ID\"], ...], each ID 64 hex digits"));
        }
        (PartnerRule::Fixed, false) | (_, true) => {}
        (_, false) => {
            return Err(invalid("gossip.partner_graph", &found, "belongs to partner = \"fixed\"")
                .hint("remove it, or use partner = \"fixed\""));
        }
    }
    let mut edges: Vec<_> = edges.into_iter().map(|(a, b)| (a.min(b), a.max(b))).collect();
    if let Some((peer, _)) = edges.iter().find(|(a, b)| a == b) {
        return Err(invalid("gossip.partner_graph", &peer.to_string(), "is paired with itself"));
    }
    edges.sort_unstable();
    edges.dedup();
    Ok(edges)
}

fn optimizer(raw: &RawOptimizer) -> Result<OptimizerKind, Error> {
    let kind = raw.kind.as_deref().unwrap_or("adam");
    let belongs = |key: &str, value: String, owner: &str| {
        let hint = format!("remove it, or use kind = {owner:?}");
        Err(invalid(key, &value, &format!("belongs to {owner}")).hint(hint))
    };
    match (raw.momentum, raw.nesterov, raw.weight_decay) {
        (Some(momentum), ..) if kind != "sgd" => return belongs("optimizer.momentum", momentum.to_string(), "sgd"),
        (_, Some(nesterov), _) if kind != "sgd" => return belongs("optimizer.nesterov", nesterov.to_string(), "sgd"),
        (.., Some(decay)) if kind != "adamw" => return belongs("optimizer.weight_decay", decay.to_string(), "adamw"),
        _ => {}
    }
    match kind {
        "adam" => Ok(OptimizerKind::Adam),
        "adam_common" => Ok(OptimizerKind::AdamCommon),
        "adamw" => {
            let weight_decay = raw.weight_decay.unwrap_or(WEIGHT_DECAY_DEFAULT);
            if !(0.0..=WEIGHT_DECAY_MAX).contains(&weight_decay) {
                let why = format!("must be from 0 to {WEIGHT_DECAY_MAX}");
                return Err(invalid("optimizer.weight_decay", &weight_decay.to_string(), &why));
            }
            Ok(OptimizerKind::AdamW { weight_decay })
        }
        "sgd" => {
            let momentum = raw.momentum.unwrap_or(MOMENTUM_DEFAULT);
            if !(0.0..1.0).contains(&momentum) {
                return Err(invalid("optimizer.momentum", &momentum.to_string(), "must be from 0 to below 1"));
            }
            Ok(OptimizerKind::Sgd { momentum, nesterov: raw.nesterov.unwrap_or(false) })
        }
        other => {
            let known: Vec<_> = optim::ALL.iter().map(|(known, _)| format!("`{known}`")).collect();
            Err(invalid("optimizer.kind", &format!("{other:?}"), "no such optimizer").hint(known.join(", ")))
        }
    }
}

fn schedule(mode: Mode, raw: &RawOptimizer) -> Result<Schedule, Error> {
    let kind = raw.schedule.as_deref().unwrap_or("constant");
    let warm_up_samples = raw.warm_up_samples.unwrap_or(0);
    if warm_up_samples > SAMPLES_MAX {
        let why = format!("must be at most {SAMPLES_MAX}");
        return Err(invalid("optimizer.warm_up_samples", &warm_up_samples.to_string(), &why));
    }
    if mode == Mode::Pairwise && (warm_up_samples > 0 || kind != "constant") {
        let (key, value) = if kind == "constant" {
            ("optimizer.warm_up_samples", warm_up_samples.to_string())
        } else {
            ("optimizer.schedule", format!("{kind:?}"))
        };
        return Err(invalid(
            key,
            &value,
            "goes by the samples of the swarm, which nobody counts in mode = \"pairwise\"",
        )
        .hint("remove it, or use another mode"));
    }
    let curve = match kind {
        "constant" => {
            let given = raw.total_samples.map(|total| ("optimizer.total_samples", total.to_string()));
            if let Some((key, value)) = given.or_else(|| raw.floor.map(|floor| ("optimizer.floor", floor.to_string())))
            {
                return Err(invalid(key, &value, "belongs to a schedule that ends")
                    .hint("remove it, or use schedule = \"cosine\""));
            }
            Curve::Constant
        }
        "cosine" => cosine(raw, warm_up_samples)?,
        other => {
            let known: Vec<_> = schedule::ALL.iter().map(|(name, _)| format!("`{name}`")).collect();
            let error = invalid("optimizer.schedule", &format!("{other:?}"), "no such schedule");
            return Err(error.hint(known.join(" or ")));
        }
    };
    Ok(Schedule { warm_up_samples, curve })
}

fn cosine(raw: &RawOptimizer, warm_up_samples: u64) -> Result<Curve, Error> {
    let Some(total_samples) = raw.total_samples else {
        return Err(invalid("optimizer.schedule", "\"cosine\"", "wants to know when it ends")
            .hint("total_samples = N: of all peers together, so peers * steps * batch"));
    };
    if !(warm_up_samples.saturating_add(1)..=SAMPLES_MAX).contains(&total_samples) {
        let why = format!("must be above warm_up_samples ({warm_up_samples}) and at most {SAMPLES_MAX}");
        return Err(invalid("optimizer.total_samples", &total_samples.to_string(), &why));
    }
    let floor = raw.floor.unwrap_or(FLOOR_DEFAULT);
    if !(0.0..=1.0).contains(&floor) {
        return Err(invalid("optimizer.floor", &floor.to_string(), "must be from 0 to 1"));
    }
    Ok(Curve::Cosine { total_samples, floor })
}

/// measured (docs/algorithms.md): with `top_k_2bit` the peers of mode `pairwise` stay 17 % apart. A payload of `sign` is four times
/// as long, and goes to one peer instead of all.
fn codec_default(mode: Mode) -> &'static str {
    match mode {
        Mode::Incremental | Mode::FullSync => "top_k_2bit",
        Mode::Pairwise => "sign",
    }
}

/// In rounds every delta was taken at the same weights, so their mean is the one step that averaging would take: nothing is
/// gained by more.
fn gain_default(mode: Mode, codec: &dyn Codec) -> f32 {
    match mode {
        Mode::Incremental => codec.gain_default(),
        Mode::FullSync => 1.0,
        Mode::Pairwise => PAIRWISE_GAIN,
    }
}

/// In the other modes a round that weighs a tenth is no average, and an exchange has no weight at all.
fn probation_default(mode: Mode) -> u32 {
    match mode {
        Mode::Incremental => PROBATION_DEFAULT,
        Mode::FullSync | Mode::Pairwise => 0,
    }
}

fn groups(mode: Mode, groups: Option<u32>, optimizer: &RawOptimizer) -> Result<u32, Error> {
    let groups = within("gossip.groups", groups.unwrap_or(1), 1, GROUPS_MAX)?;
    if groups > 1 && mode != Mode::Incremental {
        return Err(invalid("gossip.groups", &groups.to_string(), "belongs to mode = \"incremental\"")
            .hint("remove it, or use mode = \"incremental\""));
    }
    let scheduled = optimizer.warm_up_samples.unwrap_or(0) > 0
        || optimizer.schedule.as_deref().is_some_and(|schedule| schedule != "constant");
    if groups > 1 && scheduled {
        let why = "a schedule goes by the samples of the swarm, and with groups a peer counts those of its own group";
        return Err(invalid("gossip.groups", &groups.to_string(), why)
            .hint("remove it, or optimizer.schedule and optimizer.warm_up_samples"));
    }
    Ok(groups)
}

fn round_deadline(mode: Mode, seconds: Option<f32>) -> Result<Span, Error> {
    let Some(seconds) = seconds else { return Ok(Gossip::default().round_deadline) };
    if mode != Mode::FullSync {
        return Err(invalid("gossip.round_deadline_s", &seconds.to_string(), "belongs to mode = \"full_sync\"")
            .hint("remove it, or use mode = \"full_sync\""));
    }
    let seconds = positive("gossip.round_deadline_s", seconds, ROUND_DEADLINE_S_MAX)?;
    Ok(Span((f64::from(seconds) * 1e6).ceil() as u64))
}

fn merge(mode: Mode, rule: Option<MergeRule>) -> Result<MergeRule, Error> {
    match rule {
        Some(rule) if mode != Mode::Pairwise => {
            let named = format!("{:?}", protocol::merge::of(rule).name());
            Err(invalid("gossip.merge", &named, "belongs to mode = \"pairwise\"")
                .hint("remove it, or use mode = \"pairwise\""))
        }
        rule => Ok(rule.unwrap_or_default()),
    }
}

fn codec_named(name: &str) -> Result<&'static dyn Codec, Error> {
    codec::by_name(name).ok_or_else(|| {
        let known: Vec<_> = codec::ALL.iter().map(|codec| format!("`{}`", codec.name())).collect();
        invalid("gossip.codec", &format!("{name:?}"), "no such codec").hint(known.join(", "))
    })
}

#[cfg(test)]
mod tests;
