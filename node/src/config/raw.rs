//! A job as it was typed: every value optional, every key known.

use std::fs;
use std::path::{Path, PathBuf};

use protocol::config::{Distance, MergeRule, Mode, PartnerRule, TriggerRule};
use protocol::id::PeerId;
use serde::Deserialize;
use shaders::engine::products::Precision;
use shaders::models::network::Loss;
use shaders::models::{ActivationKind, NormKind};

use super::data::RawClasses;
use super::weights::RawClassWeights;
use crate::error::{Error, Kind};
use crate::store::bounded::{self, ReadError};

/// Largest job file, bytes. A job is a page of text; anything larger is another file.
pub const JOB_BYTES_MAX: u64 = 64 * 1024;
/// The embedded demo job.
const DEMO: &str = include_str!("demo.toml");
/// An unknown key is likened to a known one up to this many edits.
const TYPO_EDITS_MAX: usize = 3;

/// A key of a job file, as `docs/reference/job.md` tells of it.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// As it is typed.
    pub name: &'static str,
    /// Type in Rust.
    pub kind: &'static str,
    /// What it means.
    pub about: &'static str,
}

macro_rules! layers {
    ($($(#[$doc:meta])* $name:ident { $($(#[doc = $field_doc:literal])* $field:ident: $type:ty,)* })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct $name { $($(#[doc = $field_doc])* pub $field: Option<$type>,)* }

        impl $name {
            /// Its keys, in order. The comments of the fields are what the reference prints.
            pub const KEYS: &[Key] =
                &[$(Key { name: stringify!($field), kind: stringify!($type), about: concat!($($field_doc),*) }),*];

            /// This layer where it says something, `below` elsewhere.
            #[must_use]
            pub fn over(self, below: Self) -> Self {
                Self { $($field: self.$field.or(below.$field),)* }
            }
        }
    )*};
}

layers! {
    /// `[swarm]`
    RawSwarm {
        /// The key of the swarm: who knows it may join. Without it the job is open.
        key: String,
        /// Name of the swarm, for people; part of the run.
        name: String,
        /// Ids of the peers that this machine links with; without it everybody who knows the key (`starling swarm allow`).
        allow: Vec<PeerId>,
    }
    /// `[model]`
    RawModel {
        /// What is trained.
        kind: String,
        /// Widths of the hidden layers; of cnn, those behind the stages.
        hidden: Vec<u32>,
        /// What is made small.
        loss: Loss,
        /// Of cnn: channels of each stage.
        channels: Vec<u32>,
        /// Of cnn: residual blocks of each stage; 0 for convolutions and pools only.
        residual_blocks: u32,
        /// Of lm: tokens that it sees.
        context: u32,
        /// Of lm: numbers a token becomes.
        width: u32,
        /// Of lm: blocks of attention and feed-forward.
        layers: u32,
        /// Of lm: heads of attention; they divide the width.
        heads: u32,
        /// Of lm: how activations are normalised.
        norm: NormKind,
        /// Of lm: nonlinearity of the feed-forward layers.
        activation: ActivationKind,
        /// Of lm: share of activations that training drops.
        dropout: f32,
    }
    /// `[data]`
    RawData {
        /// A data set by its name.
        set: String,
        /// A file or folder of your own in place of `set`, from the folder of the job file.
        path: PathBuf,
        /// Of a table: column of the label, by its name or its number from 0.
        label: String,
        /// How many classes there are, or their names in order; needed where a peer's own data do not show all of them.
        classes: RawClasses,
        /// Share of the training samples that is evaluated on in place of the test part while training goes on.
        validation: f32,
        /// Share that is tested on where the data have no part for it.
        test: f32,
        /// Whether numbers are brought to mean 0 and deviation 1.
        normalize: String,
        /// Of a text: what the tokens of a model of kind lm are.
        vocabulary: String,
        /// Height and width that pictures are brought to, pixels.
        size: [u32; 2],
        /// Pixels that pictures are moved by at most in training.
        shift: u32,
        /// Whether every other picture is mirrored in training.
        flip: bool,
        /// How the training samples are dealt to the shards.
        split: String,
        /// Into how many shards the training samples are split. A peer takes the one that its identity draws, or `--shard I/N`.
        shards: u32,
        /// Samples a step.
        batch: u32,
    }
    /// `[optimizer]`
    RawOptimizer {
        /// How a peer steps.
        kind: String,
        /// Step size; the default is that of the optimizer.
        learning_rate: f32,
        /// Of sgd: share of the last step that the next one keeps.
        momentum: f32,
        /// Of sgd: whether the momentum is Nesterov's.
        nesterov: bool,
        /// Of adamw: decoupled weight decay.
        weight_decay: f32,
        /// A gradient longer than this, over all parameters together, is shortened to it.
        clip: f32,
        /// How the rate changes with the samples of the whole swarm.
        schedule: String,
        /// Samples of the swarm over which the rate rises from 0 first.
        warm_up_samples: u64,
        /// How the rate grows with the number of living peers.
        rate_by_peers: String,
        /// Of cosine: samples of the swarm until the floor.
        total_samples: u64,
        /// Of cosine: share of the rate that is left then.
        floor: f32,
    }
    /// `[gossip]`
    RawGossip {
        /// How progress is shared.
        mode: Mode,
        /// Of the mode `incremental`: groups that the peers are divided into; virtual peers only so far.
        groups: u32,
        /// Of the mode `full_sync`: a peer whose delta is missing for so many seconds is left out of the round.
        round_deadline_s: f32,
        /// Of the mode `pairwise`: how models are merged.
        merge: MergeRule,
        /// How a peer says what it has learnt; the default is that of the mode.
        codec: String,
        /// Share of a delta that goes into the shared model, times the number of living peers; the default is that of mode and codec.
        gain: f32,
        /// Optimizer steps between two deltas.
        steps: u32,
        /// With whom a peer compares notes.
        partner: PartnerRule,
        /// Of the rule `exponential`: how much nearness counts.
        partner_alpha: f32,
        /// Of the rule `exponential`: what near means.
        partner_distance: Distance,
        /// Of the rule `fixed`: who meets whom, as pairs of ids.
        partner_graph: Vec<(PeerId, PeerId)>,
        /// What decides that a delta is due.
        trigger: TriggerRule,
        /// Of the trigger `drift`: part of the model that what is unsaid must pass.
        trigger_drift: f32,
        /// Of the trigger `plateau`: fall of the loss over H steps, relative, below which a delta is due.
        trigger_plateau: f32,
        /// Of the trigger `adaptive`: what the link of this machine carries, bytes a second.
        link_bytes_per_second: f32,
    }
    /// `[trust]`
    RawTrust {
        /// Whether peers suspect, vote and take back what a liar said.
        enabled: bool,
        /// The first so many deltas of a peer weigh at most a tenth; the default is that of the mode.
        probation: u32,
        /// Ids of the peers whose deltas count; without it everybody's who knows the key.
        allow: Vec<PeerId>,
    }
    /// `[training]`
    RawTraining {
        /// Whether activations are computed again in place of being kept: less memory, a third more work.
        recompute: bool,
        /// In what a GPU keeps the operands of products.
        precision: Precision,
        /// Epochs that a peer takes; without it, it trains until it is stopped.
        epochs: u32,
        /// Epochs in a row without a lower loss after which a peer stops.
        patience: u32,
        /// Optimizer steps after which the model is evaluated within an epoch, too; without it, at the end of each.
        evaluate_every: u32,
        /// Of a classifier: how much each class counts in training; `balanced`: all alike, however many samples they have.
        class_weights: RawClassWeights,
        /// Seed of the split and of the order of samples.
        seed: u64,
    }
}

/// One layer of a job.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawJob {
    /// Who may join.
    pub swarm: RawSwarm,
    /// What is trained.
    pub model: RawModel,
    /// On what.
    pub data: RawData,
    /// How.
    pub optimizer: RawOptimizer,
    /// How progress is shared.
    pub gossip: RawGossip,
    /// Who is believed.
    pub trust: RawTrust,
    /// How far.
    pub training: RawTraining,
}

impl RawData {
    /// How a run reads its data, from its canonical form.
    ///
    /// # Errors
    /// When that is damaged.
    pub fn of_canonical(lines: &[String]) -> Result<Self, Error> {
        let mut text = String::from("[data]\n");
        for line in lines {
            let Some((key, value)) = line.strip_prefix("data.").and_then(|line| line.split_once('=')) else { continue };
            match key {
                "classes" | "normalize" | "size" | "vocabulary" => text.extend([key, " = ", value, "\n"]),
                // Floats stand there with their bits behind.
                "test" | "validation" => {
                    let value: f32 = value.split(':').next().and_then(|value| value.parse().ok()).unwrap_or(f32::NAN);
                    text.push_str(&format!("{key} = {value:?}\n"));
                }
                _ => {}
            }
        }
        Ok(RawJob::parse(&text, "the job of this checkpoint")?.data)
    }
}

impl RawJob {
    /// The embedded demo job.
    ///
    /// # Errors
    /// Never in a build whose tests pass.
    pub fn demo() -> Result<Self, Error> {
        Self::parse(DEMO, "the embedded demo job")
    }

    /// Reads a job file. A relative `data.path` is meant from the folder of the file.
    ///
    /// # Errors
    /// A file that is missing, unreadable, too large or no job; the message shows the line.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let shown = path.display();
        let text = bounded::read_text(path, JOB_BYTES_MAX).map_err(|error| {
            let hint = match &error {
                ReadError::Io(error) if error.kind() == std::io::ErrorKind::NotFound => {
                    "`starling job init` writes one"
                }
                _ => "is it a job file, and may you read it?",
            };
            let why = match &error {
                ReadError::Io(_) => format!("cannot read the job file {shown}: {error}"),
                _ => format!("the job file {shown} {error}"),
            };
            Error::new(Kind::Input, why).hint(hint)
        })?;
        let mut job = Self::parse(&text, &shown.to_string())?;
        if let (Some(data), Some(folder)) = (&job.data.path, path.parent()) {
            job.data.path = Some(folder.join(data));
        }
        Ok(job)
    }

    /// Reads the text of a job. `origin` names it in messages.
    ///
    /// # Errors
    /// What is no TOML, has an unknown key or a value of another type; the message shows line and column.
    pub fn parse(text: &str, origin: &str) -> Result<Self, Error> {
        toml::from_str(text).map_err(|error| {
            let message = Error::new(Kind::Input, format!("{origin}: {}", error.to_string().trim_end()));
            match suggestion(error.message()) {
                Some(known) => message.hint(format!("did you mean `{known}`?")),
                None => message.hint("`starling job init --stdout` prints a job with every key explained"),
            }
        })
    }

    /// This layer over `below`.
    #[must_use]
    pub fn over(self, below: Self) -> Self {
        // A data source is named by one key or the other: the upper layer's choice hides both of the lower one.
        let mut data_below = below.data;
        if self.data.set.is_some() || self.data.path.is_some() {
            (data_below.set, data_below.path) = (None, None);
        }
        // Another kind of model has nothing of the one below.
        let mut model_below = below.model;
        if self.model.kind.as_ref().is_some_and(|kind| Some(kind) != model_below.kind.as_ref()) {
            model_below = RawModel::default();
        }
        // Step size and momentum belong to an optimizer: another kind does not inherit them.
        let mut optimizer_below = below.optimizer;
        if self.optimizer.kind.as_ref().is_some_and(|kind| Some(kind) != optimizer_below.kind.as_ref()) {
            (optimizer_below.learning_rate, optimizer_below.momentum) = (None, None);
            (optimizer_below.nesterov, optimizer_below.weight_decay) = (None, None);
        }
        // As length and floor to a schedule.
        if self.optimizer.schedule.as_ref().is_some_and(|schedule| Some(schedule) != optimizer_below.schedule.as_ref())
        {
            (optimizer_below.total_samples, optimizer_below.floor) = (None, None);
        }
        // And a gain to a codec.
        let mut gossip_below = below.gossip;
        if self.gossip.codec.as_ref().is_some_and(|codec| Some(codec) != gossip_below.codec.as_ref()) {
            gossip_below.gain = None;
        }
        // Gain, merge rule and deadline to a mode.
        if self.gossip.mode.is_some_and(|mode| mode != gossip_below.mode.unwrap_or_default()) {
            gossip_below.gain = None;
            (gossip_below.merge, gossip_below.round_deadline_s) = (None, None);
            gossip_below.groups = None;
            if self.gossip.mode == Some(Mode::Pairwise) {
                gossip_below.codec = None;
            }
        }
        Self {
            swarm: self.swarm.over(below.swarm),
            model: self.model.over(model_below),
            data: self.data.over(data_below),
            optimizer: self.optimizer.over(optimizer_below),
            gossip: self.gossip.over(gossip_below),
            trust: self.trust.over(below.trust),
            training: self.training.over(below.training),
        }
    }
}

/// Whether others than the owner may read the file, and it so gives away its key; the mode in octal.
#[must_use]
pub fn exposed_mode(path: &Path) -> Option<u32> {
    let mode = crate::platform::mode(&fs::metadata(path).ok()?)?;
    (mode & 0o077 != 0).then_some(mode)
}

/// The known key that an unknown one was meant to be, from serde's message: "unknown field `a`, expected one of `b`, `c`".
fn suggestion(message: &str) -> Option<String> {
    let (what, known) = message.split_once(", expected ")?;
    let typed = what.strip_prefix("unknown field `").or_else(|| what.strip_prefix("unknown variant `"))?;
    let typed = typed.strip_suffix('`')?;
    let known = known.split('`').skip(1).step_by(2);
    known
        .map(|key| (edits(typed, key), key))
        .filter(|(edits, _)| *edits <= TYPO_EDITS_MAX)
        .min()
        .map(|(_, key)| key.to_owned())
}

/// Levenshtein distance.
fn edits(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, &y) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn a_typo_is_shown_with_its_line_and_the_key_that_was_meant() {
        let error = RawJob::parse("[optimizer]\nkind = \"adam\"\nlerning_rate = 0.1\n", "job.toml").unwrap_err();
        assert!(error.message.contains("line 3"), "{error}");
        assert!(error.message.contains("lerning_rate = 0.1"), "{error}");
        assert_eq!(error.hint.as_deref(), Some("did you mean `learning_rate`?"));
    }

    #[test]
    fn broken_toml_is_shown_with_its_line() {
        let error = RawJob::parse("[model]\nhidden = [64,\n", "job.toml").unwrap_err();
        assert!(error.message.contains("line 2"), "{error}");
        assert_eq!(error.kind, Kind::Input);
    }

    #[test]
    fn a_missing_or_huge_file_is_an_input_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("job.toml");
        assert!(RawJob::read(&path).unwrap_err().message.contains("cannot read"));
        fs::write(&path, vec![b' '; JOB_BYTES_MAX as usize + 1]).unwrap();
        assert!(RawJob::read(&path).unwrap_err().message.contains("longer"));
        fs::write(&path, [0xff, 0xfe]).unwrap();
        assert!(RawJob::read(&path).unwrap_err().message.contains("UTF-8"));
    }

    #[test]
    fn another_optimizer_does_not_inherit_the_step_size() {
        let below = RawJob::parse("[optimizer]\nkind = \"adam\"\nlearning_rate = 0.5", "a").unwrap();
        let sgd = RawJob::parse("[optimizer]\nkind = \"sgd\"", "b").unwrap();
        assert_eq!(sgd.over(below.clone()).optimizer.learning_rate, None);
        let adam = RawJob::parse("[optimizer]\nkind = \"adam\"", "c").unwrap();
        assert_eq!(adam.over(below).optimizer.learning_rate, Some(0.5));
    }

    #[test]
    fn a_folder_hides_the_embedded_set() {
        let path = RawJob::parse("[data]\npath = \"x\"", "a").unwrap();
        let merged = path.over(RawJob::demo().unwrap());
        assert_eq!((merged.data.set, merged.data.path), (None, Some("x".into())));
    }

    #[test]
    fn edits_counts_insertions_deletions_and_substitutions() {
        assert_eq!(edits("", "abc"), 3);
        assert_eq!(edits("kitten", "sitting"), 3);
        assert_eq!(edits("same", "same"), 0);
    }
}
