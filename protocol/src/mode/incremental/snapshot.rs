//! Snapshots: the base and the head of every chain, for whoever is behind the log.
//!
//! ```text
//! giver -> taker   SnapshotOffer          taker -> giver   SnapshotAsk
//! giver -> taker   SnapshotHead           taker -> giver   SnapshotWant(offset), a few ahead
//! giver -> taker   SnapshotPart(offset) ...                hash checked
//! taker <-> witness                                        the same base there? (witness.rs)
//!                                                          base replaced, own deltas replayed
//! ```
//!
//! The taker pulls, so a slow one slows nobody, and parts are small, so deltas pass between them. Neither side holds more than one
//! copy of the base: the giver cuts parts from the learner's copy, the taker fills the next base and hashes as parts come, and the
//! giver's hash is made by the learner's thread, so nothing here takes longer than a part. The taker keeps its
//! residual (`theta += base - b`), and every delta that it has and the snapshot lacks is added again: nothing is lost.
//!
//! Whoever takes a snapshot has the deltas in its base and not in its log: it cannot pass them on, so it offers snapshots in its
//! turn. One taken in haste makes the next one necessary, and two peers with different gaps in their logs cannot be united
//! at all. So a peer that has any deltas takes one only of what nobody has sent it for a while.

mod giving;
mod taking;

use std::sync::Arc;

use crate::id::PeerId;
use crate::learner::BaseHasher;
use crate::log::VersionVector;
use crate::time::{Span, Time};
use crate::wire::SnapshotHead;

/// Bytes of one origin in the head, about.
const HEAD_BYTES: usize = 32 + 8 + 8 + 32 + 8;

/// Both directions.
#[derive(Debug, Default)]
pub(crate) struct Snapshots {
    serving: Option<Serving>,
    /// Who asked before the base was at hand.
    waiting: Vec<PeerId>,
    taking: Option<Taking>,
    lacking: Option<Lacking>,
}

/// What a neighbour has and could not send, and since when we know.
#[derive(Debug)]
struct Lacking {
    of: PeerId,
    set: VersionVector,
    since: Time,
}

#[derive(Debug)]
struct Serving {
    head: SnapshotHead,
    base: Arc<Vec<i32>>,
    until: Time,
}

#[derive(Debug)]
struct Taking {
    from: PeerId,
    /// When its head came.
    since: Time,
    /// From then to the last part.
    fetched_in: Span,
    progress_at: Time,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    Asked,
    Parts {
        head: SnapshotHead,
        /// What has come of it.
        base: Vec<i32>,
        hasher: Box<BaseHasher>,
        /// Bytes that were asked for.
        asked: u64,
    },
    /// Complete, and its hash is right; another peer is asked whether it has the same base.
    Checking {
        head: SnapshotHead,
        base: Vec<i32>,
        /// The last one is asked now.
        witnesses: Vec<PeerId>,
        /// Whether there was a wait for the first one.
        waited: bool,
    },
    /// Complete and checked; waits until no delta of our own is half taken.
    Whole {
        head: SnapshotHead,
        base: Vec<i32>,
        witness: Option<PeerId>,
    },
    Restoring {
        bytes: u64,
        deltas: u64,
        witness: Option<PeerId>,
    },
}

impl Snapshots {
    pub(crate) fn is_taking(&self) -> bool {
        self.taking.is_some()
    }

    /// What is served is no longer what we stand for.
    pub(super) fn forget_served(&mut self) {
        self.serving = None;
    }

    /// Whether the learner must not take a new delta: a restored base is about to replace the one it would go into.
    pub(super) fn is_restoring(&self) -> bool {
        self.taking.as_ref().is_some_and(|t| matches!(t.stage, Stage::Whole { .. } | Stage::Restoring { .. }))
    }
}
