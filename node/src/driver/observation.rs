//! What whoever watches a running peer is told, and what may be asked of it.

use std::sync::Arc;

use protocol::company::Fellow;
use protocol::event::{Gradient, Shown};
use protocol::id::PeerId;
use protocol::{Event, View};
use sim::report::Blocked;

use super::setup::DeviceNews;
use crate::store::checkpoint::News;
use crate::swarm::Way;

/// Bytes over links, frames with their length prefix.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Out.
    pub bytes_sent: u64,
    /// In.
    pub bytes_received: u64,
    /// Messages that were dropped because a link's queue was full.
    pub messages_dropped: u64,
    /// Times a peer was banned for breaking the rules.
    pub bans: u64,
}

/// What the driver tells whoever watches.
#[derive(Clone, Debug)]
pub enum Observation {
    /// The peer listens on these addresses (with `/p2p/ID`).
    Listening(Vec<String>),
    /// A link is up; [`Event::NeighbourUp`] comes after it.
    Linked {
        /// With whom.
        peer: PeerId,
        /// How it is reached.
        way: Way,
    },
    /// Twice a second while the learner is built, which may take minutes: there is no view of it yet.
    Building,
    /// It was asked to finish, by whomever, and begins to.
    Leaving,
    /// The peer reports.
    Event(Event),
    /// A link was refused by us or by them; both operators can act on the text.
    LinkRefused {
        /// Who, as far as known.
        peer: String,
        /// Why, in one line.
        reason: String,
    },
    /// Nobody answers at an address that the operator named, for some seconds now; it is dialled again.
    Unreachable {
        /// As named, without the id.
        address: String,
        /// What came back.
        why: String,
    },
    /// Others may not be found, or this peer not by them: why, and what to do.
    Hidden(String),
    /// An identity is used by two processes at once.
    Copied {
        /// Whose.
        peer: String,
        /// How we know and what to do, in one line.
        reason: String,
    },
    /// The first steps are taken.
    FirstSteps,
    /// The device failed, and the learner goes on.
    Device(DeviceNews),
    /// Somebody wanted to lose a device that is none.
    NoDeviceToLose,
    /// A peer has broken the rules and gets no link for a while.
    Banned {
        /// Who.
        peer: String,
        /// What it did.
        reason: String,
        /// For how long.
        seconds: u64,
    },
    /// That ban is over, by itself or by a pardon.
    Unbanned {
        /// Whose.
        peer: String,
    },
    /// Whatever peers have broken was forgiven, at the operator's wish.
    Pardoned {
        /// How many got no link until now.
        peers: usize,
    },
    /// Just before a view: how long steps were blocked on the network so far.
    Blocked(Blocked),
    /// Just before [`Self::View`]: the others.
    Company(Vec<Fellow>),
    /// The copy of the base that was asked for.
    Shown(Arc<Shown>),
    /// The gradient of steps after it.
    Gradient(Arc<Gradient>),
    /// A checkpoint is written, or is not.
    Checkpoint(News),
    /// Twice a second: how it stands.
    View(Box<View>, Traffic),
}

/// What may be asked of a running peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    /// Copy the base for whoever looks.
    Show,
    /// Take no step for now.
    Pause,
    /// Take steps again.
    Resume,
    /// Write a checkpoint, where they are kept.
    Checkpoint,
    /// Stop training, gossip on.
    Rest,
    /// Stop training, agree with the neighbours, evaluate, stop.
    Finish,
    /// Stop now.
    Abort,
    /// Lose the device, as a fault.
    LoseDevice,
    /// End all bans and pauses of peers that have broken the rules.
    Pardon,
}
