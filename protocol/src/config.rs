//! What a job and an operator can set, as plain data. Each default says where it comes from.

use serde::{Deserialize, Serialize};

use crate::id::PeerId;
use crate::membership::MEMBERS_MAX;
use crate::time::Span;

/// See [`Gossip::gap_max`]: shorter than a neighbour's patience with who is silent.
const GAP_MIN: Span = Span::from_secs(3);

/// Configuration of one [`Peer`](crate::Peer).
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Config {
    /// How it gossips.
    pub gossip: Gossip,
    /// How far it trains.
    pub training: Training,
    /// Whom it trusts.
    pub trust: Trust,
}

/// When to talk, with whom, how loud. The first part belongs to the job, so it is the same for every peer of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Gossip {
    /// How progress is shared.
    pub mode: Mode,
    /// Of the mode `incremental`: groups that the peers are divided into, 1: none; see [`crate::groups`].
    pub groups: u32,
    /// Of the mode `full_sync`: whoever has not said its delta of a round so long after we have said ours is evicted from the
    /// round. guess: ten heartbeats, so that a pause of a few seconds costs a wait and not a place.
    pub round_deadline: Span,
    /// Whether data are dealt anew when peers come, go or change their pace, see [`Learner::deal`](crate::learner::Learner::deal).
    pub deal: bool,
    /// Whether to gossip at all; a peer that does not trains alone and evaluates `theta`.
    pub enabled: bool,
    /// Of the mode `pairwise`: how models are merged.
    pub merge: MergeRule,
    /// How deltas are said; the codec itself is part of [`Context`](crate::log::Context).
    pub gain: f32,
    /// Optimizer steps between two deltas of a peer of median speed; a faster peer takes more, a slower one fewer, so
    /// that rounds take equal wall time. paper: Async Local-SGD, dynamic local updates.
    pub steps: u32,
    /// How to choose the anti-entropy partner.
    pub partner: PartnerRule,
    /// alpha of the rule `exponential`: per nat of loss or per second, as `partner_distance` says. guess: 1, as in the
    /// worked example of the design article.
    pub partner_alpha: f32,
    /// What the rule `exponential` calls near.
    pub partner_distance: Distance,
    /// This peer's row of the graph of the rule `fixed`.
    pub partner_graph: Vec<PeerId>,
    /// What decides that a delta is due.
    pub trigger: TriggerRule,
    /// Of the trigger `drift`: ||theta - b|| / ||b|| that is worth a delta. guess.
    pub trigger_drift: f32,
    /// Of the trigger `plateau`: a loss that falls by a smaller share than this from H steps to the next has stopped
    /// falling. guess.
    pub trigger_plateau: f32,
    /// Of the triggers `drift` and `plateau`: steps after which a delta is said whatever they find; `None`: 16 times
    /// `steps`. guess.
    pub trigger_steps_max: Option<u32>,
    /// Of the trigger `adaptive`: the most that sending may take, as a share of computing time. guess.
    pub trigger_network_share: f32,
    /// What this peer's link carries, bytes a second, for the trigger `adaptive`; `None`: not known.
    pub link_bytes_per_second: Option<f32>,
    /// Time between two anti-entropy exchanges. guess: a lost push is mended within two of them with high probability.
    pub anti_entropy: Span,
    /// Time between two heartbeats. measured: TCP notices a silent cut not within 14 s, so we look ourselves.
    pub heartbeat: Span,
    /// A neighbour that is silent for so long is disconnected. guess: five heartbeats.
    pub silence_max: Span,
    /// Neighbours to wait for before training begins, so that a swarm that is started together begins together.
    pub company: usize,
    /// How long to wait for them at most. guess.
    pub join_grace: Span,
    /// How long the last agreement may take.
    pub settle_max: Span,
    /// Neighbours that this peer dials up to. guess: full mesh for small swarms, log N beyond.
    pub neighbours_target: usize,
    /// Links it admits.
    pub neighbours_max: usize,
    /// Peers that are remembered and passed on; a full table stays as it is. Small in a swarm of thousands, where nobody
    /// needs to know everybody.
    pub members_max: usize,
    /// Deltas kept for those who missed them, bytes; beyond it, a snapshot.
    pub log_bytes_max: usize,
}

impl Gossip {
    /// A peer to which nothing happens for longer stood still: it would have had a heartbeat to say.
    #[must_use]
    pub fn gap_max(&self) -> Span {
        Span(self.heartbeat.0.saturating_mul(3)).max(GAP_MIN)
    }
}

impl Default for Gossip {
    fn default() -> Self {
        Self {
            mode: Mode::Incremental,
            groups: 1,
            round_deadline: Span::from_secs(10),
            deal: false,
            enabled: true,
            merge: MergeRule::Average,
            gain: 4.0,
            steps: 10,
            partner: PartnerRule::Uniform,
            partner_alpha: 1.0,
            partner_distance: Distance::Loss,
            partner_graph: Vec::new(),
            trigger: TriggerRule::EveryH,
            trigger_drift: 0.01,
            trigger_plateau: 0.01,
            trigger_steps_max: None,
            trigger_network_share: 0.1,
            link_bytes_per_second: None,
            anti_entropy: Span::from_millis(1000),
            heartbeat: Span::from_millis(1000),
            silence_max: Span::from_secs(5),
            company: 1,
            join_grace: Span::from_millis(500),
            settle_max: Span::from_secs(10),
            neighbours_target: 16,
            neighbours_max: 64,
            members_max: MEMBERS_MAX,
            log_bytes_max: 64 << 20,
        }
    }
}

/// How progress is shared; what each does stands in [`crate::mode`]'s folder of that name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// The delta log: nobody waits for anybody.
    #[default]
    Incremental,
    /// Rounds with a barrier, on the same log.
    FullSync,
    /// Exchanges between two peers, on two replicas an edge.
    Pairwise,
}

impl Mode {
    /// Every mode.
    pub const ALL: &[Self] = &[Self::Incremental, Self::FullSync, Self::Pairwise];

    /// Name in job files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Incremental => "incremental",
            Self::FullSync => "full_sync",
            Self::Pairwise => "pairwise",
        }
    }

    /// One line for the docs.
    #[must_use]
    pub const fn about(self) -> &'static str {
        match self {
            Self::Incremental => "every peer hears every delta, nobody waits; the model is equal to the bit",
            Self::FullSync => "rounds: everybody waits for everybody's delta, up to a deadline",
            Self::Pairwise => "two peers at a time meet half-way; traffic does not grow with the swarm",
        }
    }
}

/// Name of a rule in [`crate::merge::ALL`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MergeRule {
    /// The mean.
    #[default]
    Average,
    /// The mean, within bounds.
    Clipped,
    /// The median of every coordinate.
    CoordinateMedian,
    /// The mean of what is in the middle of every coordinate.
    TrimmedMean,
}

/// Name of a rule in [`crate::partner::ALL`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PartnerRule {
    /// Every neighbour with the same probability.
    #[default]
    Uniform,
    /// The nearer, the likelier.
    Exponential,
    /// The peer 2^(t mod log2 N) places on in the ring of ids.
    OnePeerExponential,
    /// The next in the ring of ids.
    Ring,
    /// Only along the edges of a graph.
    Fixed,
}

/// What `exponential` calls near.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Distance {
    /// The training loss that the peer announced less the best that any neighbour announced, nats.
    #[default]
    Loss,
    /// Time from a digest of ours to its answer, smoothed, seconds.
    RoundTrip,
}

impl Distance {
    /// Every distance.
    pub const ALL: &[Self] = &[Self::Loss, Self::RoundTrip];

    /// Name in job files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Loss => "loss",
            Self::RoundTrip => "round_trip",
        }
    }

    /// One line for the docs.
    #[must_use]
    pub const fn about(self) -> &'static str {
        match self {
            Self::Loss => "announced training loss less the best announced, nats",
            Self::RoundTrip => "measured time of an exchange, seconds",
        }
    }
}

/// Name of a trigger in [`crate::trigger::ALL`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TriggerRule {
    /// Every H steps.
    #[default]
    EveryH,
    /// When there is enough to say.
    Drift,
    /// When the local loss has stopped falling.
    Plateau,
    /// As often as the link allows.
    Adaptive,
}

/// How far to train.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Training {
    /// Steps of an epoch of this peer, at least 1.
    pub steps_per_epoch: u32,
    /// Epochs to take; `None`: until told to stop.
    pub epochs: Option<u32>,
    /// Whether to go on after the last epoch until [`Input::Rest`](crate::Input::Rest). Where peers see different data the
    /// model forgets what is no longer said: measured with Dirichlet 0.1 and 8 peers, 94 % while all train, 82 % after the
    /// slower half has trained alone for the last fifth of the run.
    pub overtime: bool,
    /// Steps after which the model is evaluated within an epoch, too; `None`: at its end alone.
    pub evaluate_every: Option<u32>,
}

impl Default for Training {
    fn default() -> Self {
        Self { steps_per_epoch: 100, epochs: None, overtime: false, evaluate_every: None }
    }
}

/// What keeps liars from spoiling the model; see [`crate::trust`]. The bounds on a single delta are part of the
/// [`Context`](crate::log::Context).
#[derive(Clone, Debug, PartialEq)]
pub struct Trust {
    /// Whether to suspect, vote and exclude. A job's peers must agree: one that does not keeps what the others exclude.
    pub enabled: bool,
    /// Peers whose deltas count; empty: all. Of the job: the same for every peer of a run.
    pub allow: Vec<PeerId>,
    /// A delta so many times longer than the median is suspicious. guess: peers with different data stay below 2.
    pub suspect_norm_factor: f32,
    /// An origin may say so many times more deltas than the median. guess: devices in one
    /// swarm may differ in speed that much, and their triggers need not make up for it.
    pub rate_max: f32,
    /// Strikes that put an origin on hold; one fewer once others vote against it.
    pub strikes: u32,
    /// A hold without a majority ends after this. guess: votes are said again every two seconds, and whoever has no majority
    /// after five of them gets none; until then the versions of the swarm differ.
    pub hold_max: Span,
    /// And is not repeated for the same reason for so long.
    pub hold_pause: Span,
}

impl Default for Trust {
    fn default() -> Self {
        Self {
            enabled: true,
            allow: Vec::new(),
            suspect_norm_factor: 3.0,
            rate_max: 64.0,
            strikes: 3,
            hold_max: Span::from_secs(10),
            hold_pause: Span::from_secs(300),
        }
    }
}
