//! `[optimizer]`: which keys a kind of optimizer and a schedule take, their bounds, and how they are written.

use std::fmt;

use protocol::config::Mode;
use shaders::optim::schedule::{self, ByPeers, Curve, Schedule};
use shaders::optim::{self, OptimizerSpec};

use super::checks::{Bits, invalid};
use super::job::Job;
use super::raw::RawOptimizer;
use crate::error::Error;

/// Largest learning rate that is no typing error.
pub const LEARNING_RATE_MAX: f32 = 100.0;
/// Longest clipped gradient that is no typing error.
pub const CLIP_MAX: f32 = 1e6;
/// Largest weight decay that is no typing error.
pub const WEIGHT_DECAY_MAX: f32 = 10.0;
/// Of adamw where a job gives none, as in its paper and in PyTorch.
const WEIGHT_DECAY_DEFAULT: f32 = 0.01;
/// Momentum of sgd where a job gives none.
const MOMENTUM_DEFAULT: f32 = 0.9;
/// Most samples of a warm-up or a schedule.
pub const SAMPLES_MAX: u64 = 1 << 53;
/// Floor of a cosine where a job gives none: a peer trains until it is stopped, so the rate does not fall to nothing. Guess, of
/// the size that is usual for language models.
pub const FLOOR_DEFAULT: f32 = 0.1;

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

    /// With that step size, as a learner takes it.
    #[must_use]
    pub fn spec(self, learning_rate: f32) -> OptimizerSpec {
        match self {
            Self::Adam => OptimizerSpec::Adam { learning_rate },
            Self::AdamCommon => OptimizerSpec::AdamCommon { learning_rate },
            Self::AdamW { weight_decay } => OptimizerSpec::AdamW { learning_rate, weight_decay },
            Self::Sgd { momentum, nesterov } => OptimizerSpec::Sgd { learning_rate, momentum, nesterov },
        }
    }
}

/// Its part of the canonical form. Only what is there: a job without a schedule keeps its run.
pub(super) fn canonical(job: &Job, line: &mut impl FnMut(&str, &dyn fmt::Display)) {
    line("optimizer.kind", &job.optimizer.name());
    match job.optimizer {
        OptimizerKind::Adam | OptimizerKind::AdamCommon => {}
        OptimizerKind::AdamW { weight_decay } => line("optimizer.weight_decay", &Bits(weight_decay)),
        OptimizerKind::Sgd { momentum, nesterov } => {
            line("optimizer.momentum", &Bits(momentum));
            if nesterov {
                line("optimizer.nesterov", &nesterov);
            }
        }
    }
    line("optimizer.learning_rate", &Bits(job.learning_rate));
    if let Some(limit) = job.clip {
        line("optimizer.clip", &Bits(limit));
    }
    if job.schedule.warm_up_samples > 0 {
        line("optimizer.warm_up_samples", &job.schedule.warm_up_samples);
    }
    if job.schedule.by_peers != ByPeers::Constant {
        line("optimizer.rate_by_peers", &job.schedule.by_peers.name());
    }
    if let Curve::Cosine { total_samples, floor } = job.schedule.curve {
        line("optimizer.schedule", &job.schedule.curve.name());
        line("optimizer.total_samples", &total_samples);
        line("optimizer.floor", &Bits(floor));
    }
}

pub(super) fn kind(raw: &RawOptimizer) -> Result<OptimizerKind, Error> {
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

pub(super) fn schedule(mode: Mode, raw: &RawOptimizer) -> Result<Schedule, Error> {
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
    let by_peers = raw.rate_by_peers.as_deref().unwrap_or("constant");
    let Some(by_peers) = ByPeers::named(by_peers) else {
        let known: Vec<_> = schedule::BY_PEERS.iter().map(|(name, _)| format!("`{name}`")).collect();
        let error = invalid("optimizer.rate_by_peers", &format!("{by_peers:?}"), "no such rule");
        return Err(error.hint(known.join(", ")));
    };
    Ok(Schedule { warm_up_samples, curve, by_peers })
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
