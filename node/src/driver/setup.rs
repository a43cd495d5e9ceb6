//! Everything a peer needs before it lives.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use protocol::learner::{Learner, LearnerError};
use protocol::trust::admission::{Guests, SwarmKey};
use protocol::{Config, Standing};
use tokio::sync::mpsc::Receiver;
use zeroize::Zeroizing;

use super::checkpoints::Checkpoints;
use crate::store::audit::Audit;
use crate::swarm::NetworkMetrics;

/// Builds the learner on the worker's own thread, where its device lives.
pub type MakeLearner = Box<dyn FnOnce() -> Result<Box<dyn Learner>, LearnerError> + Send>;

/// Everything a peer needs to run.
pub struct PeerSetup {
    /// How to gossip and how far to train.
    pub config: Config,
    /// What the run agrees on.
    pub context: protocol::log::Context,
    /// ed25519 seed of the peer's identity.
    pub identity_seed: Zeroizing<[u8; 32]>,
    /// Which life of the identity this is.
    pub incarnation: u64,
    /// For random choices.
    pub seed: u64,
    /// All zero for an open job.
    pub swarm_key: SwarmKey,
    /// Whom the peer links with, of those who know the key.
    pub guests: Guests,
    /// Where to listen and whom to dial; `None` trains alone without a socket.
    pub network: Option<NetworkSetup>,
    /// See [`MakeLearner`].
    pub learner: MakeLearner,
    /// The learner's device, where it is one that can be lost.
    pub device: Option<DeviceWatch>,
    /// Where it is recorded whom the peer let in and what it took.
    pub audit: Audit,
    /// Where it stood when it was written down; its learner holds what belongs to it.
    pub resume: Option<Standing>,
    /// Where and how often it is written down.
    pub checkpoints: Option<Checkpoints>,
}

/// What is heard of a device, and how to lose it on purpose.
#[derive(Debug)]
pub struct DeviceWatch {
    /// It failed, and the learner went on.
    pub news: Receiver<DeviceNews>,
    /// Set: the learner loses it.
    pub lose: Arc<AtomicBool>,
}

/// A learner goes on after its device has failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceNews {
    /// Name of the device on which it goes on.
    pub device: String,
    /// Its back end.
    pub backend: String,
    /// What happened, and what is lost: a sentence.
    pub text: String,
}

/// Where to listen and whom to dial.
#[derive(Clone, Debug, Default)]
pub struct NetworkSetup {
    /// Multiaddresses to listen on; none: every interface, a free port.
    pub listen: Vec<String>,
    /// Multiaddresses to dial, with or without `/p2p/ID`; retried with back-off until the link is up.
    pub peers: Vec<String>,
    /// Whether to announce and discover on the LAN.
    pub lan: Option<LanSetup>,
    /// The job file of an open job, for whoever asks; `None`: nobody gets it.
    pub invitation: Option<String>,
    /// Whether links may be relayed, our own and those of others.
    pub relay: bool,
    /// Whether to ask the router to open a port.
    pub upnp: bool,
    /// Who counts what libp2p does.
    pub metrics: Option<NetworkMetrics>,
}

/// What is announced on the LAN beside what the run's credentials say.
#[derive(Clone, Debug, Default)]
pub struct LanSetup {
    /// Name of the job.
    pub job: String,
}

impl fmt::Debug for PeerSetup {
    /// Without secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PeerSetup")
            .field("config", &self.config)
            .field("network", &self.network)
            .finish_non_exhaustive()
    }
}
