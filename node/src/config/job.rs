//! A complete, checked job, its canonical form, and the name of the run that follows from it.
//!
//! Two peers belong to one run when their [`Job::run_id`] is equal: blake3 over the canonical form and the swarm key. The
//! canonical form is everything that must be the same on all peers for their deltas to make sense together. Not part of
//! it: where a peer keeps its data (its content may even differ, that is what federated means; the schema hash makes sure
//! that the shapes agree), and how many epochs this peer wants to take.

use std::fmt::{self, Write as _};
use std::io::Read as _;
use std::path::{Path, PathBuf};

use protocol::codec::Codec;
use protocol::config::{Distance, Gossip, MergeRule, Mode, PartnerRule, TriggerRule, Trust};
use protocol::id::{Hash, PeerId, RunId};
use protocol::time::Span;
use protocol::trust::Limits;
use protocol::trust::admission::{Guests, SwarmKey};
use protocol::{partner, trigger};
use shaders::data::split::SplitRule;
use shaders::engine::products::Precision;
use shaders::models::ModelSpec;
use shaders::models::network::Loss;
use shaders::optim::schedule::Schedule;

use super::checks::{Bits, allow, dealt, key, name, positive, seed, split, within};
use super::data::{self, Data, Reading};
use super::gossip::{
    GAIN_MAX, GOSSIP_STEPS_MAX, LINK_BYTES_PER_SECOND_MAX, PARTNER_ALPHA_MAX, PROBATION_MAX, TRIGGER_SHARE_MAX,
    codec_default, codec_named, gain_default, graph, groups, merge, probation_default, round_deadline,
};
use super::model;
use super::optimizer::{self, CLIP_MAX, LEARNING_RATE_MAX, OptimizerKind};
use super::raw::RawJob;
use super::weights::ClassWeights;
use crate::error::{Error, Kind};

/// Most samples a step.
pub const BATCH_MAX: u32 = 65_536;
/// Most shards, and so most peers with data of their own.
pub const SHARDS_MAX: u32 = 256;
/// Most epochs.
pub const EPOCHS_MAX: u32 = 1_000_000;
/// Most steps between two evaluations that a job may ask for.
const EVALUATE_EVERY_MAX: u32 = 1_000_000_000;

/// A job as all its peers understand it.
#[derive(Clone, Debug)]
pub struct Job {
    /// For people; part of the run.
    pub name: String,
    /// Who knows it may join; `None`: everybody.
    pub key: Option<SwarmKey>,
    /// Whom this machine links with, in order; `None`: everybody who knows the key. Not part of the run.
    pub swarm_allow: Option<Vec<PeerId>>,
    /// Weights to begin at in place of random ones.
    pub init: Option<Init>,
    /// What is trained.
    pub model: ModelSpec,
    /// What is made small.
    pub loss: Loss,
    /// On what.
    pub data: Data,
    /// How they are read.
    pub reading: Reading,
    /// How the training samples are split.
    pub split: SplitRule,
    /// blake3 of the file of regions that it names; where that cannot be read there is none, and nobody can train.
    pub regions: Option<Hash>,
    /// Into how many shards.
    pub shards: u32,
    /// Samples a step.
    pub batch: u32,
    /// Which optimizer.
    pub optimizer: OptimizerKind,
    /// Its step size.
    pub learning_rate: f32,
    /// How that changes with the progress of the swarm.
    pub schedule: Schedule,
    /// Longest gradient, over all parameters together; `None`: any.
    pub clip: Option<f32>,
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
    /// In what this machine keeps the operands of products. Not part of the run: deltas are integers, and devices differ in their last bits anyway.
    pub precision: Precision,
    /// Epochs to take; `None`: until stopped. Not part of the run.
    pub epochs: Option<u32>,
    /// Epochs in a row without a lower loss after which a peer stops; `None`: it does not. Not part of the run.
    pub patience: Option<u32>,
    /// Steps after which the model is evaluated within an epoch, too; `None`: at the end of each. Not part of the run.
    pub evaluate_every: Option<u32>,
    /// How much each class counts in training; `None`: every sample alike.
    pub class_weights: Option<ClassWeights>,
    /// Of the split and of the order of samples.
    pub seed: u64,
}

/// A file of weights to begin at. Its content is part of the run, and where it lies is not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Init {
    /// The file, safetensors.
    pub path: PathBuf,
    /// blake3 of it.
    pub hash: Hash,
}

impl Init {
    /// Of that file.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn of(path: &Path) -> Result<Self, Error> {
        let wrong = |error: std::io::Error| {
            Error::new(Kind::Input, format!("--init {}: {error}", path.display()))
                .hint("a .safetensors file, as model.safetensors of a checkpoint")
        };
        if !std::fs::metadata(path).map_err(wrong)?.is_file() {
            return Err(wrong(std::io::Error::new(std::io::ErrorKind::InvalidInput, "is no regular file")));
        }
        let mut hasher = blake3::Hasher::new();
        let file = std::fs::File::open(path).map_err(wrong)?;
        hasher.update_reader(file).map_err(wrong)?;
        Ok(Self { path: path.to_owned(), hash: Hash(*hasher.finalize().as_bytes()) })
    }
}

/// Longest file of regions, bytes.
const REGIONS_BYTES_MAX: u64 = 1 << 30;

/// See [`Job::regions`].
fn regions(split: &SplitRule) -> Option<Hash> {
    let SplitRule::Regions { path } = split else { return None };
    // To open a pipe is to wait for its writer; what the system makes up while it is read has no length.
    let found = std::fs::metadata(path).ok()?;
    if !found.is_file() || !(1..=REGIONS_BYTES_MAX).contains(&found.len()) {
        return None;
    }
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(std::fs::File::open(path).ok()?.take(REGIONS_BYTES_MAX)).ok()?;
    Some(Hash(*hasher.finalize().as_bytes()))
}

impl Job {
    /// The job that these layers describe, the demo job below them.
    ///
    /// # Errors
    /// The first value that is out of place: key, value, limit and remedy.
    pub fn new(raw: RawJob) -> Result<Self, Error> {
        let mut job = Self::of_a_stranger(raw)?;
        job.regions = regions(&job.split);
        Ok(job)
    }

    /// The same, and no file of this machine is read for it: where it names one of regions, its run is not known.
    ///
    /// # Errors
    /// As [`Job::new`].
    pub fn of_a_stranger(raw: RawJob) -> Result<Self, Error> {
        let raw = raw.over(RawJob::demo()?);
        let optimizer = optimizer::kind(&raw.optimizer)?;
        let default = Gossip::default();
        let mode = raw.gossip.mode.unwrap_or_default();
        let codec = codec_named(raw.gossip.codec.as_deref().unwrap_or_else(|| codec_default(mode)))?;
        let partner = raw.gossip.partner.unwrap_or_default();
        let groups = groups(mode, raw.gossip.groups, &raw.optimizer)?;
        let loss = raw.model.loss.unwrap_or_default();
        let model = model::model(raw.model)?;
        let class_weights = ClassWeights::new(raw.training.class_weights, &model)?;
        let split = dealt(split(raw.data.split.as_deref().unwrap_or("iid"))?, mode, groups)?;
        Ok(Self {
            name: name(raw.swarm.name.unwrap_or_default())?,
            key: raw.swarm.key.as_deref().map(key).transpose()?,
            swarm_allow: raw.swarm.allow.map(|peers| allow("swarm.allow", peers)).transpose()?,
            init: None,
            loss,
            model,
            reading: Reading::new(&raw.data)?,
            data: data::source(raw.data.set, raw.data.path)?,
            regions: None,
            split,
            shards: within("data.shards", raw.data.shards.unwrap_or(1), 1, SHARDS_MAX)?,
            batch: within("data.batch", raw.data.batch.unwrap_or(1), 1, BATCH_MAX)?,
            learning_rate: positive(
                "optimizer.learning_rate",
                raw.optimizer.learning_rate.unwrap_or_else(|| optimizer.learning_rate_default()),
                LEARNING_RATE_MAX,
            )?,
            optimizer,
            clip: raw.optimizer.clip.map(|limit| positive("optimizer.clip", limit, CLIP_MAX)).transpose()?,
            schedule: optimizer::schedule(mode, &raw.optimizer)?,
            mode,
            groups,
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
            trust_allow: allow("trust.allow", raw.trust.allow.unwrap_or_default())?,
            recompute: raw.training.recompute.unwrap_or(false),
            precision: raw.training.precision.unwrap_or_default(),
            epochs: raw.training.epochs.map(|epochs| within("training.epochs", epochs, 1, EPOCHS_MAX)).transpose()?,
            patience: raw
                .training
                .patience
                .map(|epochs| within("training.patience", epochs, 1, EPOCHS_MAX))
                .transpose()?,
            evaluate_every: raw
                .training
                .evaluate_every
                .map(|steps| within("training.evaluate_every", steps, 1, EVALUATE_EVERY_MAX))
                .transpose()?,
            class_weights,
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
    /// bits (`model.dropout` by its shortest decimals, which tell floats apart as well). A change of this form is a change of
    /// every run id.
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
        if let Some(init) = &self.init {
            line("model.init", &init.hash);
        }
        line(
            "data.set",
            &match &self.data {
                Data::Embedded(set) => set.as_str(),
                Data::Folder(_) => "folder",
            },
        );
        self.reading.canonical(&mut line);
        match &self.regions {
            // What it says is of the run, and where it lies is not.
            Some(hash) => line("data.split", &format_args!("regions:{hash}")),
            None => line("data.split", &self.split),
        }
        line("data.shards", &self.shards);
        line("data.batch", &self.batch);
        optimizer::canonical(self, &mut line);
        // Only what is there: a job of the default mode keeps its run.
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
        if let Some(weights) = &self.class_weights {
            line("training.class_weights", weights);
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
            deal: self.split == SplitRule::Rendezvous,
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

    /// Whom this machine links with.
    #[must_use]
    pub fn guests(&self) -> Guests {
        self.swarm_allow.as_ref().map_or_else(Guests::default, |peers| Guests::only(peers.iter().copied()))
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

#[cfg(test)]
mod tests;
