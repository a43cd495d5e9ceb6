//! What goes into a [`Peer`](crate::Peer) and what comes out: plain data.

use crate::codec::CodecError;
use crate::id::{Hash, Origin, PeerId};
use crate::learner::{Command, Computed, Evaluation, LearnerError};
use crate::log::Invalid;
pub use crate::mode::incremental::{Checkpoint, NoPlace, SaveAt, Standing};
pub use crate::mode::{GRADIENT_PARAMETERS_MAX, Gradient, Shown};
use crate::time::{Span, Time};
use crate::trust::{Reason, audit};
use crate::wire::{Exchange, Message};

/// Something happened.
#[derive(Clone, Debug)]
pub enum Input {
    /// Begin: the first input, once.
    Start,
    /// Addresses on which this peer can be reached; replaces what was said before.
    Listening {
        /// Multiaddresses in text, without the peer id.
        addresses: Vec<String>,
    },
    /// A peer was found by mDNS or named by the user with its identity.
    Discovered {
        /// Who.
        peer: PeerId,
        /// Where.
        addresses: Vec<String>,
    },
    /// An admitted link to a peer is up.
    Connected {
        /// Who is at its other end.
        peer: PeerId,
    },
    /// The link is down.
    Disconnected {
        /// Who was at its other end.
        peer: PeerId,
    },
    /// A dial that this peer asked for came to nothing, or the other side refused.
    DialFailed {
        /// Whom we tried to reach.
        peer: PeerId,
        /// Whether it refused us for a reason that will not pass (another run, wrong key): no retry soon.
        refused: bool,
    },
    /// A message over an admitted link.
    Message {
        /// Its sender, proved by the channel.
        from: PeerId,
        /// What it said.
        message: Message,
    },
    /// A timer that was asked for is due.
    Timer(Timer),
    /// The next command in line is done.
    Computed {
        /// Its result.
        result: Computed,
        /// How long the learner took.
        took: Span,
    },
    /// Give a copy of the base: [`Output::Shown`] follows, one for all who ask while it is on its way. If steps are taken and the model is no larger
    /// than [`GRADIENT_PARAMETERS_MAX`], an [`Output::Gradient`] comes after the next ones, unless the learner needed its place.
    Show,
    /// Take no steps until [`Input::Resume`], and gossip on.
    Pause,
    /// Take steps again.
    Resume,
    /// Write down where the peer stands: [`Output::Saved`] follows.
    Save(SaveAt),
    /// Take no further steps, and gossip on.
    Rest,
    /// Take no further steps, come to agreement with the neighbours, evaluate, and stop.
    Finish,
}

/// What the driver is to do.
#[derive(Clone, Debug)]
pub enum Output {
    /// Send over the link; when its queue is full, drop the message: anti-entropy mends it.
    Send {
        /// To whom.
        to: PeerId,
        /// What.
        message: Message,
    },
    /// Open a link.
    Dial {
        /// To whom.
        peer: PeerId,
        /// Where it may be.
        addresses: Vec<String>,
    },
    /// Close the link.
    Disconnect {
        /// To whom.
        peer: PeerId,
    },
    /// Give this to the learner, in order.
    Compute(Command),
    /// Say [`Input::Timer`] at this time.
    SetTimer {
        /// When.
        at: Time,
        /// What.
        timer: Timer,
    },
    /// For people, logs and metrics.
    Event(Event),
    /// The next record of the audit log.
    Audit(audit::Record),
    /// The copy of the base that was asked for.
    Shown(Box<Shown>),
    /// The gradient of steps after it.
    Gradient(Box<Gradient>),
    /// A checkpoint that was asked for.
    Saved(Box<Checkpoint>),
    /// The last output: the peer is done.
    Stopped,
}

/// What a timer is for. Opaque to the driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Timer {
    /// Nobody answered: begin alone.
    JoinGrace,
    /// Say how we are, look who is silent, dial who is missing.
    Heartbeat,
    /// Compare version vectors with one partner.
    AntiEntropy,
    /// Offer what neighbours may lack.
    Offers,
    /// A snapshot makes no progress.
    Snapshot,
    /// Agreement takes too long: stop all the same.
    Settle,
    /// A round takes too long: go on without whoever is missing.
    Round,
    /// News of where peers are may be passed on.
    News,
    /// With groups: a delegate looks whether there is something to say although nobody trains.
    Groups,
}

/// What happened, in the words of the domain.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A neighbour is there.
    NeighbourUp {
        /// Who.
        peer: PeerId,
    },
    /// A neighbour is gone.
    NeighbourDown {
        /// Who.
        peer: PeerId,
        /// Why, in a few words.
        reason: &'static str,
    },
    /// Training begins: at once, or after catching up.
    TrainingStarted {
        /// Deltas already in the base.
        deltas: u64,
    },
    /// The model was evaluated within an epoch; `epoch` is the last that is over.
    Evaluated(Report),
    /// A delta of our own was said.
    DeltaSaid {
        /// Its number.
        seq: u64,
        /// Steps in it.
        steps: u32,
        /// w.
        weight: f32,
        /// Bytes of the codec.
        payload_bytes: usize,
        /// ||theta - b|| / ||b|| before.
        disagreement: f32,
    },
    /// A delta of another origin went into the base.
    DeltaHeard {
        /// Whose.
        origin: Origin,
        /// Its number.
        seq: u64,
    },
    /// A delta was refused.
    DeltaRefused {
        /// Who passed it to us.
        from: PeerId,
        /// Whose it claims to be.
        origin: Origin,
        /// The number it claims.
        seq: u64,
        /// Why.
        reason: Refused,
    },
    /// A neighbour said what no honest peer says: what its link costs it is the driver's business.
    Offence {
        /// Who.
        peer: PeerId,
        /// What, in a few words.
        what: &'static str,
    },
    /// An origin is suspected: its deltas wait.
    Held {
        /// Whose.
        origin: Origin,
        /// The first that is held against it.
        from_seq: u64,
        /// Why.
        reason: Reason,
    },
    /// The wait is over without a majority.
    Released {
        /// Whose deltas go in.
        origin: Origin,
    },
    /// The swarm leaves out an origin. When it is ours, this peer stops.
    Excluded {
        /// Whose deltas.
        origin: Origin,
        /// The first that is left out.
        from_seq: u64,
        /// In a few words.
        why: &'static str,
        /// How many were taken out of our base.
        retracted: usize,
    },
    /// Mode `full_sync`: a round goes on without that peer, and the next ones do until it has caught up.
    RoundEvicted {
        /// Whose delta was missing at the deadline.
        peer: PeerId,
        /// Of which round.
        round: u64,
    },
    /// Mode `pairwise`: our half of an exchange is done.
    Exchanged {
        /// With whom.
        peer: PeerId,
        /// Which.
        exchange: Exchange,
        /// Bytes of the codec that we said.
        payload_bytes: usize,
        /// ||h_theirs - h_own|| / ||b|| before.
        disagreement: f32,
        /// Whether the merge rule cut the transfer.
        clipped: bool,
    },
    /// Mode `pairwise`: what a neighbour said is no payload.
    ExchangeRefused {
        /// Who said it.
        from: PeerId,
        /// Why.
        reason: CodecError,
    },
    /// An epoch is over and the model was evaluated.
    Epoch(Report),
    /// The data were dealt anew.
    Dealt {
        /// Among so many, we among them.
        peers: usize,
        /// Our samples.
        samples: u64,
    },
    /// All epochs are over; gossip goes on, and so does training where it is to go on until told to rest.
    TrainingDone {
        /// Steps taken.
        steps: u64,
    },
    /// A snapshot went out.
    SnapshotServed {
        /// To whom.
        to: PeerId,
        /// Bytes of the base.
        bytes: u64,
    },
    /// A snapshot came in and replaced the base.
    SnapshotRestored {
        /// From whom.
        from: PeerId,
        /// Bytes of the base.
        bytes: u64,
        /// Deltas in it.
        deltas: u64,
        /// From its head to the last part.
        fetched_in: Span,
        /// Who found the same base for the same deltas; `None` where nobody could say.
        witness: Option<PeerId>,
    },
    /// Two histories met that neither log could unite; ours was the shorter one and yielded.
    HistoryYielded {
        /// Whose snapshot replaces ours.
        from: PeerId,
        /// Chains that are renounced.
        origins: usize,
        /// Share of the difference of the bases that is said again.
        carry: f32,
    },
    /// A snapshot was given up.
    SnapshotFailed {
        /// From whom.
        from: PeerId,
        /// Why.
        reason: &'static str,
    },
    /// So often in a row nobody but its giver could say that a snapshot is right: this peer may never catch up. Either most peers were
    /// resumed from checkpoints that are behind every log, or the giver makes it up.
    Unconfirmed {
        /// Who has what we lack, and last gave it in vain.
        from: PeerId,
        /// Times.
        failures: u32,
    },
    /// Equal version vectors, unequal bases: one of the two computes wrongly. Must never happen.
    BaseMismatch {
        /// The other one.
        peer: PeerId,
        /// Our hash.
        ours: Hash,
        /// Its hash.
        theirs: Hash,
    },
    /// A neighbour has another delta under that number than we, and ours has left the log: its origin said two things, and the sets of one
    /// name differ, or the neighbour makes it up. Told once a minute of a neighbour at most.
    HeadMismatch {
        /// Who has the other one.
        peer: PeerId,
        /// Whose delta.
        origin: Origin,
        /// Its number.
        seq: u64,
    },
    /// The learner failed; this peer stops.
    LearnerFailed(LearnerError),
    /// The last evaluation, after agreement or its deadline.
    Final(Report),
}

/// State of the model at a moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// Epochs done.
    pub epoch: u32,
    /// Steps taken.
    pub steps: u64,
    /// Mean training loss of the epoch, nats a sample; NaN when no step was taken.
    pub train_loss: f32,
    /// On the test split.
    pub evaluation: Evaluation,
    /// Hash of the base that was evaluated.
    pub base_hash: Hash,
    /// Hash of the version vector of that base.
    pub heard: Hash,
}

/// Why a delta was refused by this peer.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Refused {
    /// It is no delta of this run.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// Its predecessor is not the one we have.
    #[error("not chained to the origin's delta before it")]
    Chain,
    /// Another delta of the same origin and number is known: the origin contradicts itself.
    #[error("the origin said another delta with this number")]
    Equivocation,
    /// Too many deltas are waiting for a gap to close.
    #[error("too far ahead: {limit} deltas wait already")]
    Ahead {
        /// The bound.
        limit: usize,
    },
    /// The set has as many origins as a log takes from others ([`crate::log::LIVES_TAKEN_MAX`]): no new one is taken.
    #[error("{limit} origins have been heard, and the set takes no more")]
    Origins {
        /// The bound.
        limit: usize,
    },
    /// The job names the peers that may speak.
    #[error("its origin is not on the job's allow list")]
    NotAllowed,
    /// The swarm has excluded the origin from an earlier delta on.
    #[error("the swarm has excluded its origin")]
    Excluded,
    /// Its own deltas, from an incarnation we know nothing of.
    #[error("it claims to be ours")]
    Ours,
}
