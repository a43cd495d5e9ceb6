//! The giver's side: one copy of the base, cut into parts as they are asked for.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{HEAD_BYTES, Serving};
use crate::event::Event;
use crate::id::{Hash, Origin, PeerId};
use crate::log::{Exclusions, Head, VersionVector, heard_of};
use crate::peer::Peer;
use crate::time::Span;
use crate::trust::Exclusion;
use crate::wire::{BasePart, Message, SNAPSHOT_PART_BYTES, SnapshotHead};

/// A snapshot that was made is given to others too for so long.
const SERVE_MAX: Span = Span::from_secs(20);
/// One neighbour is offered a snapshot this often at most.
const OFFER_PAUSE: Span = Span::from_secs(2);
/// Peers that may wait for one snapshot to be made.
const WAITING_MAX: usize = 64;

impl Peer {
    /// What a snapshot would cost.
    pub(crate) fn snapshot_bytes(&self) -> usize {
        4 * self.context.parameters + HEAD_BYTES * self.log.heard().len()
    }

    pub(crate) fn offer_snapshot(&mut self, to: PeerId) {
        let bytes = self.snapshot_bytes() as u64;
        let now = self.now;
        let Some(neighbour) = self.members.neighbour_mut(to) else {
            return;
        };
        if neighbour.snapshot_offer_after <= now {
            neighbour.snapshot_offer_after = now + OFFER_PAUSE;
            // Whoever is not behind by our own words need not believe an offer.
            self.send_digest(to, false);
            self.send(to, Message::SnapshotOffer { bytes });
        }
    }

    pub(crate) fn hear_snapshot_ask(&mut self, from: PeerId) {
        let fresh = self.snapshots.serving.as_ref().filter(|serving| serving.until > self.now);
        // One that our log cannot lead on from would leave its taker behind the log again.
        let head =
            fresh.map(|serving| serving.head.clone()).filter(|head| self.log.missing(&heard_of(&head.heads)).complete);
        if let Some(head) = head {
            self.send(from, Message::SnapshotHead(head));
            return;
        }
        if self.snapshots.waiting.len() >= WAITING_MAX || self.snapshots.waiting.contains(&from) {
            return;
        }
        self.snapshots.waiting.push(from);
        if self.snapshots.waiting.len() == 1 {
            self.issue_snapshot();
        }
    }

    /// The learner gave the base: describe it and tell who waits.
    pub(crate) fn serve_snapshot(
        &mut self,
        heard: &VersionVector,
        heads: Vec<Head>,
        exclusions: Vec<Exclusion>,
        base: Vec<i32>,
        base_hash: Hash,
    ) {
        let excluded: Exclusions = exclusions.iter().map(|record| (record.about, record.from_seq)).collect();
        if excluded != *self.log.excluded() {
            self.issue_snapshot(); // Something was excluded in between.
            return;
        }
        let mut heads: BTreeMap<Origin, Head> = heads.into_iter().map(|head| (head.origin, head)).collect();
        // Our deltas that were taken between the question and the answer are signed and logged by now.
        let own = heard.get(&self.origin);
        if own > 0 {
            let Some(head) = self.log.get(self.origin, own).and_then(|_| self.log.head_at(self.origin, own)) else {
                // The log is too short to hold our own last delta: no chain could be continued from such a snapshot.
                self.snapshots.waiting.clear();
                return;
            };
            heads.insert(self.origin, head);
        }
        self.schedule.known_base = Some((excluded.set_hash(heard), base_hash));
        let heads = heads.into_values().collect();
        let head = SnapshotHead { base_hash, parameters: base.len() as u64, heads, exclusions };
        for to in std::mem::take(&mut self.snapshots.waiting) {
            self.send(to, Message::SnapshotHead(head.clone()));
        }
        self.snapshots.serving = Some(Serving { head, base: Arc::new(base), until: self.now + SERVE_MAX });
    }

    pub(crate) fn hear_snapshot_want(&mut self, from: PeerId, base_hash: Hash, offset: u64) {
        let Some(serving) = self.snapshots.serving.as_mut().filter(|s| s.head.base_hash == base_hash) else {
            return;
        };
        let start = usize::try_from(offset).ok().filter(|start| start.is_multiple_of(SNAPSHOT_PART_BYTES));
        let Some(start) = start.map(|start| start / 4).filter(|start| *start < serving.base.len()) else {
            return;
        };
        serving.until = self.now + SERVE_MAX;
        let end = start + SNAPSHOT_PART_BYTES / 4;
        let (last, total) = (end >= serving.base.len(), 4 * serving.base.len() as u64);
        let bytes = BasePart::of(&serving.base, start..end);
        self.send(from, Message::SnapshotPart { base_hash, offset, bytes });
        if last {
            self.event(Event::SnapshotServed { to: from, bytes: total });
        }
    }

    /// Lets go of a snapshot that nobody has asked for lately.
    pub(crate) fn drop_stale_snapshot(&mut self) {
        if self.snapshots.serving.as_ref().is_some_and(|serving| serving.until <= self.now) {
            self.snapshots.serving = None;
        }
    }
}
