//! The giver's side: one copy of the base, cut into parts as they are asked for.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{HEAD_BYTES, Serving};
use crate::event::Event;
use crate::id::{Hash, Origin, PeerId};
use crate::log::{Exclusions, Head, VersionVector, heard_of};
use crate::mode::incremental::Pending;
use crate::peer::Peer;
use crate::time::Span;
use crate::trust::{Exclusion, RECORDS_MAX};
use crate::wire::{BasePart, Message, SNAPSHOT_PART_BYTES, SnapshotHead};

/// A snapshot that was made is given to others too for so long.
const SERVE_MAX: Span = Span::from_secs(20);
/// One neighbour is offered a snapshot this often at most.
const OFFER_PAUSE: Span = Span::from_secs(2);
/// And told this often at most what it consists of: an answer costs a look at the whole log, and a flood of questions held a peer up.
const HEAD_PAUSE: Span = Span::from_millis(100);
/// Peers that may wait for one snapshot to be made.
const WAITING_MAX: usize = 64;
/// A snapshot whose heads are gone from the log by the time that it is made, or of which something is left out by then, is made anew, so often in a row.
const MADE_ANEW_MAX: u32 = 3;

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
        let now = self.now;
        let Some(neighbour) = self.members.neighbour_mut(from).filter(|of| of.snapshot_head_after <= now) else {
            return;
        };
        neighbour.snapshot_head_after = now + HEAD_PAUSE;
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
        self.make_snapshot();
    }

    /// Asks the learner for a copy of the base, if none is on its way: one at a time, however many ask, and hang up, and ask again. Each costs
    /// the learner's thread a copy and a hash, and brings what was heard before it into the line.
    fn make_snapshot(&mut self) {
        if self.schedule.queued(|pending| matches!(pending, Pending::Snapshot { .. })) == 0 {
            self.issue_snapshot();
        }
    }

    /// The learner gave the base: describe it and tell who waits.
    pub(crate) fn serve_snapshot(
        &mut self,
        heard: &VersionVector,
        heads: Vec<Head>,
        excluded: &Exclusions,
        base: Vec<i32>,
        base_hash: Hash,
    ) {
        if !excluded.equal_within(heard, self.log.excluded()) {
            self.make_anew(); // Something was excluded in between.
            return;
        }
        let mut heads: BTreeMap<Origin, Head> = heads.into_iter().map(|head| (head.origin, head)).collect();
        // Our deltas that were taken between the question and the answer are signed and logged by now.
        let own = heard.get(&self.origin);
        if own > 0 {
            let Some(head) = self.log.head_at(self.origin, own) else {
                // The log is so short that it has let go of that one already: no chain could be continued from it.
                self.make_anew();
                return;
            };
            heads.insert(self.origin, head);
        }
        self.snapshots.made_anew = 0;
        self.schedule.known_base = Some((excluded.set_hash(heard), base_hash));
        let heads = heads.into_values().collect();
        let exclusions = self.exclusions_to_give();
        let head = SnapshotHead { base_hash, parameters: base.len() as u64, heads, exclusions };
        for to in std::mem::take(&mut self.snapshots.waiting) {
            self.send(to, Message::SnapshotHead(head.clone()));
        }
        self.serve(head, base);
    }

    /// Why the set leaves out what it does, as far as a head has room: whoever takes it hears of the others when it says what it has. Those of whom
    /// the set has nothing, the latest first, are for a newcomer that they would turn to.
    pub(crate) fn exclusions_to_give(&self) -> Vec<Exclusion> {
        let heard = self.log.heard();
        let named = self.guard.records().filter(|record| heard.names(record.about.peer));
        let others = self.guard.unnamed().filter(|record| !heard.names(record.about.peer));
        named.chain(others).take(RECORDS_MAX).cloned().collect()
    }

    /// What was made cannot be given: another one, a few times in a row, as long as anybody waits.
    fn make_anew(&mut self) {
        self.snapshots.made_anew += 1;
        if self.snapshots.made_anew <= MADE_ANEW_MAX && !self.snapshots.waiting.is_empty() {
            self.make_snapshot();
        } else {
            // Who still waits asks again, or another one.
            self.snapshots.made_anew = 0;
            self.snapshots.waiting.clear();
        }
    }

    fn serve(&mut self, head: SnapshotHead, base: Vec<i32>) {
        // Whoever takes it is led on from there by our log, and not by another snapshot.
        self.log.keep_beyond(heard_of(&head.heads), 4 * base.len());
        self.snapshots.serving = Some(Serving { head, base: Arc::new(base), until: self.now + SERVE_MAX });
    }

    /// Of a snapshot of another peer we have made the base ourselves: we can give it, too, while we give nothing else.
    pub(crate) fn keep_as_served(&mut self, base_hash: Hash, heads: Vec<Head>, base: Vec<i32>) {
        self.drop_stale_snapshot();
        if self.snapshots.serving.is_none() {
            let exclusions = self.exclusions_to_give();
            self.serve(SnapshotHead { base_hash, parameters: base.len() as u64, heads, exclusions }, base);
        }
    }

    /// Whether we have that very snapshot at hand. Whoever asks may want it in a moment.
    pub(crate) fn serves(&mut self, base_hash: Hash, heads: &[Head], excluded: &Exclusions) -> bool {
        let (now, ours) = (self.now, self.log.excluded());
        let Some(serving) = self.snapshots.serving.as_mut().filter(|serving| serving.head.base_hash == base_hash)
        else {
            return false;
        };
        let same = serving.head.heads == heads && ours.include_within(&heard_of(heads), excluded);
        if same {
            serving.until = now + SERVE_MAX;
        }
        same
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

    /// What is served holds something that is left out now.
    pub(crate) fn forget_served_of(&mut self, peers: &[PeerId]) {
        let holds = |serving: &Serving| serving.head.heads.iter().any(|head| peers.contains(&head.origin.peer));
        if self.snapshots.serving.as_ref().is_some_and(holds) {
            self.forget_served();
        }
    }

    /// What is served is no longer what we stand for, or nobody wants it.
    pub(crate) fn forget_served(&mut self) {
        self.snapshots.serving = None;
        self.log.keep_nothing();
    }

    /// Lets go of a snapshot that nobody has asked for lately.
    pub(crate) fn drop_stale_snapshot(&mut self) {
        if self.snapshots.serving.as_ref().is_some_and(|serving| serving.until <= self.now) {
            self.forget_served();
        }
    }
}
