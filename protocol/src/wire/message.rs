//! The messages themselves.

use std::sync::Arc;

use bincode::{Decode, Encode};

use crate::id::{Hash, Origin, PeerId, RunId, SchemaHash};
use crate::log::{Head, Mark, SignedDelta, VersionVector};
use crate::trust::{Exclusion, Vote};

use super::BasePart;

/// Most addresses that are kept or passed on for one peer.
pub(crate) const ADDRESSES_MAX: usize = 8;
/// Longest address, bytes.
pub(crate) const ADDRESS_BYTES_MAX: usize = 256;
/// Most peers in one exchange.
pub(crate) const PEER_RECORDS_MAX: usize = 64;
/// Most neighbours that a status names.
pub(crate) const STATUS_NEIGHBOURS_MAX: usize = 64;
/// Most ranges in one request.
pub(crate) const RANGES_MAX: usize = 256;

/// The handshake, before anything else on a link; see [`crate::trust::admission`].
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Greeting {
    /// First words of both sides.
    Hello {
        /// The run that the sender is part of.
        run: RunId,
        /// Shape of its model.
        schema: SchemaHash,
        /// Fresh randomness, so that a proof cannot be replayed.
        nonce: [u8; 32],
    },
    /// Proof of the swarm key, bound to both identities and both nonces.
    Proof([u8; 32]),
    /// The sender has checked the other side's proof and takes the link.
    Welcome,
    /// No, and why; the link is closed after it.
    Refuse(Refusal),
}

/// Why a link was refused, in words that both operators can act on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, thiserror::Error)]
pub enum Refusal {
    /// Another job.
    #[error("the peer runs another job (run {}, ours is {}): give both the same job file", theirs.0.short(), ours.0.short())]
    Run {
        /// Run of the side that refuses.
        ours: RunId,
        /// Run of the side that is refused.
        theirs: RunId,
    },
    /// Same job, other model.
    #[error("the peer's model has another shape: give both the same data set and the same release")]
    Schema,
    /// The proof does not match.
    #[error("wrong swarm key: give both the same job file")]
    Key,
    /// Another version of the wire format.
    #[error("wire version {theirs}, the peer speaks {ours}: run the same release on both sides")]
    Version {
        /// Version of the side that refuses.
        ours: u8,
        /// Version of the side that is refused.
        theirs: u8,
    },
    /// Every place is taken.
    #[error("the peer has all the neighbours it takes ({0})")]
    Full(u32),
    /// The same identity twice.
    #[error("both sides have the same identity: one key file runs twice, make a new one for this peer")]
    Identity,
    /// A malformed or late handshake.
    #[error("the handshake was malformed or out of order")]
    Malformed,
    /// The side that refuses links with the peers on a list only.
    #[error("not on the list of peers that it links with")]
    NotAllowed,
    /// The side that is refused has broken the rules before.
    #[error("it has broken the rules: no link for {0} s")]
    Banned(u32),
}

/// Everything that admitted peers say to each other.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub enum Message {
    /// Heartbeat and announcement, every second.
    Status(Status),
    /// Anti-entropy: all that the sender has.
    Digest {
        /// Its version vector.
        heard: VersionVector,
        /// What it leaves out: the first number of every life that does not count.
        excluded: Vec<(Origin, u64)>,
        /// Drawn anew for each digest: what the marks are made with.
        salt: u64,
        /// Of the hash of the head of each chain in `heard`, in that order: whoever has another delta under that number asks for
        /// theirs, which is proof against its origin. None where the job trusts everybody.
        marks: Vec<Mark>,
        /// Hash of its base at that set, when it knows it.
        base_hash: Option<Hash>,
        /// Whether the receiver is to send its own digest back.
        answer: bool,
    },
    /// One delta, of the sender or passed on.
    Delta(Arc<SignedDelta>),
    /// "I have these": an offer to a neighbour that may lack them.
    Offer(Vec<Range>),
    /// "Send me these": the answer to an offer, or to a gap.
    Want(Vec<Range>),
    /// Who else is in the swarm.
    Peers(Vec<PeerRecord>),
    /// "You lack more than my log holds, or more than a snapshot costs: ask me for a snapshot."
    SnapshotOffer {
        /// Size of the base, bytes.
        bytes: u64,
    },
    /// "Begin, I will take it."
    SnapshotAsk,
    /// What the snapshot is.
    SnapshotHead(SnapshotHead),
    /// "Send the part at this offset of that snapshot."
    SnapshotWant {
        /// Its base hash.
        base_hash: Hash,
        /// Byte offset, a multiple of [`super::SNAPSHOT_PART_BYTES`].
        offset: u64,
    },
    /// A part of the base: i32 little-endian.
    SnapshotPart {
        /// Its base hash.
        base_hash: Hash,
        /// Byte offset.
        offset: u64,
        /// At most [`super::SNAPSHOT_PART_BYTES`].
        bytes: BasePart,
    },
    /// "I leave": no need to wait for my heartbeat.
    Bye,
    /// "From here on I do not take what that origin says."
    Vote(Vote),
    /// "The swarm leaves out that origin, and here is why."
    Exclusion(Exclusion),
    /// "Do you have that base for these deltas?" The heads are those of a [`SnapshotHead`] of somebody else.
    SnapshotCheck {
        /// Hash of the base in question.
        base_hash: Hash,
        /// The set, as in [`SnapshotHead::heads`].
        heads: Vec<Head>,
        /// What is left out of it: the first number of every life that does not count.
        excluded: Vec<(Origin, u64)>,
    },
    /// The answer.
    SnapshotChecked {
        /// Hash of the base in question.
        base_hash: Hash,
        /// Yes or no; `None`: the sender cannot say.
        same: Option<bool>,
    },
    /// Mode `pairwise`: "you lead our edge, begin an exchange".
    ExchangeAsk,
    /// The leader's part of an exchange.
    ExchangeSay {
        /// Which.
        exchange: Exchange,
        /// What the follower does not know yet of the leader's model.
        part: Part,
    },
    /// The follower's part; its half is done with it.
    ExchangeAnswer {
        /// Which.
        exchange: Exchange,
        /// What the leader does not know yet of the follower's.
        part: Part,
    },
    /// "My half is done too": the answer came twice.
    ExchangeDone {
        /// Which.
        exchange: Exchange,
    },
    /// "I do not know that epoch": the leader begins another.
    ExchangeLost {
        /// Which.
        exchange: Exchange,
    },
    /// Deltas of one origin, their numbers without gaps, for who lacks many: at least two, at most [`super::DELTAS_MAX`]. Each
    /// names the one before it by its hash, so the signature of the last one speaks for all of them.
    Deltas(Vec<Arc<SignedDelta>>),
}

impl Message {
    /// Whether only the mode `pairwise` says it.
    #[must_use]
    pub fn is_of_pairs(&self) -> bool {
        matches!(
            self,
            Self::ExchangeAsk
                | Self::ExchangeSay { .. }
                | Self::ExchangeAnswer { .. }
                | Self::ExchangeDone { .. }
                | Self::ExchangeLost { .. }
        )
    }

    /// Whether it is about the delta log, which the mode `pairwise` does not have.
    #[must_use]
    pub fn is_of_the_log(&self) -> bool {
        matches!(
            self,
            Self::Digest { .. }
                | Self::Delta(_)
                | Self::Deltas(_)
                | Self::Offer(_)
                | Self::Want(_)
                | Self::Vote(_)
                | Self::Exclusion(_)
                | Self::SnapshotCheck { .. }
                | Self::SnapshotChecked { .. }
        )
    }
}

/// What one end says in an exchange.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Part {
    /// How many exchanges that end has on its way, this one among them, from 1 on.
    pub load: u8,
    /// Way that its model has gone by training alone since its last part on this edge, units of 2^-24.
    pub learnt: u64,
    /// Codec bytes.
    pub payload: Arc<[u8]>,
}

/// Names an exchange of an edge; see `mode/pairwise/edge.rs`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Exchange {
    /// Life of the leader, the peer with the smaller id.
    pub leader: u64,
    /// Life of the follower, as the leader has heard.
    pub follower: u64,
    /// Counted by the leader, over all its edges.
    pub epoch: u64,
    /// Number in the epoch, from 1 on.
    pub seq: u64,
}

/// What a peer announces of itself.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub struct Status {
    /// Which life of the peer this is.
    pub incarnation: u64,
    /// Optimizer steps so far.
    pub steps: u64,
    /// Optimizer steps a second, lately.
    pub steps_per_second: f32,
    /// Mean training loss, lately; NaN before the first step.
    pub train_loss: f32,
    /// Hash of its version vector.
    pub heard: Hash,
    /// First 8 bytes of each neighbour's key: who need not be told what they hear themselves. At most 64.
    pub neighbours: Vec<u64>,
    /// Whether it has taken all its steps.
    pub finished: bool,
    /// Of the mode `full_sync`: the last round of which it has said a delta; 0: none yet.
    pub round: u64,
}

/// Where a peer can be reached.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct PeerRecord {
    /// Who.
    pub peer: PeerId,
    /// Multiaddresses in text, at most 8 of at most 256 bytes.
    pub addresses: Vec<String>,
}

/// Deltas `first..=last` of one origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Range {
    /// Whose.
    pub origin: Origin,
    /// First sequence number.
    pub first: u64,
    /// Last sequence number, not below `first`.
    pub last: u64,
}

/// Description of a snapshot: base `b` and the set of deltas in it.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub struct SnapshotHead {
    /// Hash of `b`; also the snapshot's name.
    pub base_hash: Hash,
    /// d.
    pub parameters: u64,
    /// The end of every chain in it.
    pub heads: Vec<Head>,
    /// What is left out of it, at most [`crate::trust::RECORDS_MAX`].
    pub exclusions: Vec<Exclusion>,
}
