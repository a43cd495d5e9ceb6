//! Snapshots: the base and the head of every chain, for whoever is behind the log.
//!
//! ```text
//! giver -> taker   SnapshotOffer          taker -> giver   SnapshotAsk
//! giver -> taker   SnapshotHead           taker -> giver   SnapshotWant(offset), a few ahead
//! taker <-> witness                       meanwhile: the same base there? (snapshot/checking.rs, witness.rs)
//! giver -> taker   SnapshotPart(offset) ...                hash checked
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

mod checking;
mod giving;
mod going_on;
mod taking;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::id::PeerId;
use crate::learner::BaseHasher;
use crate::log::{VersionVector, heard_of};
use crate::time::{Span, Time};
use crate::wire::{Message, SnapshotHead};

/// Bytes of one origin in the head, about.
const HEAD_BYTES: usize = 32 + 8 + 8 + 32 + 8;

/// Both directions.
#[derive(Debug, Default)]
pub(crate) struct Snapshots {
    serving: Option<Serving>,
    /// Who asked before the base was at hand.
    waiting: Vec<PeerId>,
    /// How often in a row the one for them was made in vain.
    made_anew: u32,
    taking: Option<Taking>,
    lacking: Option<Lacking>,
    /// Whether our base is one that we took.
    has_taken: bool,
    /// Whose snapshots came to nothing, and until when they are not asked for another.
    passed_over: BTreeMap<PeerId, Time>,
    /// Until it has caught up by a snapshot.
    back: Option<Back>,
    /// How often in a row nobody could say that a base is right, and when the last time was.
    unconfirmed: (u32, Time),
    /// The timer is set: one, whoever asks for it.
    timer_set: bool,
}

/// This peer was started from a checkpoint, or found that it had stood still.
#[derive(Debug)]
struct Back {
    at: Time,
    /// What it had.
    with: VersionVector,
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
    /// What we lacked when we asked.
    lacks: VersionVector,
    /// And what we had.
    ours: VersionVector,
    /// Whether we asked to be rid of what our log cannot take back, and for nothing else.
    to_be_rid: bool,
    /// When its head came.
    since: Time,
    /// From then to the last part.
    fetched_in: Span,
    progress_at: Time,
    /// When something was asked for again, or first.
    asked_at: Time,
    stage: Stage,
    checks: checking::Checks,
    pace: going_on::Pace,
    /// Its giver sends no more: since when, and why.
    cut: Option<(Time, &'static str)>,
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
    /// Complete, and its hash is right; whether it is believed is open.
    Checking {
        head: SnapshotHead,
        base: Vec<i32>,
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

/// The question to others whether they have the same base.
fn check_of(head: &SnapshotHead) -> Message {
    let heard = heard_of(&head.heads);
    // Of whom it has nothing nobody else need know anything.
    let named = head.exclusions.iter().filter(|record| heard.names(record.about.peer));
    let excluded = named.map(|record| (record.about, record.from_seq)).collect();
    Message::SnapshotCheck { base_hash: head.base_hash, heads: head.heads.clone(), excluded }
}

impl Taking {
    /// Of what is on its way, or open.
    fn head(&self) -> Option<&SnapshotHead> {
        match &self.stage {
            Stage::Parts { head, .. } | Stage::Checking { head, .. } => Some(head),
            Stage::Asked | Stage::Whole { .. } | Stage::Restoring { .. } => None,
        }
    }
}

impl Snapshots {
    pub(crate) fn is_taking(&self) -> bool {
        self.taking.is_some()
    }

    /// The set of a snapshot that is on its way: what is up to it need not come in any other way.
    pub(super) fn coming(&self) -> Option<VersionVector> {
        self.taking.as_ref().and_then(Taking::head).map(|head| heard_of(&head.heads))
    }

    /// Whether the learner must not take a new delta: a restored base is about to replace the one it would go into.
    pub(super) fn is_restoring(&self) -> bool {
        self.taking.as_ref().is_some_and(|t| matches!(t.stage, Stage::Whole { .. } | Stage::Restoring { .. }))
    }
}
