//! How the peer stands, as `GET /v1/status` says it: the keys are an interface, they are added to and never renamed.
//!
//! Numbers that are not known yet are `null`. Ids and hashes are hex; times are seconds, sizes bytes, losses nats a sample,
//! accuracies from 0 to 1.

use serde::{Deserialize, Serialize};

/// Everything that the dashboard's first two pages show.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Snapshot {
    /// Version of the program.
    pub version: String,
    /// Which life of the peer this is: when its process began, milliseconds since 1970 (UTC). Events are numbered anew in each.
    pub life: u64,
    /// When this was true, milliseconds since 1970 (UTC).
    pub time_ms: u64,
    /// Since the process began.
    pub uptime_s: f64,
    /// `starting`, `joining`, `training`, `paused`, `done` (the epochs are over), `leaving`, `stopped`.
    pub phase: Phase,
    /// This peer.
    pub peer: Own,
    /// What is trained.
    pub run: Run,
    /// How far this peer is.
    pub training: Training,
    /// What it says and hears.
    pub gossip: Gossip,
    /// The others: those that live, then those that are gone, last first.
    pub peers: Vec<Other>,
}

/// Where a peer stands between start and stop.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// The device and the data are made ready.
    #[default]
    Starting,
    /// It waits for company, or catches up.
    Joining,
    /// It trains.
    Training,
    /// Somebody has paused it.
    Paused,
    /// The epochs that were asked for are over.
    Done,
    /// It comes to agreement with the others.
    Leaving,
    /// It is over.
    Stopped,
}

impl Phase {
    /// As JSON says it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Joining => "joining",
            Self::Training => "training",
            Self::Paused => "paused",
            Self::Done => "done",
            Self::Leaving => "leaving",
            Self::Stopped => "stopped",
        }
    }
}

/// See [`Snapshot::peer`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Own {
    /// Public key.
    pub id: String,
    /// Multiaddresses.
    pub addresses: Vec<String>,
    /// Name of the device.
    pub device: String,
    /// Its back end.
    pub backend: String,
    /// How often a device failed and training went on.
    pub devices_lost: u32,
    /// Checkpoints that could not be written.
    pub checkpoint_failures: u64,
}

/// See [`Snapshot::run`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Run {
    /// Hash of the job.
    pub id: String,
    /// Name of the job.
    pub job: String,
    /// `incremental`, `full_sync`, `pairwise`.
    pub mode: String,
    /// How deltas are said.
    pub codec: String,
    /// `mlp`, `cnn`, `lm`.
    pub model: String,
    /// d.
    pub parameters: usize,
    /// Optimizer steps of an epoch.
    pub steps_per_epoch: u32,
    /// Epochs that were asked for; null: until it is stopped.
    pub epochs: Option<u32>,
    /// Whether others are spoken with.
    pub gossip: bool,
    /// Whether checkpoints are kept.
    pub checkpoints: bool,
    /// Whether only who holds a key takes part.
    pub private: bool,
    /// The job, one `key=value` an entry, without secrets.
    pub settings: Vec<String>,
}

/// See [`Snapshot::training`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Training {
    /// Optimizer steps taken.
    pub steps: u64,
    /// Epochs done.
    pub epoch: u32,
    /// Lately.
    pub steps_per_second: f32,
    /// Mean of the last stretch of steps.
    pub train_loss: Option<f32>,
    /// Of the shared model on the test split, at the last evaluation.
    pub test_loss: Option<f32>,
    /// The same.
    pub test_accuracy: Option<f32>,
    /// Hash of the base that was evaluated.
    pub base_hash: Option<String>,
    /// Samples that the swarm has trained on, as far as this peer has heard.
    pub samples: u64,
    /// Until the last epoch at this pace; null without one.
    pub seconds_left: Option<f64>,
}

/// See [`Snapshot::gossip`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Gossip {
    /// Links that are up.
    pub neighbours: usize,
    /// Peers that count as living, this one among them.
    pub live_peers: usize,
    /// Deltas of its own.
    pub deltas_said: u64,
    /// Deltas of others in its base.
    pub deltas_heard: u64,
    /// Deltas refused.
    pub deltas_refused: u64,
    /// Codec bytes of its own deltas, each counted once.
    pub payload_bytes_said: u64,
    /// Over links, out.
    pub bytes_sent: u64,
    /// Over links, in.
    pub bytes_received: u64,
    /// Lately.
    pub bytes_sent_per_second: f64,
    /// Lately.
    pub bytes_received_per_second: f64,
    /// Messages that found a link's queue full.
    pub messages_dropped: u64,
    /// Times a peer was banned.
    pub bans: u64,
    /// What averaging f32 gradients at every step would have sent (ring all-reduce over the peers that live now).
    pub dense_bytes: u64,
    /// That over what was sent; null before anything was.
    pub bytes_ratio: Option<f64>,
    /// ||theta - b|| / ||b|| when the last delta was taken.
    pub disagreement: Option<f32>,
    /// Whether all neighbours announced the same set of deltas.
    pub agreed: bool,
    /// Hash of the set of deltas.
    pub heard: String,
    /// Deltas in the log.
    pub log_bytes: usize,
    /// Least training loss of those that said one, this peer among them.
    pub train_loss_min: Option<f32>,
    /// The greatest.
    pub train_loss_max: Option<f32>,
}

/// See [`Snapshot::peers`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Other {
    /// Public key.
    pub id: String,
    /// Whether it is a neighbour; else its deltas come by way of others, or it is gone.
    pub linked: bool,
    /// `tcp`, `quic`, `relayed`.
    pub way: Option<String>,
    /// How long the link is up.
    pub linked_s: Option<f64>,
    /// Since it last said anything.
    pub silent_s: Option<f64>,
    /// Time of an exchange of version vectors.
    pub round_trip_s: Option<f32>,
    /// Deltas that this peer holds and it lacks.
    pub behind: u64,
    /// Whether it announced the same set of deltas.
    pub agrees: bool,
    /// Its optimizer steps.
    pub steps: Option<u64>,
    /// Its steps a second.
    pub steps_per_second: Option<f32>,
    /// Its training loss.
    pub train_loss: Option<f32>,
    /// Whether it has taken all its steps.
    pub finished: bool,
    /// Deltas of its own in our base.
    pub deltas: u64,
    /// Ids of its neighbours, of those known here.
    pub neighbours: Vec<String>,
    /// Seconds since it was lost; null while it is there.
    pub gone_s: Option<f64>,
    /// Why.
    pub gone_why: Option<String>,
}
